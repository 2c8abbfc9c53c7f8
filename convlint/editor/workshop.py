"""The process that works: it has torch and coremltools loaded, and forks for every question.

A question is a line of JSON on standard input, an answer some lines on standard output, the last of which has
``done``. The process imports none of the user's modules, so that each fork reads them as they are then.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from convlint import supervision
from convlint.errors import ConvlintError

if TYPE_CHECKING:
    from convlint.editor.models import Wanted
    from convlint.model import Report
    from convlint.runs.cache.store import Cache
    from convlint.runs.session import Session
    from convlint.settings.project import Project

_KEPT = frozenset("convlint coremltools functorch mpmath networkx sympy timm torch torchvision".split())
"""Packages whose modules are kept for the next fork, once one has loaded them."""

Question = dict[str, Any]
Send = Callable[[dict[str, Any]], None]


def main() -> None:
    """Answer questions until standard input ends."""
    answers = os.dup(1)
    os.dup2(2, 1)  # what models print is for the log
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    # The editor asks to leave off by a signal, which reaches the fork; between two questions it is late.
    signal.signal(signal.SIGINT, lambda number, frame: None)

    def send(message: dict[str, Any]) -> None:
        # A fork that was left off may have written half a line.
        data = (("\n" if "done" in message else "") + json.dumps(message) + "\n").encode()
        while data:
            data = data[os.write(answers, data) :]

    problem = _load()
    send({"ready": not problem, "problem": problem})
    for line in questions:
        question = json.loads(line)
        reading, writing = os.pipe()
        ended = supervision.fork()
        if ended is None:
            _answer_and_leave(question, send, writing)
        os.close(writing)
        send({"done": question["id"], "problem": ended.problem, "left_off": bool(ended.asked)})
        os.set_blocking(reading, False)  # a process that the fork has left may hold the other end
        with contextlib.suppress(BlockingIOError):
            _load_more(os.read(reading, 1 << 16).decode("utf-8", "replace").split())
        os.close(reading)


def _load() -> str:
    """Load both judges and the rules; what is wrong with them, empty where nothing is."""
    from convlint.checking.frontends import can_try
    from convlint.coreml.supported import installed_snapshot
    from convlint.rules.rulebook import load_rulebook
    from convlint.runs.progress import silence_libraries

    problem = can_try()
    silence_libraries()
    load_rulebook()
    if not problem:
        installed_snapshot()
    return problem


def _load_more(names: list[str]) -> None:
    """Load what a fork had to load for itself, for the next ones."""
    from importlib import import_module

    for name in names:
        with contextlib.suppress(Exception):
            import_module(name)


def _loaded_since(before: frozenset[str]) -> list[str]:
    """The modules of libraries that this fork has loaded: importing them again makes no threads."""
    new = [name for name in sys.modules if name not in before and name.partition(".")[0] in _KEPT]
    return [name for name in new if getattr(sys.modules[name], "__spec__", None) is not None]


def _answer_and_leave(question: Question, send: Send, loaded: int) -> NoReturn:
    """Answer in a fork, which ends with it, and tell what it has ``loaded``."""
    os.setpgid(0, 0)  # a group of its own: a conversion that it has forked ends with it
    signal.signal(signal.SIGINT, lambda number, frame: os.killpg(0, signal.SIGKILL))
    before = frozenset(sys.modules)
    code = 0
    try:
        os.chdir(question["root"])
        sys.path[:0] = [question["root"]]
        _KINDS[question["kind"]](question, lambda message: send({**message, "id": question["id"]}))
    except ConvlintError as error:
        send({"id": question["id"], "error": str(error)})
        code = error.exit_code
    except Exception as error:
        traceback.print_exc()
        what = f"internal error: {type(error).__name__}: {error} (this is a bug in convlint)"
        send({"id": question["id"], "error": what})
        code = 3
    finally:
        names = "\n".join(_loaded_since(before)).encode()
        os.set_blocking(loaded, False)  # read after the end: what does not fit is not needed
        with contextlib.suppress(OSError):
            os.write(loaded, names)
        supervision.done(code)
        os._exit(code)  # the parent's clean-up is not the fork's


def _check(question: Question, send: Send) -> None:
    """Check every model that a saved file reaches; an answer for each."""
    from convlint.editor.answers import answer_to, answer_with_error
    from convlint.editor.models import Wrong, models_of
    from convlint.output.rules import rule_markdown
    from convlint.runs.cache.store import Cache, folder_of
    from convlint.settings.project import find_project

    project = find_project(os.path.dirname(question["path"]))
    folder = folder_of(project)
    cache = Cache(folder) if folder is not None else None
    models = list(models_of(question["path"], project, cache))
    send({"models": [each.name if isinstance(each, Wrong) else each.job.name for each in models]})
    for wanted in models:
        if isinstance(wanted, Wrong):
            answer = answer_with_error(wanted.name, wanted.path, wanted.line, wanted.error)
            send({"answer": answer, "rules": {}})
            continue
        outcome = _session(wanted, cache, send).check(wanted.job)
        if outcome.report is None:
            assert outcome.error is not None
            answer = answer_with_error(wanted.job.name, wanted.path, wanted.line, outcome.error)
            send({"answer": answer, "rules": {}})
            continue
        report = _without_known(outcome.report, wanted, project)
        rules = {each.rule.code: rule_markdown(each.rule) for each in report.findings}
        send({"answer": answer_to(wanted, report), "rules": rules})


def _without_known(report: Report, wanted: Wanted, project: Project) -> Report:
    """The report without the findings that the baseline of the project accepts."""
    if project.baseline is None:
        return report
    from convlint.checking.baseline import read_baseline

    folder = os.path.dirname(os.path.abspath(project.baseline))
    known = read_baseline(project.baseline)
    return known.apply(report, folder, wanted.job.options.fail_on)[0]


def _session(wanted: Wanted, cache: Cache | None, send: Send) -> Session:
    """What checks one model, and tells on the way what is known."""
    from convlint.editor.answers import first_findings
    from convlint.runs.session import Session

    return Session(
        cache,
        quiet=True,
        tell=partial(_progress, send, wanted.job.name),
        early=lambda findings: send({"answer": first_findings(wanted, findings), "first": True}),
    )


def _fix(question: Question, send: Send) -> None:
    """The changes of ``convlint fix`` for one model, as the files would be with them."""
    from convlint.editor.models import Wanted, models_of
    from convlint.editor.proved import proved_files
    from convlint.settings.project import find_project

    project = find_project(os.path.dirname(question["path"]))
    for wanted in models_of(question["path"], project, None):
        if isinstance(wanted, Wanted) and wanted.job.name == question["model"]:
            send(proved_files(wanted.job, partial(_progress, send, wanted.job.name)))
            return
    send({"error": f"no model {question['model']} is reached from {question['path']}."})


def _progress(send: Send, name: str, stage: str) -> None:
    send({"progress": f"{name}: {stage}"})


_KINDS: dict[str, Callable[[Question, Send], None]] = {"check": _check, "fix": _fix}

if __name__ == "__main__":
    main()
