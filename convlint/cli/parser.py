"""The parser of the command line: every command with its options and examples.

It imports nothing of torch, coremltools, rich or networkx, so help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse

from convlint import __version__
from convlint.cli import examples
from convlint.cli.help import QUICK, Parser
from convlint.cli.options import (
    add_baseline_options,
    add_check_options,
    add_compare_options,
    add_compress_options,
    add_config_options,
    add_fix_options,
    add_plan_options,
    add_upgrade_options,
)
from convlint.cli.shared_options import COLOURS, FORMAT_HELP

USAGES = {
    "check": "[SPEC]",
    "fix": "[SPEC]",
    "plan": "[SPEC]",
    "compress": "[SPEC]",
    "compare": "[SPEC]",
    "upgrade": "FROM TO [SPEC]",
    "baseline": "write|prune",
    "init": "",
    "calibrate": "PLAN ...",
    "config": "",
    "rule": "CODE|NAME",
    "rules": "[list|test|new]",
    "doctor": "",
    "explain": "TEXT|-",
    "catalogue": "[PATTERN | show NAME]",
    "completion": "bash|zsh|fish",
    "server": "",
}


_NAMED = ("--model", "--input", "--arg")
"""The options that say which model is meant."""


def build_parser(only: str | None = None) -> Parser:
    """The parser with all its commands, or with the command ``only``, which takes a tenth of the time."""
    parser = Parser(
        prog="convlint",
        description="Does a PyTorch architecture convert to Core ML? Asked before training, without weights.",
        epilog=examples.MAIN,
        formatter_class=QUICK,
        allow_abbrev=False,
    )
    text = "show the version, and exit"
    parser.add_argument("-V", "--version", action="version", version=f"convlint {__version__}", help=text)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, add in _ADDERS.items():
        if only in (None, name):
            add(subparsers)
    return parser


def _add_rule(subparsers: argparse._SubParsersAction[Parser]) -> None:
    rule = _add(subparsers, "rule", "show one rule: when it fires, why, and what to write instead")
    rule.add_argument("rule", metavar="CODE|NAME", help="for example CL104 or hypot")
    _add_rule_paths(rule)
    text = "write this format; default: terminal, which is Markdown where no terminal reads it"
    rule.add_argument("--format", choices=("terminal", "markdown", "json"), default="terminal", help=text)


def _add_doctor(subparsers: argparse._SubParsersAction[Parser]) -> None:
    doctor = _add(subparsers, "doctor", "show versions, and whether a trial conversion can run here")
    _add_rule_paths(doctor)
    _add_terminal_or_json(doctor)


def _add_explain(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "say what an error message means, and what to do about it"
    explain = _add(subparsers, "explain", text, examples.EXPLAIN)
    text = "the error, in quotes; - reads it from standard input"
    explain.add_argument("text", nargs="+", metavar="TEXT", help=text)
    _add_rule_paths(explain)
    _add_terminal_or_json(explain)


def _add_rules(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add ``rules`` and its actions. Options of both may stand on either side of the action."""
    from convlint.rules.rule import CATEGORIES

    text = "list the rules, run their examples, or start a new one"
    rules = _add(subparsers, "rules", text, examples.RULES)
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
        _add_general(parser)
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
        formatter_class=QUICK,
        allow_abbrev=False,
    )
    _add_general(parser)
    parser.set_defaults(parser=parser)
    return parser


def _add_general(parser: Parser) -> None:
    text = "use colours: on terminals, always or never; default: auto, which NO_COLOR and FORCE_COLOR change"
    parser.add_argument("--color", choices=COLOURS, help=text)
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def _add_rule_paths(parser: argparse._ActionsContainer) -> None:
    text = "load more rules from this file or folder; repeatable"
    parser.add_argument("--rule-path", action="append", metavar="PATH", help=text)


def _add_terminal_or_json(parser: Parser) -> None:
    parser.add_argument("--format", choices=("terminal", "json"), default="terminal", help=FORMAT_HELP)


def _add_check(subparsers: argparse._SubParsersAction[Parser]) -> None:
    parser = _add(
        subparsers, "check", "check whether a model converts, and say what stops it", examples.CHECK
    )
    add_check_options(parser)
    _add_rule_paths(parser)
    parser.keep_short(
        *_NAMED, "--target", "--parity", "--ignore", "--fail-on", "--format", "--report", "--full"
    )


