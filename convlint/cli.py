"""The command line: arguments in, exit code out. What the commands do stands in :mod:`convlint.commands`.

Nothing of torch, coremltools, rich or networkx is imported here, so that help and mistakes are
answered at once.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import os
import re
import sys
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn, TextIO

from convlint import __version__, cli_options
from convlint.errors import ConvlintError, ModelError, RuleError, UsageError
from convlint.nearest import did_you_mean
from convlint.text import one_line, visible

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from convlint import supervision

EXIT_INTERNAL = 3
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
EXIT_TERMINATED = 143
_ASKED = {EXIT_INTERRUPTED: "interrupted", EXIT_TERMINATED: "terminated"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_RUNS_MODELS = ("check", "fix", "compare", "baseline", "plan")
_FOLDERLESS = ("completion", "doctor", "rule")

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
  convlint compare my/models.py:Net --input 1x3x64x64 --door onnx --door coreml-export

exit codes:
  0 some door takes the model   1 none does   2 bad use or configuration
  3 the model could not be imported, built or run
"""
_PLAN_EXAMPLES = """\
examples:
  convlint plan torchvision.models:resnet50 --input 1x3x224x224
  convlint plan my/models.py:Net --input 1x3x64x64 --chip M2 --os macOS14 --compute-units cpu+ane
  convlint plan --model segmenter --format markdown

A forecast from published measurements: nothing is run on a device, unless --measure is given on a Mac.
exit codes:
  0 planned   2 bad use or configuration   3 the model could not be imported, built or captured
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

_BASELINE_EXAMPLES = """\
examples:
  convlint baseline write     # every configured model; check then fails on new findings alone
  convlint baseline prune     # after findings were mended
"""
_COMPLETION_EXAMPLES = """\
examples:
  source <(convlint completion bash)                                          # in ~/.bashrc
  source <(convlint completion zsh)                                           # in ~/.zshrc
  convlint completion fish > ~/.config/fish/completions/convlint.fish
"""

_USAGES = {
    "check": "[SPEC]",
    "fix": "[SPEC]",
    "compare": "[SPEC]",
    "baseline": "write|prune",
    "init": "",
    "plan": "[SPEC]",
    "rule": "CODE|NAME",
    "rules": "[list|test|new]",
    "doctor": "",
    "completion": "bash|zsh|fish",
}


_QUICK = partial(argparse.RawDescriptionHelpFormatter, width=80)
"""Argparse makes a formatter for every option that is added; none needs the width of the terminal then."""


class _Parser(argparse.ArgumentParser):
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
        if message:  # argparse keeps it to itself where the stream takes nothing
            (file or sys.stderr).write(message)

    def options(self) -> list[str]:
        """Every option that this parser knows."""
        return [option for action in self._actions for option in action.option_strings]


def main(argv: Sequence[str] | None = None, *, own_process: bool = False) -> int:
    """Run one command and return its exit code.

    ``own_process`` says that stdout is ours alone: during a check, what anything else prints there
    then goes to stderr for the rest of the process. The work is then done in a child, since a model's
    own code may end its process; its parent returns here too, with what became of it.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    out: TextIO = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - there may be no stdout
    debug = "--debug" in arguments
    watched = False
    try:
        options = _parse(arguments)
        if options.command not in _FOLDERLESS:
            _need_folder()
        if own_process and _runs_models(options):
            ended = _in_child(options)
            if ended is not None:
                if sys.stderr.isatty():
                    sys.stderr.write("\r\x1b[2K")  # the progress line of who cannot take it away any more
                if ended.problem:
                    raise ModelError(ended.problem)
                if ended.code in _ASKED:
                    print(f"convlint: {_ASKED[ended.code]}", file=sys.stderr)  # noqa: T201
                return ended.code
            watched = hasattr(os, "fork")
            from convlint.sandbox import claim_stdout

            out = claim_stdout()
        code = _run_command(options, out)
        out.flush()
        if own_process and _runs_models(options):
            from convlint.sandbox import stop_if_interrupted

            stop_if_interrupted()
    except ConvlintError as error:
        if debug:
            raise
        with contextlib.suppress(OSError):
            report_error(error, out, json_format=_wants_json(arguments))
        return error.exit_code
    except KeyboardInterrupt as error:
        code = EXIT_INTERRUPTED if type(error) is KeyboardInterrupt else EXIT_TERMINATED
        if not watched:  # who watches knows whether it was the user or the model that asked
            print(f"convlint: {_ASKED[code]}", file=sys.stderr)  # noqa: T201
        return code
    except BrokenPipeError:
        _let_go(out)  # nobody reads any more
        return EXIT_BROKEN_PIPE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            _let_go(out)
            return _told_of_output(error)
        if debug:
            raise
        if isinstance(error, OSError) and isinstance(error.filename, str):
            report_error(UsageError(f"cannot use {error.filename}: {error.strerror or error}."), sys.stderr)
            return UsageError.exit_code
        hint = "this is a mistake in convlint; run again with --debug for its traceback"
        print(  # noqa: T201
            visible(f"convlint: internal error: {type(error).__name__}: {error} ({hint})"), file=sys.stderr
        )
        return EXIT_INTERNAL
    return code


