"""A parent process that watches the one in which other people's code runs, and reports how it ended.

A model may end its process (``os._exit``), crash it, or hang. So the program forks before anything heavy
is imported: the child does the work, and notes on a board in shared memory what it is doing, until when,
and that it has finished. The parent only waits.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

GRACE = 5.0
"""Seconds after a time limit in which a process may still end by itself."""
_TICK = 0.5
_HEAD = struct.Struct("=?dH")
"""Whether the work has finished, its deadline (0: no limit), and the length of the words that follow."""
_RUN = struct.Struct("=iii")
"""The number of the current model (-1 where there are not several), how many models were reported, and the
exit code of finished work."""
_LEAVING = 10.0
"""Seconds that a process with finished work may take to end, with a model's own exit handlers."""


class Board:
    """The shared memory in which the child notes its state."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 2 * mmap.PAGESIZE)
        self.write_run(-1, 0)

    def read_run(self) -> tuple[int, int, int]:
        model, reported, code = _RUN.unpack_from(self._memory, mmap.PAGESIZE)
        return model, reported, code

    def write_run(self, model: int, reported: int, code: int = 0) -> None:
        _RUN.pack_into(self._memory, mmap.PAGESIZE, model, reported, code)

    def read(self) -> tuple[bool, float, str]:
        done, deadline, length = _HEAD.unpack_from(self._memory)
        words = self._memory[_HEAD.size : _HEAD.size + length]
        return done, deadline, words.decode("utf-8", "replace")

    def write(
        self, *, done: bool | None = None, deadline: float | None = None, words: str | None = None
    ) -> None:
        before, until, _ = _HEAD.unpack_from(self._memory)
        data = (self.read()[2] if words is None else words).encode("utf-8", "replace")
        data = data[: mmap.PAGESIZE - _HEAD.size]
        self._memory[_HEAD.size : _HEAD.size + len(data)] = data
        _HEAD.pack_into(
            self._memory,
            0,
            before if done is None else done,
            until if deadline is None else deadline,
            len(data),
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """How the child ended: the exit code, and the ``problem`` where it did not finish its work.

    ``model`` is the number of the model that it worked on (-1 where there are not several), ``reported``
    how many models it had reported. ``asked`` is the signal that asked the parent to end meanwhile.
    """

    code: int
    problem: str = ""
    model: int = -1
    reported: int = 0
    asked: int = 0


_board: Board | None = None
_doing = ""
_last_words = False
_bound = False
_ends_itself = False


def fork() -> Ended | None:
    """Fork: None in the child, which goes on; in the parent how the child ended."""
    global _board, _last_words, _bound
    board = Board()
    traces, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(traces)
        _board, _last_words, _bound = board, False, False
        _renew_threads()
        _report_crashes(writing)
        _report_exits()
        return None
    os.close(writing)
    try:
        return _Watch(child, board, traces).ended()
    finally:
        os.close(traces)


def _renew_threads() -> None:
    """Create torch's pool of threads again, where torch was loaded before the fork: a fork has no threads.

    Left to the first backward pass, its thread and this one would both create the pool, and one would crash.
    """
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(torch.get_num_threads())


def note(words: str) -> None:
    """Note on the board what is being done."""
    global _doing
    _doing = words
    if _board is not None and not _last_words:
        _board.write(words=words)


def note_model(number: int) -> None:
    """Note the number of the current model, -1 for none."""
    if _board is not None:
        _board.write_run(number, _board.read_run()[1])


def note_reported(number: int) -> None:
    """Note how many models have been reported, which the next child need not report again."""
    if _board is not None:
        _board.write_run(_board.read_run()[0], number)


def record_last_words(frame: FrameType | None) -> None:
    """Note what is being done and the user's line, and ignore later notes while the stack unwinds."""
    global _last_words
    if _board is not None and not _last_words:
        _board.write(words=f"{_doing}\n{_own_line(frame)}")
        _last_words = True


@contextlib.contextmanager
def noted(words: str) -> Iterator[None]:
    """Note something else as being done, for as long as this is open."""
    before = _doing
    note(words)
    try:
        yield
    finally:
        note(before)


def end_when_late() -> None:
    """End this worker process some time after a time limit, because no parent watches it."""
    global _ends_itself
    _ends_itself = True


@contextlib.contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    """End the process by Python's own watchdog thread, which needs no help from the code that hangs."""
    import faulthandler

    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def noted_limit(seconds: float) -> Iterator[None]:
    """Note a deadline for as long as this is open; the sooner of two limits holds."""
    if _board is None:
        with _watchdog(seconds) if _ends_itself else contextlib.nullcontext():
            yield
        return
    _end_with_parent()
    before = _board.read()[1]
    mine = time.monotonic() + seconds
    _board.write(deadline=min(before, mine) if before else mine)
    try:
        yield
    finally:
        _board.write(deadline=before)


def done(code: int) -> None:
    """Note that the work finished with this code; how the process ends from here on does not matter."""
    if _board is not None:
        _board.write_run(*_board.read_run()[:2], code)
        _board.write(done=True)


