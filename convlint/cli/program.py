"""The program: arguments in, exit code out. Each command is in a module of its own.

It imports nothing of torch, coremltools, rich or networkx, so help and mistakes are answered at once.
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
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn, TextIO

from convlint.cli.parser import USAGES, build_parser
from convlint.errors import ConvlintError, FileError, ModelError, RuleError, SettingsError, UsageError
from convlint.nearest import did_you_mean
from convlint.text import one_line, visible

if TYPE_CHECKING:
    from convlint import supervision

EXIT_INTERNAL = 3
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
EXIT_TERMINATED = 143
_ASKED = {EXIT_INTERRUPTED: "interrupted", EXIT_TERMINATED: "terminated"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_RUNS_MODELS = ("check", "fix", "plan", "compress", "compare", "upgrade", "baseline")
_FOLDERLESS = ("catalogue", "completion", "doctor", "explain", "rule", "server")


def main(argv: Sequence[str] | None = None, *, own_process: bool = False) -> int:
    """Run one command and return its exit code.

    ``own_process`` says that stdout is ours alone: during a check, what anything else prints there goes
    to stderr for the rest of the process. The work is then done in a child process, because a model's own
    code may end its process; the parent returns from here with the child's exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    out: TextIO = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - there may be no stdout
    debug = "--debug" in arguments
    watched = False
    try:
        options = _parse(arguments)
        _choose_colours(options.color)
        if options.command not in _FOLDERLESS:
            _need_folder()
        if own_process and _runs_models(options):
            ended = _in_child(options)
            if ended is not None:
                if sys.stderr.isatty():
                    sys.stderr.write(
                        "\r\x1b[2K"
                    )  # the progress line of a process that died before it could clear it
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
        if not watched:  # a supervising parent knows whether the user or the model asked
            print(f"convlint: {_ASKED[code]}", file=sys.stderr)  # noqa: T201
        return code
    except BrokenPipeError:
        _let_go(out)  # the reader is gone
        return EXIT_BROKEN_PIPE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            _let_go(out)
            return _report_output_error(error)
        if debug:
            raise
        if isinstance(error, OSError) and isinstance(error.filename, str):
            report_error(UsageError(f"cannot use {error.filename}: {error.strerror or error}."), sys.stderr)
            return UsageError.exit_code
        hint = "this is a bug in convlint; run again with --debug for its traceback"
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
            code = _report_output_error(error)
    except BaseException:
        supervision.done(1)
        raise
    if code not in _ASKED:
        supervision.done(code)
    if "convlint.usercode.spec" in sys.modules:  # the module that imports the user's code
        leave_behind(code)
    gc.freeze()  # the rest dies with the process: collecting it once more would take a tenth of the run
    sys.exit(code)


def _choose_colours(when: str | None) -> None:
    """Let ``--color`` hold over the environment, for this process and those that it starts."""
    if when == "always":
        os.environ["FORCE_COLOR"] = "1"
        os.environ.pop("NO_COLOR", None)
    elif when == "never":
        os.environ["NO_COLOR"] = "1"
        os.environ.pop("FORCE_COLOR", None)


def _in_child(options: argparse.Namespace) -> supervision.Ended | None:
    """Continue in a child process, where the system can fork; the parent gets how the child ended.

    When one of several models ends the process, that is its result, and another child checks the rest.
    """
    from convlint import supervision
    from convlint.sandbox import listen_for_end

    options.ended, options.reported = {}, 0
    while hasattr(os, "fork"):
        ended = supervision.fork()
        if ended is None:
            break
        if not ended.problem or ended.model < 0 or ended.model in options.ended:
            return ended
        options.ended[ended.model] = ended.problem
        options.reported = ended.reported
    listen_for_end()
    return None


def _runs_models(options: argparse.Namespace) -> bool:
    """Whether a command runs other people's code: models, and the examples of rules."""
    return options.command in _RUNS_MODELS or (options.command == "rules" and options.action == "test")


def _need_folder() -> None:
    """Raise where the working folder, from which every path starts, was removed under the shell."""
    try:
        os.stat(os.path.join(os.getcwd(), os.curdir))
    except OSError as error:
        raise UsageError(
            f"the working folder cannot be used ({error.strerror}): it was removed or may not be entered."
            " Change to another folder and run again."
        ) from None


def _report_output_error(error: OSError) -> int:
    """Report that standard output cannot be written to, and return the exit code for that."""
    report_error(UsageError(f"cannot write to standard output: {error.strerror or error}."), sys.stderr)
    return UsageError.exit_code