def run() -> NoReturn:
    """The entry point of the ``convlint`` program."""
    from convlint import supervision
    from convlint.sandbox import leave_behind, open_closed_streams

    open_closed_streams()
    try:
        code = main(own_process=True)
    except SystemExit as leave:  # --help and --version
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _let_go(sys.stdout)
        except OSError as error:
            _let_go(sys.stdout)
            code = _told_of_output(error)
    except BaseException:
        supervision.done(1)
        raise
    if code not in _ASKED:
        supervision.done(code)
    if "convlint.spec" in sys.modules:  # which imports the user's code
        leave_behind(code)
    gc.freeze()  # what is left dies with the process: looking through it once more would take a tenth of it
    sys.exit(code)


def _in_child(options: argparse.Namespace) -> supervision.Ended | None:
    """Go on in a child process, where the system has such; the parent gets what became of it.

    One of several models that ends the process is answered with that, and another child looks at the rest.
    """
    from convlint import supervision
    from convlint.sandbox import listen_for_end

    options.ended, options.told = {}, 0
    while hasattr(os, "fork"):
        ended = supervision.fork()
        if ended is None:
            break
        if not ended.problem or ended.model < 0 or ended.model in options.ended:
            return ended
        options.ended[ended.model] = ended.problem
        options.told = ended.told
    listen_for_end()
    return None


def _runs_models(options: argparse.Namespace) -> bool:
    """Whether a command runs other people's code: models, and the examples of rules."""
    return options.command in _RUNS_MODELS or (options.command == "rules" and options.action == "test")


def _need_folder() -> None:
    """Every path starts from the working folder, which may have been removed under the shell in it."""
    try:
        os.stat(os.path.join(os.getcwd(), os.curdir))
    except OSError as error:
        raise UsageError(
            f"the working folder cannot be used ({error.strerror}): it was removed or may not be entered."
            " Change to another folder and run again."
        ) from None


def _told_of_output(error: OSError) -> int:
    """Say that standard output takes no more, and with which exit code that ends."""
    report_error(UsageError(f"cannot write to standard output: {error.strerror or error}."), sys.stderr)
    return UsageError.exit_code


