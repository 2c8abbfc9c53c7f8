"""``convlint check --watch``: check again whenever a file is saved.

This process imports torch and coremltools once, and none of the user's modules. Each check is a
fork of it, which imports the user's modules as they are then.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

from convlint import supervision
from convlint.errors import ConvlintError, UsageError
from convlint.settings.jobs import jobs_of
from convlint.settings.project import find_project
from convlint.text import visible

_ENDINGS = (".py", ".toml")


def watch(
    options: argparse.Namespace, out: TextIO, check: Callable[[argparse.Namespace, TextIO], int]
) -> int:
    """Run ``check`` now, and again for the models that each change reaches, until Ctrl-C."""
    try:
        import watchfiles
    except ImportError as error:
        raise UsageError("--watch needs watchfiles: pip install 'convlint[watch]'.") from error
    if not hasattr(os, "fork"):
        raise UsageError("--watch needs fork, which this system does not have: run check by hand.")
    folders = sorted(set(_folders(options)))
    _import_judges()
    _in_child(check, options, out)
    for changes in watchfiles.watch(*folders, watch_filter=_wanted, raise_interrupt=True):
        again = argparse.Namespace(**{**vars(options), **_narrowed(options, {path for _, path in changes})})
        _in_child(check, again, out)
    return 0


def _folders(options: argparse.Namespace) -> Iterator[str]:
    """The folders that hold what is checked."""
    from convlint.runs.cache.sources import closure_of

    project = find_project(file=options.config)
    yield project.root or os.getcwd()
    for job in jobs_of(options, project):
        closure = closure_of(job)
        yield from map(os.path.dirname, closure.files)


def _narrowed(options: argparse.Namespace, changed: set[str]) -> dict[str, Any]:
    """Only what the change reaches, where models are configured; a model that was named is always checked."""
    return {"changed": sorted(changed)} if options.spec is None else {}


def _wanted(change: Any, path: str) -> bool:
    parts = path.split(os.sep)
    hidden = any(part.startswith(".") or part in ("__pycache__", "site-packages") for part in parts[1:-1])
    return path.endswith(_ENDINGS) and not hidden


def _import_judges() -> None:
    from convlint.checking.frontends import can_try

    can_try()


def _in_child(
    check: Callable[[argparse.Namespace, TextIO], int], options: argparse.Namespace, out: TextIO
) -> None:
    out.flush()
    sys.stderr.flush()
    ended = supervision.fork()
    if ended is not None:
        if ended.problem:
            sys.stderr.write(visible(f"convlint: error: {ended.problem}\n"))
        if ended.asked:  # though the check may have ended before it was told
            raise KeyboardInterrupt
        return
    code = 3
    try:
        code = check(options, out)
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
