"""The command line: arguments in, exit code out. What the commands do stands in :mod:`convlint.commands`.

Nothing of torch, coremltools, rich or networkx is imported here, so that help and mistakes are
answered at once.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import NoReturn, TextIO

from convlint import __version__, commands, fix_command, rule_commands
from convlint.config import FRONTENDS, NO_TRIAL, TRIAL_LEVELS
from convlint.errors import ConvlintError, RuleError, UsageError
from convlint.model import SEVERITIES
from convlint.nearest import did_you_mean
from convlint.rule import CATEGORIES
from convlint.sandbox import claim_stdout
from convlint.text import visible

EXIT_INTERNAL = 3
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

_CHECK_EXAMPLES = """\
examples:
  convlint check torchvision.models:resnet50 --input 1x3x224x224
  convlint check my/models.py:Segmenter --arg width=64 --input image=1x3x512x512:float32 --target iOS17
  convlint check transformers:LlamaForCausalLM --arg-expr 'config=transformers.LlamaConfig()' \\
      --input input_ids=1x64:int64
  convlint check --model segmenter    # from [tool.convlint] in pyproject.toml
  convlint check                      # every model configured there
  convlint check my/models.py:Net --input 1x3x64x64 --diff-coremltools 9.0 9.1.dev1

exit codes:
  0 clean   1 findings at or above --fail-on   2 bad use or configuration
  3 the model could not be imported, built or captured
"""
_FIX_EXAMPLES = """\
examples:
  convlint fix torchvision.models:swin_t --input 1x3x224x224
  convlint fix my/models.py:Net --input 1x3x64x64 --write

exit codes:
  0 the fixed model converts   1 something is left   2 bad use or configuration
  3 the model could not be imported, built or run
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

_USAGES = {"check": "[SPEC]", "fix": "[SPEC]", "rule": "CODE|NAME", "rules": "[list|test|new]", "doctor": ""}


class _Parser(argparse.ArgumentParser):
    """An argument parser whose mistakes are ordinary errors of convlint."""

    def error(self, message: str) -> NoReturn:
        hint = ""
        if wrong := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            hint = did_you_mean(wrong[1], [choice.strip("' ") for choice in wrong[2].split(",")])
        raise UsageError(f"{message.rstrip('.')}.{hint} See `{self.prog} --help`.")

    def options(self) -> list[str]:
        """Every option that this parser knows."""
        return [option for action in self._actions for option in action.option_strings]