def _let_go(out: TextIO) -> None:
    """Have what is left in the buffer of a stream go nowhere, so that its end says nothing more of it."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def report_error(error: ConvlintError, out: TextIO, *, json_format: bool = False) -> None:
    """One paragraph on stderr, and a document on ``out`` where the caller asked for JSON."""
    text = one_line(str(error), 20000)
    if isinstance(error, RuleError):
        text = "the rules cannot be loaded:" + "".join(f"\n  {one_line(each)}" for each in error.problems)
    text = re.sub(r"\S{600,}", lambda word: f"{word[0][:200]}\u2026{word[0][-60:]}", text)
    print(f"convlint: error: {visible(text)}", file=sys.stderr)  # noqa: T201
    if json_format:
        from convlint.output.json import dumps, error_to_dict

        out.write(dumps(error_to_dict(error)))
        out.flush()


def _wants_json(arguments: Sequence[str]) -> bool:
    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    # The precision may be left out, and what follows is then the model.
    arguments = [
        "--parity=float32" if word == "--parity" and ":" in following else word
        for word, following in pairwise([*arguments, ""])
    ]
    named = arguments[0] if arguments else ""
    parser = build_parser(named if named in _USAGES else None)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        word = unknown[0].partition("=")[0]
        known: list[str] = options.parser.options() if "parser" in options else parser.options()
        what = "option" if word.startswith("-") else "argument"
        raise UsageError(f"unknown {what} {word!r}.{did_you_mean(word, known)} See `convlint --help`.")
    if options.command is None:
        parser.error("no command is given")
    return options


def build_parser(only: str | None = None) -> _Parser:
    """The parser with all its commands, or with ``only`` one, which takes a tenth of the time."""
    parser = _Parser(
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


def _add_rule(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    rule = _add(subparsers, "rule", "show one rule: when it fires, why, and what to write instead")
    rule.add_argument("rule", metavar="CODE|NAME", help="for example CL104 or hypot")
    _add_rule_paths(rule)
    rule.add_argument("--format", choices=("markdown", "json"), default="markdown", help="default: markdown")


def _add_doctor(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    doctor = _add(subparsers, "doctor", "show versions, and whether a trial conversion can run here")
    _add_rule_paths(doctor)
    _add_terminal_or_json(doctor)


def _add_rules(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    """``rules`` and its actions. What both take may stand on either side of the action."""
    from convlint.rule import CATEGORIES

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
        formatter_class=_QUICK,
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
    cli_options.add_check_options(parser)
    _add_rule_paths(parser)


def _add_baseline(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    text = "write down the findings of today as known, or take out of that file what is gone"
    parser = _add(subparsers, "baseline", text, _BASELINE_EXAMPLES)
    parser.add_argument("action", choices=("write", "prune"), help="write it anew, or take out what is gone")
    cli_options.add_baseline_options(parser)
    _add_rule_paths(parser)


def _add_init(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    text = "look for models in this project, and begin a configuration and a pre-commit hook"
    parser = _add(subparsers, "init", text)
    parser.add_argument("-y", "--yes", action="store_true", help="write without asking")


def _add_completion(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add(
        subparsers, "completion", "print the completion of the command line for a shell", _COMPLETION_EXAMPLES
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def _add_compare(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add(
        subparsers,
        "compare",
        "try every door onto a device that is installed, side by side",
        _COMPARE_EXAMPLES,
    )
    cli_options.add_compare_options(parser)
    _add_rule_paths(parser)
    _add_terminal_or_json(parser)


def _add_fix(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    parser = _add(
        subparsers, "fix", "change a model so that it converts, and prove the changes", _FIX_EXAMPLES
    )
    cli_options.add_fix_options(parser)
    _add_rule_paths(parser)
    _add_terminal_or_json(parser)


def _add_plan(subparsers: argparse._SubParsersAction[_Parser]) -> None:
    text = "forecast where each op would run on an Apple chip, how long that takes, and what blocks it"
    parser = _add(subparsers, "plan", text, _PLAN_EXAMPLES)
    cli_options.add_plan_options(parser)


_ADDERS = {
    "check": _add_check,
    "fix": _add_fix,
    "compare": _add_compare,
    "plan": _add_plan,
    "baseline": _add_baseline,
    "init": _add_init,
    "rule": _add_rule,
    "rules": _add_rules,
    "doctor": _add_doctor,
    "completion": _add_completion,
}


def _run_command(options: argparse.Namespace, out: TextIO) -> int:
    """Import the module of the command, and no other's."""
    if options.command in ("check", "baseline"):
        from convlint import commands

        if options.command == "check" and options.watch:
            from convlint.watch import watch

            return watch(options, out, commands.check)
        return commands.check(options, out) if options.command == "check" else commands.baseline(options, out)
    if options.command == "fix":
        from convlint.fix_command import fix

        return fix(options, out)
    if options.command == "compare":
        from convlint.compare_command import compare

        return compare(options, out)
    if options.command == "plan":
        from convlint.plan_command import plan

        return plan(options, out)
    if options.command == "init":
        from convlint.init_command import init

        return init(options, out)
    if options.command == "completion":
        from convlint.completion import completion

        out.write(completion(build_parser(), options.shell))
        return 0
    from convlint import rule_commands

    command = {"rule": rule_commands.rule, "rules": rule_commands.rules, "doctor": rule_commands.doctor}
    return command[options.command](options, out)
