"""A forked child for work that may hang, crash or eat the memory.

Forking pays for the imports once: the child has torch, coremltools and the captured model. It notes
its position in shared memory and sends each result at once, so whatever happens to it, the parent
knows how far it got.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import mmap
import os
import pickle
import select
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from convlint.supervision import prefix_of

Ending = Literal["finished", "timeout", "crashed"]
_GRACE = 5.0
"""Seconds that a child waits for its parent to end it."""
_POSITION = struct.Struct("q")
_LENGTH = struct.Struct("Q")


@dataclass(slots=True)
class Channel:
    """The child's side: ``send`` sends a picklable thing, ``at`` notes the index of the current work."""

    descriptor: int
    memory: mmap.mmap

    def send(self, thing: Any) -> None:
        data = pickle.dumps(thing)
        message = memoryview(_LENGTH.pack(len(data)) + data)
        while message:
            message = message[os.write(self.descriptor, message) :]

    def at(self, index: int) -> None:
        self.memory[: _POSITION.size] = _POSITION.pack(index)


@dataclass(frozen=True, slots=True)
class ChildResult:
    """How the child ended, what it sent, and the last index that it noted."""

    ending: Ending
    sent: list[Any] = field(default_factory=list)
    position: int = -1
    detail: str = ""


def run_in_child(
    work: Callable[[Channel], None], timeout: float | None, hear: Callable[[Any], None] = lambda sent: None
) -> ChildResult:
    """Run ``work`` in a forked child, and end the child after ``timeout`` seconds.

    ``hear`` is called with each thing that the child sends, as it arrives. An exception out of ``work``
    counts as a crash. Ctrl-C ends the child first. The child's temporary files are removed with it.
    """
    with _own_folder() as folder:
        return _run(work, timeout, folder, hear)


@contextlib.contextmanager
def _own_folder() -> Iterator[str | None]:
    """A folder for temporary packages, which coremltools would remove at an exit that a child never reaches.

    None where the folder cannot be created: most children do not need it.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix=prefix_of(os.getpid()), ignore_cleanup_errors=True)
    except OSError:
        yield None
        return
    with folder:
        yield folder.name


def _run(
    work: Callable[[Channel], None],
    timeout: float | None,
    folder: str | None,
    hear: Callable[[Any], None],
) -> ChildResult:
    memory = mmap.mmap(-1, mmap.PAGESIZE)
    memory[: _POSITION.size] = _POSITION.pack(-1)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _work_and_exit(work, Channel(writing, memory), timeout, folder)
    os.close(writing)
    try:
        sent, late = _receive(reading, None if timeout is None else time.monotonic() + timeout, hear)
        if late:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        child = 0
    finally:
        os.close(reading)
        if child:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
    position = int(_POSITION.unpack(memory[: _POSITION.size])[0])
    memory.close()
    if late:
        return ChildResult("timeout", sent, position, f"ended after {timeout:g} s")
    if status != 0:
        return ChildResult("crashed", sent, position, _exit_text(status))
    return ChildResult("finished", sent, position)


def _work_and_exit(
    work: Callable[[Channel], None], channel: Channel, timeout: float | None, folder: str | None
) -> None:
    """Run ``work`` and exit without returning: the parent's clean-up and buffers are not the child's."""
    code = 70
    gc.freeze()  # collecting the parent's objects would copy all of their memory
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # The parent ends this child in time; the alarm does where the parent itself was killed.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 0 if timeout is None else timeout + _GRACE)
        faulthandler.disable()  # the parent reports a crash, instead of a dump into the user's terminal
        _single_thread()
        _release_descriptors(channel.descriptor)
        if folder is not None:
            tempfile.tempdir = folder
        work(channel)
        code = 0
    except MemoryError:
        code = 71
    finally:
        os._exit(code)


def _release_descriptors(own: int) -> None:
    """Close every file and pipe of the parent but ``own``.

    The reader of a pipe waits until its last copy is closed: the terminal's reader, a pool that watches
    for the death of its worker, another trial of the same process. The numbers stay in use, so that an
    object of the parent that closes its number here closes nothing else.
    """
    descriptors = {0, 1, 2}
    with contextlib.suppress(OSError):
        descriptors |= {int(name) for name in os.listdir("/dev/fd")}
    with open(os.devnull, "r+b") as null:
        for descriptor in descriptors - {own, null.fileno()}:
            with contextlib.suppress(OSError):
                os.dup2(null.fileno(), descriptor, inheritable=descriptor <= 2)


def _single_thread() -> None:
    """Use one thread: a fork lacks the parent's workers, and an OpenMP region would wait for them."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for libraries loaded from here on
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)
    # scikit-learn, which coremltools' palettes use, has an OpenMP of its own, and threadpoolctl with it.
    switch = sys.modules.get("threadpoolctl")
    if switch is not None:
        switch.threadpool_limits(1)


def _receive(descriptor: int, deadline: float | None, hear: Callable[[Any], None]) -> tuple[list[Any], bool]:
    """Everything received until the pipe closes, and whether the deadline came first."""
    data = bytearray()
    messages: list[Any] = []
    while True:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            return messages, True
        if not select.select([descriptor], [], [], left)[0]:
            continue
        chunk = os.read(descriptor, 1 << 20)
        if not chunk:
            return messages, False
        data += chunk
        for message in _messages(data):
            messages.append(message)
            hear(message)


def _messages(data: bytearray) -> Iterator[Any]:
    """Take the complete messages out of ``data``, which keeps the beginning of the next one."""
    while len(data) >= _LENGTH.size:
        end = _LENGTH.size + int(_LENGTH.unpack_from(data)[0])
        if end > len(data):
            return
        message = pickle.loads(data[_LENGTH.size : end])
        del data[:end]
        yield message


def _exit_text(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        hint = " (the system may have been out of memory)" if number == signal.SIGKILL else ""
        return f"the conversion process died of {name}{hint}"
    code = os.WEXITSTATUS(status)
    if code == 71:
        return "the conversion ran out of memory"
    return f"the conversion process ended with exit code {code}"