def _add_baseline(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "accept today's findings, so that only new ones fail"
    parser = _add(subparsers, "baseline", text, examples.BASELINE)
    parser.add_argument(
        "action", choices=("write", "prune"), help="write the file anew, or remove what is gone"
    )
    add_baseline_options(parser)
    _add_rule_paths(parser)
    parser.keep_short("--model", "--baseline", "--target", "--select", "--ignore", "--jobs", "--quiet")


def _add_init(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "start a configuration and a pre-commit hook for this project"
    parser = _add(subparsers, "init", text)
    parser.add_argument("-y", "--yes", action="store_true", help="write without asking")


def _add_completion(subparsers: argparse._SubParsersAction[Parser]) -> None:
    parser = _add(subparsers, "completion", "print the completion for a shell", examples.COMPLETION)
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _add_compare(subparsers: argparse._SubParsersAction[Parser]) -> None:
    parser = _add(
        subparsers,
        "compare",
        "try every installed runtime for devices, side by side",
        examples.COMPARE,
    )
    add_compare_options(parser)
    _add_rule_paths(parser)
    parser.keep_short(*_NAMED, "--target", "--runtime", "--timeout", "--format", "--report")


def _add_fix(subparsers: argparse._SubParsersAction[Parser]) -> None:
    parser = _add(
        subparsers, "fix", "change a model so that it converts, and prove the changes", examples.FIX
    )
    add_fix_options(parser)
    _add_rule_paths(parser)
    parser.keep_short(*_NAMED, "--target", "--unsafe", "--for", "--write", "--emit", "--format", "--report")


def _add_server(subparsers: argparse._SubParsersAction[Parser]) -> None:
    _add(subparsers, "server", "serve an editor (language server protocol)")


def _add_plan(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "forecast where each op runs on an Apple chip, and how fast"
    parser = _add(subparsers, "plan", text, examples.PLAN)
    add_plan_options(parser)
    where = ("--chip", "--os", "--compute-units", "--max-ms", "--measure", "--diff")
    parser.keep_short(*_NAMED, *where, "--report")


def _add_compress(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "compress a model in several ways, and compare sizes and errors"
    parser = _add(subparsers, "compress", text, examples.COMPRESS)
    add_compress_options(parser)
    _add_rule_paths(parser)
    parser.keep_short(*_NAMED, "--to", "--precision", "--checkpoint", "--target", "--format", "--report")


def _add_upgrade(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "show what another release of coremltools would fix and break"
    parser = _add(subparsers, "upgrade", text, examples.UPGRADE)
    add_upgrade_options(parser)
    _add_rule_paths(parser)
    parser.keep_short(*_NAMED, "--target", "--fail-on", "--format", "--report")


def _add_config(subparsers: argparse._SubParsersAction[Parser]) -> None:
    text = "show every setting and its origin, or look for mistakes"
    parser = _add(subparsers, "config", text, examples.CONFIG)
    add_config_options(parser)
    _add_rule_paths(parser)
    parser.keep_short("--check", "--model", "--config", "--format")


def _add_calibrate(subparsers: argparse._SubParsersAction[Parser]) -> None:
    from convlint.cli.calibrate import add_calibrate_options

    text = "fit the numbers of a chip to what was measured on it, for later plans"
    parser = _add(subparsers, "calibrate", text, examples.CALIBRATE)
    add_calibrate_options(parser)
    _add_terminal_or_json(parser)


def _add_catalogue(subparsers: argparse._SubParsersAction[Parser]) -> None:
    from convlint.cli.catalogue import add_catalogue_options

    text = "look up which known architectures convert, and how fast they are"
    parser = _add(subparsers, "catalogue", text, examples.CATALOGUE)
    add_catalogue_options(parser)
    _add_terminal_or_json(parser)


_ADDERS = {
    "check": _add_check,
    "fix": _add_fix,
    "plan": _add_plan,
    "calibrate": _add_calibrate,
    "compress": _add_compress,
    "compare": _add_compare,
    "upgrade": _add_upgrade,
    "baseline": _add_baseline,
    "init": _add_init,
    "config": _add_config,
    "rule": _add_rule,
    "rules": _add_rules,
    "doctor": _add_doctor,
    "explain": _add_explain,
    "catalogue": _add_catalogue,
    "completion": _add_completion,
    "server": _add_server,
}