def main(argv: Sequence[str] | None = None, *, own_process: bool = False) -> int:
    """Run one command and return its exit code.

    ``own_process`` says that stdout is ours alone: during a check, what anything else prints there
    then goes to stderr for the rest of the process.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    out: TextIO = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - there may be no stdout
    debug = "--debug" in arguments
    try:
        options = _parse(arguments)
        if own_process and options.command in ("check", "fix"):
            out = claim_stdout()
        code = _COMMANDS[options.command](options, out)
        out.flush()
    except ConvlintError as error:
        if debug:
            raise
        report_error(error, out, json_format=_wants_json(arguments))
        return error.exit_code
    except KeyboardInterrupt:
        print("convlint: interrupted", file=sys.stderr)  # noqa: T201
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # nobody reads any more
        return EXIT_BROKEN_PIPE
    except Exception as error:
        if debug:
            raise
        hint = "this is a mistake in convlint; run again with --debug for its traceback"
        print(  # noqa: T201
            visible(f"convlint: internal error: {type(error).__name__}: {error} ({hint})"), file=sys.stderr
        )
        return EXIT_INTERNAL
    return code


def run() -> NoReturn:
    """The entry point of the ``convlint`` program."""
    # A check makes many small objects and keeps them: collecting every 700 costs a tenth of its time.
    gc.set_threshold(100_000, 50, 100)
    sys.exit(main(own_process=True))


def report_error(error: ConvlintError, out: TextIO, *, json_format: bool) -> None:
    """One paragraph on stderr, and a document on ``out`` where the caller asked for JSON."""
    text = str(error)
    if isinstance(error, RuleError):
        text = "the rules cannot be loaded:" + "".join(f"\n  {problem}" for problem in error.problems)
    print(f"convlint: error: {visible(text)}", file=sys.stderr)  # noqa: T201
    if json_format:
        from convlint.output.json import dumps, error_to_dict

        out.write(dumps(error_to_dict(error)))
        out.flush()


def _wants_json(arguments: Sequence[str]) -> bool:
    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = build_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        word = unknown[0].partition("=")[0]
        known: list[str] = options.parser.options() if "parser" in options else parser.options()
        what = "option" if word.startswith("-") else "argument"
        raise UsageError(f"unknown {what} {word!r}.{did_you_mean(word, known)} See `convlint --help`.")
    if options.command is None:
        parser.error("no command is given")
    return options


def build_parser() -> _Parser:
    """The parser with all its commands."""
    parser = _Parser(
        prog="convlint",
        description="Does a PyTorch architecture convert to Core ML? Asked before training, without weights.",
        epilog=_MAIN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"convlint {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_check(subparsers)
    _add_fix(subparsers)
    rule = _add(subparsers, "rule", "show one rule: when it fires, why, and what to write instead")
    rule.add_argument("rule", metavar="CODE|NAME", help="for example CL104 or hypot")
    _add_rule_paths(rule)
    rule.add_argument("--format", choices=("markdown", "json"), default="markdown", help="default: markdown")
    _add_rules(subparsers)
    doctor = _add(subparsers, "doctor", "show versions, and whether a trial conversion can run here")
    _add_rule_paths(doctor)
    _add_terminal_or_json(doctor)
    return parser


def _add_rules(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    """``rules`` and its actions. What both take may stand on either side of the action."""
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
        ("new", "NAME", "write the file of a new rule, to be filled in"),
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
        parser.add_argument("--format", choices=("terminal", "json"), help="default: terminal")
        parser.set_defaults(parser=parser)
    text = "code, beginning of one, name or category; default: all"
    parsers["test"].add_argument("rules", nargs="*", metavar="RULE", default=[], help=text)
    new = parsers["new"]
    new.add_argument("name", metavar="NAME", help="small letters, digits and hyphens: max-pool-kernel")
    new.add_argument("--category", choices=tuple(CATEGORIES), default="support", help="default: support")
    text = "folder of the file; default: the first of rule-paths, else rules"
    new.add_argument("--path", metavar="DIR", default=None, help=text)


def _add(subparsers: argparse._SubParsersAction[_Parser], name: str, text: str, epilog: str = "") -> _Parser:
    parser = subparsers.add_parser(
        name,
        usage=f"convlint {name} {_USAGES[name]} [options]".replace("  ", " "),
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    parser.set_defaults(parser=parser)
    return parser


def _add_rule_paths(parser: argparse._ActionsContainer) -> None:
    text = "a file or folder of more rules; repeat for several"
    parser.add_argument("--rule-path", action="append", metavar="PATH", help=text)


def _add_terminal_or_json(parser: _Parser) -> None:
    parser.add_argument(
        "--format", choices=("terminal", "json"), default="terminal", help="default: terminal"
    )


def _add_check(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add(
        subparsers, "check", "check whether a model converts, and say what stops it", _CHECK_EXAMPLES
    )
    what = parser.add_argument_group("what to check")
    what.add_argument(
        "spec",
        nargs="?",
        metavar="SPEC",
        help="module:attr or path.py:attr; attr is an nn.Module subclass, a function that returns a model,"
        " or a model. Without SPEC: the models of [tool.convlint] in pyproject.toml",
    )
    what.add_argument("--model", action="append", metavar="NAME", help="a configured model; repeatable")
    what.add_argument(
        "--input",
        action="append",
        metavar="SPEC",
        help="one input tensor, [NAME=]SHAPE[:DTYPE]; with a name it is a keyword argument of forward",
    )
    what.add_argument("--arg", action="append", metavar="K=V", help="a constructor argument: literal or text")
    what.add_argument(
        "--arg-expr",
        action="append",
        metavar="K=EXPR",
        help="a constructor argument as Python, evaluated like the model's own code; modules are imported"
        " as they are named",
    )
    how = parser.add_argument_group("how to check")
    how.add_argument(
        "--target", metavar="TARGET", help="iOS15 to iOS18, iOS26, macOS12 and so on; default: iOS17"
    )
    how.add_argument("--frontend", choices=FRONTENDS, help="the way into coremltools; default: auto")
    trial = how.add_mutually_exclusive_group()
    trial.add_argument(
        "--trial",
        choices=TRIAL_LEVELS,
        help="how far to convert for real: translation of the ops (default), the passes after it, or a whole"
        " model package with random weights",
    )
    trial.add_argument("--no-trial", dest="trial", action="store_const", const=NO_TRIAL, help="rules alone")
    how.add_argument(
        "--timeout", type=float, metavar="SECONDS", help="limit for user code and trial; default: 120"
    )
    how.add_argument(
        "--parity",
        nargs="?",
        choices=("float32", "float16"),
        const="float32",
        metavar="PRECISION",
        help="also run the converted program and compare it with PyTorch: float32 (default) or float16",
    )
    how.add_argument("--output", metavar="PATH", help="keep the model package of --trial full here")
    how.add_argument(
        "--coremltools", metavar="VERSION", help="lint for this release instead of the installed one"
    )
    how.add_argument(
        "--diff-coremltools",
        nargs=2,
        metavar=("FROM", "TO"),
        help="show what changing from one release to the other would fix and break, by the rules alone",
    )
    rules = parser.add_argument_group("which rules")
    rules.add_argument(
        "--select",
        action="append",
        metavar="RULES",
        help="only these: codes, beginnings of codes, names or categories, separated by commas",
    )
    rules.add_argument("--ignore", action="append", metavar="RULES", help="all but these")
    rules.add_argument(
        "--fail-on", choices=SEVERITIES, help="lowest severity for exit code 1; default: error"
    )
    _add_rule_paths(rules)
    rules.add_argument("--why", metavar="RULE", help="say for each op why this rule did not fire on it")
    shown = parser.add_argument_group("what to show")
    shown.add_argument(
        "--format", choices=("terminal", "concise", "json"), default="terminal", help="default: terminal"
    )
    shown.add_argument("-q", "--quiet", action="store_true", help="findings only")


def _add_fix(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add(
        subparsers, "fix", "change a model so that it converts, and prove the changes", _FIX_EXAMPLES
    )
    what = parser.add_argument_group("what to fix")
    what.add_argument("spec", nargs="?", metavar="SPEC", help="as for check: module:attr or path.py:attr")
    what.add_argument("--model", metavar="NAME", help="a configured model")
    what.add_argument(
        "--input", action="append", metavar="SPEC", help="one input tensor, [NAME=]SHAPE[:DTYPE]"
    )
    what.add_argument("--arg", action="append", metavar="K=V", help="a constructor argument: literal or text")
    what.add_argument(
        "--arg-expr", action="append", metavar="K=EXPR", help="a constructor argument as Python"
    )
    how = parser.add_argument_group("how to fix")
    how.add_argument("--target", metavar="TARGET", help="iOS15 to iOS18, iOS26 and so on; default: iOS17")
    how.add_argument(
        "--unsafe", action="store_true", help="allow changes that give another result for some inputs"
    )
    how.add_argument(
        "--write",
        action="store_true",
        help="make the changes that can be said in source there; never outside the project",
    )
    _add_rule_paths(how)
    _add_terminal_or_json(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress")


_COMMANDS = {
    "check": commands.check,
    "fix": fix_command.fix,
    "rule": rule_commands.rule,
    "rules": rule_commands.rules,
    "doctor": rule_commands.doctor,
}
