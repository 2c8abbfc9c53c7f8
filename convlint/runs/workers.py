"""Tasks on many processes: every task is answered once, even where its process dies.

The engine is any :class:`concurrent.futures.Executor`: processes of this machine, or the executor of
a cluster. Only plain data goes there and back.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.util import Finalize
from typing import Any

from convlint.errors import UsageError
from convlint.sandbox import leave_behind
from convlint.supervision import end_when_late
from convlint.text import single_line

_AHEAD = 64
"""How many tasks are handed to an executor whose number of workers is unknown."""


@dataclass(frozen=True, slots=True)
class Died:
    """The answer for a task whose process ended during it."""

    why: str


class Workers(Executor):
    """``count`` processes of this machine; one that dies fails its own task and no other.

    They are spawned, because a fork of a process that has run torch may hang.
    """

    def __init__(self, count: int) -> None:
        if getattr(current_process(), "_inheriting", False):
            sys.exit(1)  # a worker that imports the script and was sent here by it; its parent reports it
        from pebble import ProcessPool

        self._pool = ProcessPool(count, context=get_context("spawn"), initializer=_prepare)
        try:
            self.submit(os.getpid).result()
        except BrokenExecutor:
            raise UsageError(
                "the processes of check_many cannot start. Each imports the script that calls it, so that the"
                ' call has to stand in a file, under `if __name__ == "__main__":`.'
            ) from None

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        return self._pool.schedule(work, args=arguments, kwargs=named)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            self._pool.stop()  # type: ignore[no-untyped-call]
        else:
            self._pool.close()  # type: ignore[no-untyped-call]
        if wait:
            self._pool.join()


def answers(
    work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], executor: Executor | None, processes: int
) -> Iterator[tuple[int, Any]]:
    """The index and answer of every task, each once, as they come.

    When the caller's executor breaks, it is unknown which running task broke it: all running and waiting
    tasks then go to processes of this machine.
    """
    waiting = deque(range(len(tasks)))
    running: dict[Future[Any], int] = {}
    pool, ahead = (executor, _AHEAD) if executor is not None else (None, 2 * processes)
    try:
        while waiting or running:
            pool = pool or Workers(min(processes, len(waiting)))
            broken = not _fill(pool, work, tasks, waiting, running, ahead)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                if isinstance(_error(future), BrokenExecutor):
                    broken = True
                else:
                    yield running.pop(future), _answer(future)
            if broken:
                waiting.extendleft(sorted(running.values(), reverse=True))
                running.clear()
                pool, ahead = None, 2 * processes
    finally:
        for future in running:
            future.cancel()  # the caller stopped reading
        if pool is not None and pool is not executor:
            pool.shutdown(wait=not (waiting or running), cancel_futures=bool(waiting or running))


def _fill(
    pool: Executor,
    work: Callable[..., Any],
    tasks: Sequence[tuple[Any, ...]],
    waiting: deque[int],
    running: dict[Future[Any], int],
    ahead: int,
) -> bool:
    """Hand over the next tasks until the pool has ``ahead`` of them; return whether it took them."""
    while waiting and len(running) < ahead:
        try:
            running[pool.submit(work, *tasks[waiting[0]])] = waiting[0]
        except BrokenExecutor:
            return False
        waiting.popleft()
    return True


def _error(future: Future[Any]) -> BaseException | None:
    return future.exception() if not future.cancelled() else None


def _answer(future: Future[Any]) -> Any:
    """The result of a task, or how its process ended where there is no result.

    Executors have exceptions of their own for a lost worker (pebble: ProcessExpired, dask: KilledWorker),
    so any exception is an answer here. Our own work returns its errors.
    """
    if future.cancelled():
        return Died("the task was cancelled")
    error = future.exception()
    if error is None:
        return future.result()
    code = getattr(error, "exitcode", None)
    if code is not None:
        return Died(
            f"the process that checked it ended itself, did not end in time or died (exit code {code})"
        )
    return Died(f"its worker failed ({type(error).__name__}: {single_line(error)[:300]})")


def _prepare() -> None:
    """Have this worker end when it is asked to, and when the process that started it is gone."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # the parent reports it, once
    end_when_late()
    # Before multiprocessing waits for what user code left running.
    Finalize(None, leave_behind, args=(0,), exitpriority=0)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker with its parent: it holds its own pipe of tasks open, and would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
