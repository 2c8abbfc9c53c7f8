"""Runs candidates on dask: workers of this machine, or a cluster that exists. A worker keeps two hosts."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.catalogue.candidate import Candidate
from benchmarks.catalogue.host import Host


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes that one model may take, the folders of another coremltools and of the packages."""

    seconds: float = 300.0
    memory: int = 10 << 30
    next_release: str = ""
    packages: str = ""


_HOSTS: dict[str, Host] = {}


def measure(row: dict[str, Any], limits: Limits) -> dict[str, Any]:
    """One candidate on a worker: the installed release, then the other where the first came to its end."""
    answer: dict[str, Any] = {"installed": _asked("installed", row, limits)}
    built, ended = "convertible" in answer["installed"], answer["installed"]["ended"]
    if limits.next_release and built and not ended:
        words = answer["installed"]["command"]
        answer["next"] = _asked("next_release", {**row, "commands": [words]}, limits)
    seconds = sum(each["seconds"] for each in answer.values())
    return {**answer, "date": datetime.date.today().isoformat(), "seconds": seconds}


def _asked(work: str, row: dict[str, Any], limits: Limits) -> dict[str, Any]:
    host = _HOSTS.get(work)
    if host is None or not host.alive:
        first = limits.next_release if work == "next_release" else ""
        host = _HOSTS[work] = Host(work, first, limits.packages)
    return host.ask(row, limits.seconds, limits.memory)


def run(
    waiting: Sequence[Candidate], limits: Limits, workers: int, scheduler: str, until: float
) -> Iterator[tuple[Candidate, dict[str, Any]]]:
    """The result of each candidate as it comes; none is begun after ``until``."""
    import dask
    import distributed
    from distributed import Client, LocalCluster, wait

    dask.config.set({"distributed.scheduler.allowed-failures": 0, "distributed.admin.log-length": 100})
    cluster = scheduler or LocalCluster(
        n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    )
    with Client(cluster) as client:
        ahead = max(1, len(client.scheduler_info()["workers"])) if scheduler else workers
        queue = list(reversed(waiting))
        running: dict[distributed.Future, Candidate] = {}
        while queue or running:
            while queue and len(running) < ahead and time.monotonic() < until:
                candidate = queue.pop()
                running[client.submit(measure, candidate.to_dict(), limits, pure=False)] = candidate
            if not running:
                return
            done = wait(list(running), return_when="FIRST_COMPLETED").done
            for future in done:
                candidate = running.pop(future)
                yield candidate, _answer(future)


def _answer(future: Any) -> dict[str, Any]:
    """What a task returned; a worker that died is the answer of its model."""
    error = future.exception()
    if error is None:
        answer: dict[str, Any] = future.result()
        return answer
    ended = f"its worker failed ({type(error).__name__}: {str(error)[:200]})"
    return {"installed": {"ended": ended}, "date": datetime.date.today().isoformat(), "seconds": 0.0}
