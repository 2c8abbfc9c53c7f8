"""The parser of the command line: every command with its options and examples.

It imports nothing of torch, coremltools, rich or networkx, so help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import re
import sys
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from convlint import __version__
from convlint.cli.options import (
    FORMAT_HELP,
    add_baseline_options,
    add_check_options,
    add_compare_options,
    add_fix_options,
    add_plan_options,
)
from convlint.errors import UsageError
from convlint.nearest import did_you_mean

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

_CHECK_EXAMPLES = """\
examples:
  convlint check torchvision.models:resnet50 --input 1x3x224x224
  convlint check my/models.py:Segmenter --arg width=64 --input image=1x3x512x512:float32 --target iOS17
  convlint check transformers:LlamaForCausalLM --arg-expr 'config=transformers.LlamaConfig()' \\
      --input input_ids=1x64:int64
  convlint check --model segmenter    # from [tool.convlint] in pyproject.toml
  convlint check                      # every model configured there
  convlint check --output-file report.sarif --output-file junit:report.xml
  convlint check my/models.py:Net --input 1x3x64x64 --diff-coremltools 9.0 9.1.dev1

exit codes:
  0 clean   1 findings at or above --fail-on   2 bad use or configuration
  3 the model could not be imported, built or captured
"""
_FIX_EXAMPLES = """\
examples:
  convlint fix torchvision.models:swin_t --input 1x3x224x224
  convlint fix my/models.py:Net --input 1x3x64x64 --write
  convlint fix my/models.py:Encoder --input 1x128x512 --for ane

exit codes:
  0 the fixed model converts   1 something is left   2 bad use or configuration
  3 the model could not be imported, built or run
"""
_COMPARE_EXAMPLES = """\
examples:
  convlint compare torchvision.models:resnet18 --input 1x3x224x224
  convlint compare my/models.py:Net --input 1x3x64x64 --runtime onnx --runtime coreml-export

exit codes:
  0 some runtime takes the model   1 none does   2 bad use or configuration
  3 the model could not be imported, built or run
"""
_PLAN_EXAMPLES = """\
examples:
  convlint plan torchvision.models:resnet50 --input 1x3x224x224
  convlint plan my/models.py:Net --input 1x3x64x64 --chip M2 --os macOS14 --compute-units cpu+ane
  convlint plan torchvision.models:resnet50 --input 1x3x224x224 --chip A15,A17Pro,M4
  convlint plan torchvision.models:resnet50 --input 1x3x224x224 --chip all --os iOS18 --max-ms 5
  convlint plan my/models.py:Net --input 1x3x64x64 --chip M4 --compute-units cpu+ane --compare-with plan.json
  convlint plan --model segmenter --format markdown
  convlint plan --model segmenter --diff main.json
  convlint plan --model segmenter --chip A18Pro --compare-with segmenter.mlperf

A forecast from published measurements: nothing is run on a device, unless --measure is given on a Mac.
exit codes:
  0 planned   1 planned, and above --max-ms, or lines left the Neural Engine since --diff
  2 bad use or configuration   3 the model could not be imported, built or captured
"""
_CALIBRATE_EXAMPLES = """\
examples:
  convlint plan --model a --chip M4Pro --compare-with a.mlperf --format json > a.json    # one for each model
  convlint calibrate a.json b.json c.json
  convlint calibrate *.json --dry-run

Fits a few numbers of the chip to what was measured, each model foretold by the others, and writes those that
help to .convlint/chips.toml beside the configuration. Later plans for the chip use them. Delete the file to
go back.
exit codes:
  0 fitted, or the shipped numbers are as good   2 bad use or configuration
"""
_MAIN_EXAMPLES = """\
examples:
  convlint check torchvision.models:resnet50 --input 1x3x224x224
  convlint rule CL104
  convlint rules list --format json
  convlint doctor
"""
_RULES_EXAMPLES = """\
examples:
  convlint rules                        # every rule, one a line
  convlint rules test                   # prove every rule with the installed coremltools
  convlint rules test CL104 ane         # one rule, and those of a category
  convlint rules new gelu-tanh --category support --path lint/rules
"""

_EXPLAIN_EXAMPLES = """\
examples:
  convlint explain "PyTorch convert function for op 'diff' not implemented"
  python convert.py 2>&1 | convlint explain -

exit codes:
  0 something is known of it   1 nothing is   2 bad use
"""

_BASELINE_EXAMPLES = """\
examples:
  convlint baseline write     # every configured model; check then fails on new findings alone
  convlint baseline prune     # after findings were fixed