class _Watch:
    """The parent's side: waits, passes signals on, and kills a child that does not end."""

    def __init__(self, child: int, board: Board, traces: int) -> None:
        self.child = child
        self.board = board
        self.traces = traces
        self.late = 0
        self.leaving = 0.0
        self.killed = False
        self.passed_on = 0

    def ended(self) -> Ended:
        previous = {
            number: signal.signal(number, self._pass_on)
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        signal.signal(signal.SIGALRM, self._look)
        signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
        try:
            _, status = os.waitpid(self.child, 0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for number, handler in previous.items():
                signal.signal(number, handler)
        return self._ending(status)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        """Pass a signal on: a terminal sends Ctrl-C to both processes, ``kill`` to one."""
        self.passed_on = number
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, number)

    def _look(self, number: int, frame: FrameType | None) -> None:
        ended, deadline, _ = self.board.read()
        if ended:
            self.leaving += _TICK
            if self.leaving > _LEAVING:
                os.kill(self.child, signal.SIGKILL)
            return
        over = 0 < deadline < time.monotonic()
        # Ticks count, not the clock: after the program was stopped (Ctrl-Z), the child gets its turn first.
        self.late = self.late + 1 if over else 0
        if self.late * _TICK > GRACE:
            self.killed = True
            os.kill(self.child, signal.SIGKILL)

    def _ending(self, status: int) -> Ended:
        finished, _, words = self.board.read()
        code = os.waitstatus_to_exitcode(status)
        if not finished:
            _remove_folders(self.child)
        if finished:
            return Ended(self.board.read_run()[2], asked=self.passed_on)
        if self.passed_on:
            return Ended(128 + self.passed_on, asked=self.passed_on)
        doing, _, place = words.partition("\n")
        doing = doing or "the work on the model"
        if self.killed:
            how = "did not end: it went on after its time limit, and caught every interruption"
        elif code in (
            128 + signal.SIGINT,
            128 + signal.SIGTERM,
        ):  # an orderly end, as if it had been asked to
            how = f"ended the process by the signal {signal.Signals(code - 128).name}"
        elif code >= 0:
            how = f"ended the process with exit code {code}, as os._exit does"
        else:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            hint = " (the system may have been out of memory)" if -code == signal.SIGKILL else ""
            how = f"ended the process by the signal {name}{hint}"
        place = place or self._place_of_crash()
        return Ended(3, f"{doing} {how}{', at ' if place else ''}{place}.", *self.board.read_run()[:2])

    def _place_of_crash(self) -> str:
        """The innermost line of the user's code in Python's traceback of a crash."""
        import re

        os.set_blocking(self.traces, False)
        try:
            text = os.read(self.traces, 1 << 16).decode("utf-8", "replace")
        except OSError:
            return ""
        lines = re.findall(r'File "([^"\n]+)", line (\d+)', text)
        return next((_shown(path, int(line)) for path, line in lines if _is_own(path)), "")


def _report_crashes(descriptor: int) -> None:
    """Have Python write its traceback into the pipe when a signal ends it."""
    import faulthandler

    os.set_blocking(descriptor, False)  # nobody reads before the end: what does not fit is dropped
    faulthandler.enable(descriptor, all_threads=False)


def _report_exits() -> None:
    """Note the line that calls ``os._exit``, which leaves no other trace. Forks of this process only exit."""
    leave: Any = os._exit
    mine = os.getpid()

    def report_and_leave(status: int) -> None:
        if _board is not None and os.getpid() == mine and not _board.read()[0]:
            record_last_words(sys._getframe(1))
        leave(status)

    os._exit = report_and_leave  # type: ignore[assignment]


def _own_line(frame: FrameType | None) -> str:
    """The innermost line of the user's code that led to ``frame``."""
    while frame is not None:
        if _is_own(frame.f_code.co_filename):
            return _shown(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return ""


def _is_own(path: str) -> bool:
    from convlint.installed import is_library

    others = tuple(os.path.dirname(os.path.abspath(file)) + os.sep for file in (__file__, os.__file__))
    return os.path.isfile(path) and not is_library(path) and not os.path.abspath(path).startswith(others)


def _shown(path: str, line: int) -> str:
    from convlint.text import shown_path

    return f"{shown_path(path)}:{line}"


def _end_with_parent() -> None:
    """Have the system end this process when its parent ends, where it can (Linux)."""
    global _bound
    if _bound or not sys.platform.startswith("linux"):
        return
    _bound = True
    import ctypes  # here, because a cached result is shown without it

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))


_PR_SET_PDEATHSIG = 1


def _remove_folders(child: int) -> None:
    """Remove the temporary folders that a killed child left; their names say whose they are."""
    import glob
    import shutil
    import tempfile

    for folder in glob.glob(os.path.join(tempfile.gettempdir(), f"{prefix_of(child)}*")):
        shutil.rmtree(folder, ignore_errors=True)


def prefix_of(process: int) -> str:
    """How the names of the temporary folders of a process begin."""
    return f"convlint-{process}-"
