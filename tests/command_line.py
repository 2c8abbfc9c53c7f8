"""The command line in a process of its own: from nothing, or forked from one that has imported torch.

Most of what a run of ``convlint`` takes is the import of torch and coremltools. Where a test is not
about that, a server of the standard library imports both once and forks for every run: own
descriptors, own folder and environment, own modules of the user, and an exit code.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, get_context
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program left behind."""

    code: int
    out: str
    err: str


def run_fresh(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    timeout: float = 120,
    python: Sequence[str] = (),
) -> Ran:
    """``python -m convlint`` with a new Python, with these options of Python's own."""
    done = subprocess.run(
        [sys.executable, *python, "-m", "convlint", *arguments],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def run_warm(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float = 120
) -> Ran:
    """The same in a fork of a process that has checked a model before."""
    _start_server()
    with tempfile.TemporaryDirectory() as place:
        paths = (os.devnull, os.path.join(place, "out"), os.path.join(place, "err"))
        process = get_context("forkserver").Process(
            target=_run, args=(list(arguments), str(folder), dict(environment), paths)
        )
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["convlint", *arguments], timeout, stderr=_text(paths[2]))
        return Ran(process.exitcode, _text(paths[1]), _text(paths[2]))


def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8", errors="replace")


def _start_server() -> None:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    try:
        get_context("forkserver").set_forkserver_preload(["warmed"])
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _run(arguments: list[str], folder: str, environment: dict[str, str], paths: tuple[str, str, str]) -> None:
    """What ``python -m convlint`` does once Python has started."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, path in enumerate(paths):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.path[:0] = [folder]
    sys.argv = ["convlint", *arguments]
    from convlint.__main__ import run

    run()