def _let_go(out: TextIO) -> None:
    """Discard what is left in the buffer of a stream, so that Python reports no error about it at exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def report_error(error: ConvlintError, out: TextIO, *, json_format: bool = False) -> None:
    """Write one paragraph to stderr, and a document to ``out`` where the caller asked for JSON."""
    text = one_line(str(error), 20000)
    if isinstance(error, RuleError) or (isinstance(error, FileError) and len(error.problems) > 1):
        what = "the rules cannot be loaded" if isinstance(error, RuleError) else "some files cannot be used"
        what = "the configuration cannot be loaded" if isinstance(error, SettingsError) else what
        text = what + ":" + "".join(f"\n  {one_line(each)}" for each in error.problems)
    text = re.sub(r"\S{600,}", lambda word: f"{word[0][:200]}\u2026{word[0][-60:]}", text)
    print(f"convlint: error: {visible(text)}", file=sys.stderr)  # noqa: T201
    if json_format:
        from convlint.output.json import dumps, error_to_dict

        out.write(dumps(error_to_dict(error)))
        out.flush()


def _wants_json(arguments: Sequence[str]) -> bool:
    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    # Where the precision is left out, the next word is the model.
    arguments = [
        "--parity=float32" if word == "--parity" and ":" in following else word
        for word, following in pairwise([*arguments, ""])
    ]
    if arguments[:2] == ["plan", "calibrate"]:  # as a part of what plans are made of
        arguments = arguments[1:]
    named = arguments[0] if arguments else ""
    parser = build_parser(named if named in USAGES else None)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        word = unknown[0].partition("=")[0]
        known: list[str] = options.parser.options() if "parser" in options else parser.options()
        what = "option" if word.startswith("-") else "argument"
        raise UsageError(f"unknown {what} {word!r}.{did_you_mean(word, known)} See `convlint --help`.")
    if options.command is None:
        parser.error("no command is given")
    return options


def _run_command(namespace: argparse.Namespace, out: TextIO) -> int:
    """Run the command from its request, importing only the module of that command."""
    if namespace.command in _RUNS_MODELS:
        return _run_models(namespace, out)
    if namespace.command == "config":
        from convlint.cli.config import check_settings, show_settings
        from convlint.cli.requests import check_request

        return (check_settings if namespace.check else show_settings)(check_request(namespace), out)
    if namespace.command == "init":
        from convlint.cli.init import init

        return init(out, yes=namespace.yes)
    if namespace.command == "completion":
        from convlint.cli.completion import completion

        out.write(completion(build_parser(), namespace.shell))
        return 0
    if namespace.command == "explain":
        from convlint.cli.explain import explain

        return explain(namespace, out)
    if namespace.command == "server":
        from convlint.cli.server import server

        return server()
    if namespace.command == "calibrate":
        from convlint.cli.calibrate import calibrate

        return calibrate(namespace, out)
    if namespace.command == "catalogue":
        from convlint.cli.catalogue import catalogue

        return catalogue(namespace, out)
    from convlint.cli import rules

    command = {"rule": rules.rule, "rules": rules.rules, "doctor": rules.doctor}
    return command[namespace.command](namespace, out)


def _run_models(namespace: argparse.Namespace, out: TextIO) -> int:
    from convlint.cli import requests

    if namespace.command == "fix":
        from convlint.cli.fix import fix, fix_request

        return fix(fix_request(namespace), out)
    if namespace.command == "compare":
        from convlint.cli.compare import compare, compare_request

        return compare(compare_request(namespace), out)
    if namespace.command == "plan":
        from convlint.cli.plan import plan, plan_request

        return plan(plan_request(namespace), out)
    if namespace.command == "compress":
        from convlint.cli.compress import compress, compress_request

        return compress(compress_request(namespace), out)
    if namespace.command == "upgrade":
        from convlint.cli.upgrade import upgrade, upgrade_request

        return upgrade(upgrade_request(namespace), out)
    from convlint.cli import check

    request = requests.check_request(namespace)
    if namespace.command == "check" and namespace.show_settings:
        from convlint.cli.config import show_settings

        return show_settings(request, out)
    if request.releases:
        from convlint.cli.upgrade import upgrade

        return upgrade(request, out)
    if namespace.command == "baseline":
        return check.baseline(request, prune=namespace.action == "prune")
    return check.watch(request, out) if namespace.watch else check.check(request, out)
