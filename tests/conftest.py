"""What several tests need: a scratch project, the real command line, a stand-in for the check itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it runs in the background deaf to Ctrl-C, and every program inherits that from
    # the one before: those that tests interrupt would never end.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program left behind."""

    code: int
    out: str
    err: str


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
    """Run ``python -m convlint`` as a user does, in ``tmp_path``."""

    def run(*arguments: str, timeout: float = 120, **environment: str) -> Ran:
        variables = {
            name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "COLUMNS")
        }
        done = subprocess.run(
            [sys.executable, "-m", "convlint", *arguments],
            cwd=tmp_path,
            env={**variables, "PYTHONPATH": str(ROOT), "CONVLINT_CACHE": "0", **environment},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