"""
_COMPLETION_EXAMPLES = """\
examples:
  source <(convlint completion bash)                                          # in ~/.bashrc
  source <(convlint completion zsh)                                           # in ~/.zshrc
  convlint completion fish > ~/.config/fish/completions/convlint.fish
"""

_CATALOGUE_EXAMPLES = """\
examples:
  convlint catalogue                                              # every architecture that was measured
  convlint catalogue --task detection --converts as-is --sort latency
  convlint catalogue swin --chip M4 --max-ms 5
  convlint catalogue show timm/fastvit_t8                         # all of one, and how to measure it again
"""

USAGES = {
    "check": "[SPEC]",
    "fix": "[SPEC]",
    "compare": "[SPEC]",
    "baseline": "write|prune",
    "init": "",
    "plan": "[SPEC]",
    "calibrate": "PLAN ...",
    "rule": "CODE|NAME",
    "rules": "[list|test|new]",
    "doctor": "",
    "explain": "TEXT|-",
    "catalogue": "[PATTERN | show NAME]",
    "completion": "bash|zsh|fish",
    "server": "",
}


_QUICK = partial(argparse.RawDescriptionHelpFormatter, width=80)
"""A formatter of a fixed width: argparse makes one for every option, and asking the terminal is slow."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are ordinary errors of convlint."""

    def format_help(self) -> str:
        self.formatter_class = argparse.RawDescriptionHelpFormatter  # as wide as the terminal
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        hint = ""
        if wrong := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            hint = did_you_mean(wrong[1], [choice.strip("' ") for choice in wrong[2].split(",")])
        raise UsageError(f"{message.rstrip('.')}.{hint} See `{self.prog} --help`.")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if message:  # argparse stays silent where the stream takes nothing
            (file or sys.stderr).write(message)

    def options(self) -> list[str]:
        """Every option that this parser knows."""
        return [option for action in self._actions for option in action.option_strings]


