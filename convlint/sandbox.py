"""Runs other people's code safely.

User code may print, call ``sys.exit``, or never return. :func:`user_code` keeps its prints out of
the report and turns its exits into exceptions; :func:`time_limit` ends what does not end by itself.
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
from typing import IO, Any, NoReturn, TextIO

from convlint.destination import STANDARD
from convlint.supervision import noted_limit, record_last_words


class UserExit(Exception):
    """User code called ``sys.exit``, or raised an exception that ends a program."""


class UnreadableError(Exception):
    """User code raised an exception whose text cannot be read."""


class Terminated(KeyboardInterrupt):
    """SIGTERM asked the program to end; it ends as it does after Ctrl-C."""


class _StillRunning(BaseException):
    """Interrupts code that caught the first interruption; most code catches only ``Exception``."""


class TimeLimitExceeded(TimeoutError):
    """The code inside :func:`time_limit` took too long."""


@contextlib.contextmanager
def user_code() -> Iterator[None]:
    """Send what the code inside prints to stderr, and turn its exit into a :class:`UserExit`.

    Prints are redirected at the level of the file descriptor too, so that C libraries and child
    processes cannot write into a report on stdout. A real Ctrl-C still interrupts, even where the
    code swallows it. Only an ``Exception`` with a readable text comes out, and the working folder exists
    afterwards.
    """
    with _stdout_to_stderr(), _usable_folder(), _interrupts() as interrupted:
        try:
            yield
        except SystemExit as error:
            raise UserExit(f"it called sys.exit({'' if error.code is None else repr(error.code)})") from error
        except KeyboardInterrupt as error:
            if interrupted is None or interrupted.is_set():
                raise
            raise UserExit("it raised KeyboardInterrupt") from error
        except _StillRunning:
            raise
        except BaseException as error:
            text = _text_of(error)
            if text is None:
                message = f"{type(error).__name__}, whose text cannot be read"
                raise UnreadableError(message).with_traceback(error.__traceback__) from None
            if not isinstance(error, Exception):
                message = f"it raised {type(error).__name__}{': ' if text else ''}{text}"
                raise UserExit(message).with_traceback(error.__traceback__) from error
            raise
        finally:
            if interrupted is not None and interrupted.is_set() and not _is_interrupt():
                raise_interrupt()


def _is_interrupt() -> bool:
    kind = sys.exc_info()[0]
    return kind is not None and issubclass(kind, KeyboardInterrupt)


def _text_of(error: BaseException) -> str | None:
    """The text of an exception; None where asking for it raises another one."""
    try:
        return str(error)
    except BaseException:
        return None


@contextlib.contextmanager
def _usable_folder() -> Iterator[None]:
    """Go back to the working folder where the code has changed to one that no longer exists."""
    try:
        before = os.getcwd()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        try:
            os.getcwd()
        except OSError:
            with contextlib.suppress(OSError):
                os.chdir(before)


_asked_to_end = 0
"""The signal that asked this program to end; catching the exception does not undo that."""


def listen_for_end() -> None:
    """Remember Ctrl-C and SIGTERM for the whole program.

    An ``except:`` around somebody's import can swallow the exception, and the program would go on and
    write. :func:`stop_if_interrupted` raises it again.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(number, _ask_to_end)


_asked_at = 0.0
_ONE_WISH = 1.0
"""Seconds in which a second signal counts as the first: the terminal and the parent process both send it."""


def _ask_to_end(number: int, frame: FrameType | None) -> None:
    global _asked_to_end, _asked_at
    again = _asked_to_end and time.monotonic() - _asked_at < _ONE_WISH
    if not again:
        _asked_to_end, _asked_at = number, time.monotonic()
        record_last_words(frame)
        raise_interrupt()


def raise_interrupt() -> NoReturn:
    """Raise the exception of the signal that was received."""
    if _asked_to_end == signal.SIGTERM:
        raise Terminated
    raise KeyboardInterrupt


def stop_if_interrupted() -> None:
    """Raise again where the program was asked to end and something swallowed the exception."""
    if _asked_to_end:
        raise_interrupt()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise a Ctrl-C again at the end that the code inside swallowed, as imports of libraries do."""
    with _interrupts() as interrupted:
        try:
            yield
        finally:
            if interrupted is not None and interrupted.is_set() and not _is_interrupt():
                raise_interrupt()


class _Asked:
    """Stands for an event: set once the program was asked to end."""

    def is_set(self) -> bool:
        return bool(_asked_to_end)


def claim_stdout() -> TextIO:
    """A private stream to stdout for the report; everything else goes to stderr from now on.

    Once for a whole process: what user code prints late, from a thread or while Python shuts down,
    cannot reach the report either.
    """
    sys.stdout.flush()
    private = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
    STANDARD[1] = private.fileno()
    _redirect_descriptor(2, 1)
    sys.stdout = sys.stderr
    return private


def open_closed_streams() -> None:
    """Open the standard streams that this process was started without.

    Otherwise the next opened file would get the number of one, and prints of C code would be written
    into it.
    """
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            while (opened := os.open(os.devnull, os.O_RDWR)) < number:
                pass
            if opened > number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))


def leave_behind(code: int) -> None:
    """End this process at once where user code left something running in it; else do nothing.

    A non-daemon thread or a child process would otherwise keep the process alive, perhaps for ever. The
    clean-up at exit is skipped then, so the streams are flushed here.
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
        import ctypes  # here, because a cached result is shown without running anything

        with contextlib.suppress(OSError, AttributeError, TypeError):
            ctypes.CDLL(None).fflush(None)  # prints of C code may be in a buffer of its own
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
def _interrupts() -> Iterator[threading.Event | _Asked | None]:
    """An event that a real Ctrl-C sets; None where somebody else handles it."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is _ask_to_end:
        yield _Asked()
        return
    if threading.current_thread() is not threading.main_thread() or handler is signal.SIG_IGN:
        yield threading.Event()  # never set: threads and programs in the background get no Ctrl-C
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


_PATIENCE = 2
"""How often code is interrupted by an ``Exception``: some code, as in an export, expects and catches one."""


@contextlib.contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise :class:`TimeLimitExceeded` inside the body when it runs longer than ``seconds``.

    Works on the main thread of systems with SIGALRM; elsewhere, and with None, there is no limit.
    Code that swallows the exception is interrupted again every second, in the end by a
    ``BaseException``, and the error says so. Limits nest: the outer one goes on counting. A supervising
    process ends code that catches everything or never returns from C (:mod:`convlint.supervision`).
    """
    if (
        seconds is None
        or not hasattr(signal, "SIGALRM")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    rung = 0

    def ring(number: int, frame: FrameType | None) -> None:
        nonlocal rung
        rung += 1
        raise _StillRunning if rung > _PATIENCE else TimeLimitExceeded(f"not finished after {seconds:g} s")

    start = time.monotonic()
    previous_handler: Any = signal.signal(signal.SIGALRM, ring)
    previous_delay, previous_interval = signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6), 1.0)
    try:
        with noted_limit(seconds):
            yield
    except _StillRunning as error:
        message = f"not finished after {seconds:g} s, and it caught the interruption"
        raise TimeLimitExceeded(message).with_traceback(error.__traceback__) from None
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:  # again, because the alarm may have rung while it was being turned off
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous_handler)
            if previous_delay:
                remaining = max(previous_delay - (time.monotonic() - start), 1e-6)
                signal.setitimer(signal.ITIMER_REAL, remaining, previous_interval)
    if rung:
        raise TimeLimitExceeded(f"not finished after {seconds:g} s, and it caught the interruption")
