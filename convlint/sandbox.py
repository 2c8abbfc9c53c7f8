"""Running other people's code without being taken along by it.

User code may print, call ``sys.exit``, or never return. :func:`user_code` keeps its prints out of
the report and its exits inside an exception; :func:`time_limit` ends what does not end by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import IO, Any, TextIO


class UserExit(Exception):
    """User code called ``sys.exit`` or raised ``KeyboardInterrupt`` by itself."""


class TimeLimitExceeded(TimeoutError):
    """The code inside :func:`time_limit` took too long."""


@contextlib.contextmanager
def user_code() -> Iterator[None]:
    """While open, whatever the code prints goes to stderr, and its wish to exit is a :class:`UserExit`.

    Prints are caught at the level of the file descriptor too, so that C libraries and child
    processes cannot write into a report on stdout. A real Ctrl-C still interrupts, even where the
    code swallows it.
    """
    with _stdout_to_stderr(), _interrupts() as interrupted:
        try:
            yield
        except SystemExit as error:
            raise UserExit(f"it called sys.exit({'' if error.code is None else repr(error.code)})") from error
        except KeyboardInterrupt as error:
            if interrupted is None or interrupted.is_set():
                raise
            raise UserExit("it raised KeyboardInterrupt") from error
        finally:
            if (
                interrupted is not None
                and interrupted.is_set()
                and sys.exc_info()[0] is not KeyboardInterrupt
            ):
                raise KeyboardInterrupt


def claim_stdout() -> TextIO:
    """Keep stdout for the report alone: a private stream to it, while all else is sent to stderr.

    For a whole process, once: what user code prints late, from a thread or while Python shuts
    down, cannot reach the report either.
    """
    sys.stdout.flush()
    private = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
    _redirect_descriptor(2, 1)
    sys.stdout = sys.stderr
    return private


def leave_behind(code: int) -> None:
    """End this process at once where user code left something running in it; else do nothing.

    A thread that is no daemon, or a child process, would otherwise keep the process for as long as it
    runs itself, which may be for ever. Clean-up at exit is then left out, so the streams are flushed here.
    """
    processes = sys.modules.get("multiprocessing")
    children = [child for child in processes.active_children() if not child.daemon] if processes else []
    own = (threading.main_thread(), threading.current_thread())
    if not children and all(thread.daemon or thread in own for thread in threading.enumerate()):
        return
    for child in children:
        child.terminate()
    _flush(sys.stdout)
    _flush(sys.stderr)
    os._exit(code)


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    _flush(sys.stdout)
    try:
        saved = os.dup(1)
    except OSError:  # stdout is closed: nothing can reach it
        saved = -1
    else:
        _redirect_descriptor(2, 1)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _flush(sys.stderr)
        import ctypes  # here, because a kept result is told without running anything

        with contextlib.suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).fflush(None)  # what C code printed may wait in a buffer of its own
        if saved >= 0:
            os.dup2(saved, 1)
            os.close(saved)


def _flush(stream: IO[str] | None) -> None:
    with contextlib.suppress(OSError, ValueError):
        if stream is not None:
            stream.flush()


def _redirect_descriptor(source: int, destination: int) -> None:
    try:
        os.dup2(source, destination)
    except OSError:  # stderr is closed
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, destination)
        os.close(null)


@contextlib.contextmanager
def _interrupts() -> Iterator[threading.Event | None]:
    """An event that a real Ctrl-C sets; None where somebody else listens for it."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is signal.SIG_IGN:
        yield threading.Event()  # no Ctrl-C comes here: threads get none, and programs in the background
        return
    if handler is not signal.default_int_handler:
        yield None
        return
    interrupted = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, handler)


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise :class:`TimeLimitExceeded` inside the body when it runs longer than ``seconds``.

    Works on the main thread of systems with SIGALRM; elsewhere, and with None, there is no limit.
    Code that swallows the exception is interrupted again every second, and told of at the end.
    Limits nest: the outer one goes on counting. A call that never comes back from C is not ended.
    """
    if (
        seconds is None
        or not hasattr(signal, "SIGALRM")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    expired = False

    def ring(number: int, frame: FrameType | None) -> None:
        nonlocal expired
        expired = True
        raise TimeLimitExceeded(f"not finished after {seconds:g} s")

    start = time.monotonic()
    previous_handler: Any = signal.signal(signal.SIGALRM, ring)
    previous_delay, previous_interval = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6), 1.0)
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:  # once more: the alarm may have rung while it was being turned off
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous_handler)
            if previous_delay:
                remaining = max(previous_delay - (time.monotonic() - start), 1e-6)
                signal.setitimer(signal.ITIMER_REAL, remaining, previous_interval)
    if expired:
        raise TimeLimitExceeded(f"not finished after {seconds:g} s, and it caught the interruption")
