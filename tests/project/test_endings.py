"""Programs end, whatever the code of a model left running and whoever was killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from conftest import ROOT, Convlint

from convlint.child import Channel, run_in_child

THREAD = """
import threading, time
def forever():
    while True:
        time.sleep(0.1)
threading.Thread(target=forever).start()
"""
PROCESS = """
import multiprocessing, os, time
def forever():
    open("child", "w").write(str(os.getpid()))
    time.sleep(600)
multiprocessing.get_context("fork").Process(target=forever).start()
while not os.path.exists("child"):
    time.sleep(0.05)
"""
NET = """
import torch
class Net(torch.nn.Module):
    def forward(self, x):
        return torch.relu(x)
"""


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def wait_for(happened: Callable[[], bool], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while not happened() and time.monotonic() < end:
        time.sleep(0.05)
    return happened()


def test_a_thread_of_the_model_does_not_keep_the_program(convlint: Convlint, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(THREAD + "raise ValueError('too early')\n")
    ran = convlint("check", "net.py:Net", "--input", "1", "--format", "json", timeout=60, fresh=True)
    assert ran.code == 3
    assert "too early" in ran.err
    assert '"type": "ModelError"' in ran.out, "what was written arrives"


def test_a_process_of_the_model_is_ended_too(convlint: Convlint, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(PROCESS + "raise ValueError('too early')\n")
    assert convlint("check", "net.py:Net", "--input", "1", timeout=60, fresh=True).code == 3
    assert wait_for(lambda: gone(int((tmp_path / "child").read_text())))


def test_workers_end_too(convlint: Convlint, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(THREAD + NET)
    (tmp_path / "lost.py").write_text(PROCESS + "raise ValueError('too early')\n")
    (tmp_path / "convlint.toml").write_text(
        "".join(f'[[models]]\nspec = "{name}"\ninputs = ["1x4"]\n' for name in ("net.py:Net", "lost.py:Net"))
    )
    ran = convlint("check", "--all", "-j", "2", "--no-trial", "--format", "concise", timeout=60, fresh=True)
    assert ran.code == 3
    assert "net.py:Net: Converts" in ran.err
    assert "too early" in ran.err
    assert wait_for(lambda: gone(int((tmp_path / "child").read_text())))


def test_workers_end_with_the_program_that_started_them(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import os, time\nopen('worker', 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    many = "list(convlint.check_many(['net.py:Net'], processes=1))"
    (tmp_path / "many.py").write_text(f"import convlint\nif __name__ == '__main__':\n    {many}\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = subprocess.Popen([sys.executable, "many.py"], cwd=tmp_path, env=environment)
    written = tmp_path / "worker"
    try:
        assert wait_for(lambda: written.exists() and written.read_text() != "")
    finally:
        program.kill()
        program.wait()
    assert wait_for(lambda: gone(int(written.read_text())))


ORPHAN = """
import os, time
from convlint import child
child._GRACE = 0.2
def work(channel):
    print(os.getpid(), file=open("child", "w"), flush=True)
    time.sleep(600)
child.run_in_child(work, 1.0)
"""


def test_a_trial_ends_where_nobody_waits_for_it(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    program = subprocess.Popen([sys.executable, "-c", ORPHAN], cwd=tmp_path, env=environment)
    written = tmp_path / "child"
    assert wait_for(lambda: written.exists() and written.read_text().endswith("\n"))
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert wait_for(lambda: gone(int(written.read_text())))


def test_a_trial_takes_its_temporary_files_with_it() -> None:
    """A full conversion makes a package of all weights, to be removed at an exit that no child comes to."""
    before = tempfile.gettempdir()
    for timeout, ending in ((30.0, "finished"), (0.5, "timeout")):

        def work(channel: Channel, wait: bool = ending == "timeout") -> None:
            channel.send(tempfile.mkdtemp())
            time.sleep(60 * wait)

        outcome = run_in_child(work, timeout)
        assert outcome.ending == ending
        (made,) = outcome.sent
        assert not os.path.exists(made)
        assert not os.path.exists(os.path.dirname(made))
    assert tempfile.gettempdir() == before


def test_a_trial_holds_no_pipe_of_its_parent() -> None:
    """Or a pool would not see that the worker died whose trial hangs."""
    reading, writing = os.pipe()

    def work(channel: Channel) -> None:
        channel.send("at work")
        time.sleep(600)

    trial = threading.Thread(target=run_in_child, args=(work, 2.0))
    trial.start()
    time.sleep(0.5)
    assert not select.select([reading], [], [], 0)[0]
    os.close(writing)
    assert select.select([reading], [], [], 1)[0], "the child has let go of the other end"
    trial.join()
    os.close(reading)
