"""What several tests need: a scratch project, the real command line, a stand-in for the check itself."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import ROOT, Ran, run_fresh, run_warm

__all__ = ["ROOT", "Convlint", "Ran"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it runs in the background deaf to Ctrl-C, and every program inherits that from
    # the one before: those that tests interrupt would never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)


Convlint = Callable[..., Ran]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory, with imports undone afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def convlint(tmp_path: Path) -> Convlint:
    """Run ``convlint`` as a user does, in ``tmp_path``; ``fresh`` for a Python that has imported nothing."""

    def run(*arguments: str, timeout: float = 120, fresh: bool = False, **environment: str) -> Ran:
        variables = {
            name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "COLUMNS")
        }
        variables |= {"PYTHONPATH": str(ROOT), "CONVLINT_CACHE": "0", **environment}
        run_it = run_fresh if fresh or "PYTHONPATH" in environment else run_warm
        return run_it(arguments, tmp_path, variables, timeout)

    return run