def build_parser(only: str | None = None) -> Parser:
    """The parser with all its commands, or with the command ``only``, which takes a tenth of the time."""
    parser = Parser(
        prog="convlint",
        description="Does a PyTorch architecture convert to Core ML? Asked before training, without weights.",
        epilog=_MAIN_EXAMPLES,
        formatter_class=_QUICK,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"convlint {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, add in _ADDERS.items():
        if only in (None, name):
            add(subparsers)
    return parser


def _add_rule(subparsers: argparse._SubParsersAction[Parser]) -> None:
    rule = _add(subparsers, "rule", "show one rule: when it fires, why, and what to write instead")
    rule.add_argument("rule", metavar="CODE|NAME", help="for example CL104 or hypot")
    _add_rule_paths(rule)
    text = "write this format; default: markdown"
    rule.add_argument("--format", choices=("markdown", "json"), default="markdown", help=text)


def _add_doctor(subparsers: argparse._SubParsersAction[Parser]) -> None:
    doctor = _add(subparsers, "doctor", "show versions, and whether a trial conversion can run here")
    _add_rule_paths(doctor)
    _add_terminal_or_json(doctor)


def _add_explain(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "say what an error of coremltools, torch, Core ML or Xcode means, and which rule is about it"
    explain = _add(subparsers, "explain", text, _EXPLAIN_EXAMPLES)
    text = "the error, in quotes; - reads it from standard input"
    explain.add_argument("text", nargs="+", metavar="TEXT", help=text)
    _add_rule_paths(explain)
    _add_terminal_or_json(explain)


def _add_rules(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add ``rules`` and its actions. Options of both may stand on either side of the action."""
    from convlint.rules.rule import CATEGORIES

    text = "list the rules, run their examples, or start a new one"
    rules = _add(subparsers, "rules", text, _RULES_EXAMPLES)
    _add_rule_paths(rules)
    _add_terminal_or_json(rules)
    rules.set_defaults(action="list")
    actions = rules.add_subparsers(dest="action", metavar="ACTION", title="actions (default: list)")
    parsers = {}
    for name, usage, text in (
        ("list", "", "list the rules"),
        ("test", "[RULE ...]", "run the examples of rules: report, convert, compare"),
        ("new", "NAME", "write the file of a new rule for you to fill in"),
    ):
        parser = parsers[name] = actions.add_parser(
            name,
            usage=f"convlint rules {name} {usage} [options]".replace("  ", " "),
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            argument_default=argparse.SUPPRESS,
            allow_abbrev=False,
        )
        parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
        _add_rule_paths(parser)
        parser.add_argument("--format", choices=("terminal", "json"), help=FORMAT_HELP)
        parser.set_defaults(parser=parser)
    text = "run these: code, beginning of one, name or category; default: all"
    parsers["test"].add_argument("rules", nargs="*", metavar="RULE", default=[], help=text)
    new = parsers["new"]
    new.add_argument(
        "name",
        metavar="NAME",
        help="name of the rule: small letters, digits and hyphens, such as max-pool-kernel",
    )
    new.add_argument(
        "--category",
        choices=tuple(CATEGORIES),
        default="support",
        help="put the rule there; default: support",
    )
    text = "write into this folder; default: the first of rule-paths, else rules"
    new.add_argument("--path", metavar="DIR", default=None, help=text)


def _add(subparsers: argparse._SubParsersAction[Parser], name: str, text: str, epilog: str = "") -> Parser:
    parser = subparsers.add_parser(
        name,
        usage=f"convlint {name} {USAGES[name]} [options]".replace("  ", " "),
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=epilog,
        formatter_class=_QUICK,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(parser=parser)
    return parser


def _add_rule_paths(parser: argparse._ActionsContainer) -> None:
    text = "load more rules from this file or folder; repeatable"
    parser.add_argument("--rule-path", action="append", metavar="PATH", help=text)


def _add_terminal_or_json(parser: Parser) -> None:
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal", help=FORMAT_HELP)


def _add_check(subparsers: argparse._SubParsersAction[Parser]) -> None:
    parser = _add(
        subparsers, "check", "check whether a model converts, and say what stops it", _CHECK_EXAMPLES
    )
    add_check_options(parser)
    _add_rule_paths(parser)


def _add_baseline(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "record today's findings as known, or remove those that are gone from that file"
    parser = _add(subparsers, "baseline", text, _BASELINE_EXAMPLES)
    parser.add_argument(
        "action", choices=("write", "prune"), help="write the file anew, or remove what is gone"
    )
    add_baseline_options(parser)
    _add_rule_paths(parser)


def _add_init(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "find the models of this project, and start a configuration and a pre-commit hook"
    parser = _add(subparsers, "init", text)
    parser.add_argument("-y", "--yes", action="store_true", help="write without asking")


def _add_completion(subparsers: argparse._SubParsersAction[Parser]) -> None:
    parser = _add(
        subparsers, "completion", "print the completion of the command line for a shell", _COMPLETION_EXAMPLES
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _add_compare(subparsers: argparse._SubParsersAction[Parser]) -> None:
    parser = _add(
        subparsers,
        "compare",
        "try every installed runtime for devices, side by side",
        _COMPARE_EXAMPLES,
    )
    add_compare_options(parser)
    _add_rule_paths(parser)
    _add_terminal_or_json(parser)


def _add_fix(subparsers: argparse._SubParsersAction[Parser]) -> None:
    parser = _add(
        subparsers, "fix", "change a model so that it converts, and prove the changes", _FIX_EXAMPLES
    )
    add_fix_options(parser)
    _add_rule_paths(parser)
    _add_terminal_or_json(parser)


def _add_server(subparsers: argparse._SubParsersAction[Parser]) -> None:
    _add(subparsers, "server", "serve an editor: the language server protocol on standard input and output")


def _add_plan(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "forecast where each op would run on an Apple chip, how long that takes, and what blocks it"
    parser = _add(subparsers, "plan", text, _PLAN_EXAMPLES)
    add_plan_options(parser)


def _add_calibrate(subparsers: argparse._SubParsersAction[Parser]) -> None:
    from convlint.cli.calibrate import add_calibrate_options

    text = "fit the numbers of a chip to what was measured on it, for later plans"
    parser = _add(subparsers, "calibrate", text, _CALIBRATE_EXAMPLES)
    add_calibrate_options(parser)
    _add_terminal_or_json(parser)


def _add_catalogue(subparsers: argparse._SubParsersAction[Parser]) -> None:
    from convlint.cli.catalogue import add_catalogue_options

    text = "look up which architectures convert, how large they are and how fast, as they were measured"
    parser = _add(subparsers, "catalogue", text, _CATALOGUE_EXAMPLES)
    add_catalogue_options(parser)
    _add_terminal_or_json(parser)


_ADDERS = {
    "check": _add_check,
    "fix": _add_fix,
    "compare": _add_compare,
    "plan": _add_plan,
    "calibrate": _add_calibrate,
    "baseline": _add_baseline,
    "init": _add_init,
    "rule": _add_rule,
    "rules": _add_rules,
    "doctor": _add_doctor,
    "explain": _add_explain,
    "catalogue": _add_catalogue,
    "completion": _add_completion,
    "server": _add_server,
}
