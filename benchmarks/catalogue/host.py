"""A process with the libraries loaded, which forks a child for each model: imports are paid for once.

``python -m benchmarks.catalogue.host WORK [FOLDER]`` with ``FOLDER`` before all others on the path, such as
another release of coremltools. Requests are JSON lines on stdin, and so are the answers on stdout. The host
itself runs no model: a fork of a process that has run torch may hang.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = """
torch coremltools coremltools.optimize.coreml torchvision timm transformers networkx
torch.export._trace torch.export._unlift torch._export.passes torch._functorch.aot_autograd
benchmarks.catalogue.measure benchmarks.catalogue.numbers convlint.cli.program convlint.capture.weightless
convlint.trial.run convlint.placement.forecast convlint.placement.mil_reader convlint.placement.aten_reader
convlint.numerics.parity convlint.repair.proposal convlint.repair.fix convlint.repair.fixing
""".split()
"""What is loaded once; without one of them all works, and takes longer."""
_TICK = 0.05


class Host:
    """The side of whoever asks. ``work`` names the function of ``benchmarks.catalogue.measure``."""

    def __init__(self, work: str, first: str = "", packages: str = "") -> None:
        folder = tempfile.mkdtemp(prefix="catalogue-host-")
        paths = [first, str(ROOT), packages]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.catalogue.host", work],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,  # no configuration and no module of a user's is near
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "OMP_NUM_THREADS": "1",
                "HF_HUB_OFFLINE": "1",
                "TRANSFORMERS_OFFLINE": "1",
                "PYTHONWARNINGS": "ignore",
            },
        )

    def ask(self, candidate: dict[str, Any], limit: float, memory: int) -> dict[str, Any]:
        """What the child kept, with how it ended; a host that dies says so too."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with tempfile.TemporaryDirectory(prefix="catalogue-") as folder:
            kept = Path(folder, "kept.json")
            request = {"candidate": candidate, "limit": limit, "memory": memory, "file": str(kept)}
            try:
                self.process.stdin.write(json.dumps(request) + "\n")
                self.process.stdin.flush()
                line = self.process.stdout.readline()
            except OSError:
                line = ""
            ended = json.loads(line) if line else {"ended": "its host died", "seconds": 0.0}
            found: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {}
            return found | ended

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def serve(work: str) -> int:
    """Answer every request until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    from convlint.rules.rulebook import load_rulebook

    for name in LIBRARIES:
        with contextlib.suppress(Exception):  # an absent library is said of each of its models
            importlib.import_module(name)
    load_rulebook()  # kept for every child
    for line in sys.stdin:
        request = json.loads(line)
        start = time.perf_counter()
        child = os.fork()
        if child == 0:
            _work_and_exit(work, request)
        ended = _wait(child, request["limit"])
        print(json.dumps({"ended": ended, "seconds": time.perf_counter() - start}), file=answers)
    return 0


def _wait(child: int, limit: float) -> str:
    """Wait for the child; how it ended, "" for a regular end. What it started ends with it."""
    until = time.monotonic() + limit
    status = None
    while status is None:
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            status = code
        elif time.monotonic() > until:
            _end_group(child)
            os.waitpid(child, 0)
            return f"ended after {limit:.0f} s"
        else:
            time.sleep(_TICK)
    _end_group(child)
    code = os.waitstatus_to_exitcode(status)
    return "" if code == 0 else f"died (exit code {code})"


def _end_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _work_and_exit(work: str, request: dict[str, Any]) -> None:
    code = 70
    try:
        os.setsid()
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        # The child of a host that was killed ends as well.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_DATA, (request["memory"], request["memory"]))
        from benchmarks.catalogue import measure
        from benchmarks.catalogue.candidate import Candidate

        getattr(measure, work)(
            Candidate.of(request["candidate"]), measure.Notes(Path(request["file"]), request["limit"])
        )
        code = 0
    except MemoryError:
        code = 71
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1]))
