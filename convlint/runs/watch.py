"""``convlint check --watch``: check again whenever a file is saved.

This process imports torch and coremltools once, and none of the user's modules. Each check is a
fork of it, which imports the user's modules as they are then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TextIO

from convlint import supervision
from convlint.errors import ConvlintError, UsageError
from convlint.settings.jobs import Job
from convlint.settings.project import Project
from convlint.text import visible

_ENDINGS = (".py", ".toml")
Check = Callable[[Sequence[str] | None], int]
"""Checks the models that the changed files reach (all models for None), and returns the exit code."""


def watch(folders: Iterable[str], check: Check, out: TextIO) -> int:
    """Run ``check`` now, and again with the files of each change below ``folders``, until Ctrl-C."""
    try:
        import watchfiles
    except ImportError as error:
        raise UsageError("--watch needs watchfiles: pip install watchfiles.") from error
    if not hasattr(os, "fork"):
        raise UsageError("--watch needs fork, which this system does not have: run check by hand.")
    _import_judges()
    _in_child(check, None, out)
    for changes in watchfiles.watch(*folders, watch_filter=_is_relevant, raise_interrupt=True):
        _in_child(check, sorted({path for _, path in changes}), out)
    return 0


def folders_of(jobs: Iterable[Job], project: Project) -> list[str]:
    """The folders that hold the checked models and what they import."""
    from convlint.runs.cache.sources import closure_of

    files = (file for job in jobs for file in closure_of(job).files)
    return sorted({project.root or os.getcwd(), *map(os.path.dirname, files)})


def _is_relevant(change: Any, path: str) -> bool:
    parts = path.split(os.sep)
    hidden = any(part.startswith(".") or part in ("__pycache__", "site-packages") for part in parts[1:-1])
    return path.endswith(_ENDINGS) and not hidden


def _import_judges() -> None:
    from convlint.checking.frontends import can_try

    can_try()


def _in_child(check: Check, changed: Sequence[str] | None, out: TextIO) -> None:
    out.flush()
    sys.stderr.flush()
    ended = supervision.fork()
    if ended is not None:
        if ended.problem:
            sys.stderr.write(visible(f"convlint: error: {ended.problem}\n"))
        if ended.asked:  # even where the check ended before the signal reached it
            raise KeyboardInterrupt
        return
    code = 3
    try:
        code = check(changed)
    except ConvlintError as error:
        sys.stderr.write(visible(f"convlint: error: {error}\n"))
        code = error.exit_code
    except KeyboardInterrupt:
        code = 130
    finally:
        out.flush()
        sys.stderr.flush()
        supervision.done(code)
        os._exit(code)  # the parent's clean-up is not the child's
