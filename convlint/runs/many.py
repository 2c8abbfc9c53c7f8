"""Many models on many processes: every model answered once, whatever becomes of a process.

The engine is any :class:`concurrent.futures.Executor`: processes of this machine, or a cluster's
that speaks the same language. Only plain data goes there and back, and a process that has imported
torch once keeps it for the next model.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from multiprocessing import current_process, get_context, parent_process
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from convlint.checking.options import Options
from convlint.destination import Kind, look_at, make_folder_of
from convlint.errors import ConvlintError, ModelError, RuleError, SettingsError, UsageError
from convlint.interface.inputs import InputSpec, parse_inputs
from convlint.model import SCHEMA_VERSION, Report
from convlint.model.run import Outcome
from convlint.runs.cache.codec import decode_report, encode_report
from convlint.runs.cache.fingerprint import described, digest_texts
from convlint.runs.cache.store import Cache
from convlint.runs.progress import Tally
from convlint.runs.session import Session
from convlint.sandbox import leave_behind
from convlint.settings.jobs import Job
from convlint.settings.keys import MODEL, SETTINGS, read_table
from convlint.settings.project import job_of
from convlint.supervision import end_when_late
from convlint.text import single_line
from convlint.toml_table import Problems, Table

_AHEAD = 64
"""How many tasks wait in an executor of which nobody here knows how many workers it has."""
_ERRORS = {kind.__name__: kind for kind in (ModelError, UsageError)}


@dataclass(frozen=True, slots=True)
class _Died:
    """What is answered for a task whose process ended under it."""

    why: str


def check_many(
    specs: Iterable[str | Mapping[str, Any] | Job],
    *,
    inputs: Sequence[str] = (),
    executor: Executor | None = None,
    processes: int | None = None,
    results: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool = False,
    **settings: Any,
) -> Iterator[dict[str, Any]]:
    """Check many candidates, and yield one row for each as soon as it is known.

    A candidate is a spec (``"models.py:Net"``) or a mapping with the keys of a configured model
    (``{"spec": "models.py:Net", "args": {"width": 64}, "inputs": ["1x3x64x64"]}``); ``inputs`` and
    ``settings`` (``target="iOS18"``) hold for all that say nothing else. Equal candidates are one.

    They run on ``executor``, or on ``processes`` processes of this machine. A candidate whose
    process dies is answered with an error; the others are not touched by it.

    ``results`` names a file of JSON lines that every row is appended to. Candidates that have a row
    there already are not checked again and not yielded, so that a run that was stopped goes on.
    ``progress`` draws a bar on a terminal.
    """
    common = _options(settings)
    parsed = parse_inputs(inputs)
    jobs = {candidate_id(job): job for job in (_job(spec, common, parsed) for spec in specs)}
    path = Path(results).absolute() if results is not None else None
    answered = _answered(path) if path is not None else set()
    folder = os.fspath(cache) if cache is not None else None
    tasks = [(name, job, folder) for name, job in jobs.items() if name not in answered]
    with Tally(len(jobs), enabled=progress) as tally:
        tally.add(len(jobs) - len(tasks))
        for index, row in _answers(_row, tasks, executor, processes or os.cpu_count() or 1):
            name, job, _ = tasks[index]
            if isinstance(row, _Died):
                row = {**_row_head(name, job), "convertible": "unknown", "exit_code": 3, "error": row.why}
            if path is not None:
                _append(path, json.dumps(row) + "\n")
            tally.add()
            yield row


def _append(path: Path, line: str) -> None:
    """Add one row in one piece, so that two runs may add to one file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            left = memoryview(line.encode())
            while left:
                left = left[os.write(descriptor, left) :]
        finally:
            os.close(descriptor)
    except OSError as error:
        raise UsageError(f"cannot write the results in {path}: {error.strerror}.") from error


def outcomes_in_processes(
    jobs: Sequence[Job], processes: int, cache: Cache | None, tally: Tally
) -> Iterator[Outcome]:
    """The outcome of each job in the order of the jobs, so many at a time."""
    folder = str(cache.folder) if cache is not None else None
    tasks = [(job, folder) for job in jobs]
    waiting: dict[int, Outcome] = {}
    following = 0
    with tally:
        for index, text in _answers(_outcome_text, tasks, None, min(processes, len(jobs))):
            tally.add()
            job = jobs[index]
            waiting[index] = (
                Outcome(job.name, job.spec, job.root, error=ModelError(f"{job.name}: {text.why}"))
                if isinstance(text, _Died)
                else _outcome(job, json.loads(text))
            )
            while following in waiting:
                tally.clear()
                yield waiting.pop(following)
                following += 1
                tally.show()


def candidate_id(job: Job) -> str:
    """What tells one candidate from another, the same in every run."""
    facts = asdict(job)
    facts["options"].pop("origins")
    return digest_texts([described(facts)])


def _options(values: Mapping[str, Any]) -> Options:
    table = {name.replace("_", "-"): list(v) if isinstance(v, tuple) else v for name, v in values.items()}
    if table.get("trial", "") is None:
        table["trial"] = "none"
    read = Table(table, "", SETTINGS, Problems("check_many"))
    options = read_table(read, SETTINGS)
    _raise(read.problems)
    return Options().over(options, "check_many")


def _job(spec: str | Mapping[str, Any] | Job, options: Options, inputs: tuple[InputSpec, ...]) -> Job:
    if isinstance(spec, Job):
        return spec
    data = {"spec": spec} if isinstance(spec, str) else dict(spec)
    table = Table(data, "", (*MODEL, *SETTINGS), Problems("check_many"))
    job = job_of(table, options, os.getcwd())
    _raise(table.problems)
    assert job is not None
    return replace(job, inputs=job.inputs or inputs)


def _raise(problems: Problems) -> None:
    if problems.found:
        raise SettingsError(problems.found)


def _answered(path: Path) -> set[str]:
    """The candidates that have a row already. A row that was cut off is removed: it is asked again.

    Every whole line is looked at, and the beginning of what was cut off, before anything is touched.
    """
    place = look_at("results", str(path), _ROWS)
    make_folder_of(place)
    if place.is_stream or not os.path.exists(place.real):
        return set()
    try:
        data = Path(place.real).read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        rest = data[len(whole) :]
        rows = [json.loads(line) for line in whole.splitlines() if line.strip()]
        answered = {str((row["id"], row["schema_version"], row["spec"])[0]) for row in rows}
        begins = rest.startswith(b'{"' if rows else _ROW_BEGINS) or _ROW_BEGINS.startswith(rest)
        if rest and not begins:
            raise ValueError("its last line is no row")
        if rest:
            with open(place.real, "r+b") as stream:
                stream.truncate(len(whole))
        return answered
    except OSError as error:
        raise UsageError(f"cannot read the results in {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"{path} holds a line that is no row of check_many ({error!r}): name another file."
        ) from error


_ROW_BEGINS = b'{"schema_version": '
_ROWS = Kind(
    "a file of rows that check_many wrote",
    lambda head: bool(head) and (head.startswith(_ROW_BEGINS) or _ROW_BEGINS.startswith(head)),
)


def _answers(
    work: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], executor: Executor | None, processes: int
) -> Iterator[tuple[int, Any]]:
    """The index and answer of every task, each once, as they come.

    Where a pool breaks, nobody knows which of the running tasks broke it: those are asked again one
    after another, and what breaks a process alone is answered with that.
    """
    left = list(range(len(tasks)))[::-1]
    ahead = _AHEAD if executor is not None else 2 * processes
    while left:
        pool = executor or _pool(min(processes, len(left)))
        running: dict[Future[Any], int] = {}
        broken = False
        try:
            while (left or running) and not broken:
                while left and len(running) < ahead:
                    try:
                        running[pool.submit(work, *tasks[left[-1]])] = left[-1]
                    except BrokenExecutor:
                        broken = True
                        break
                    left.pop()
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    index = running[future]
                    if isinstance(_error(future), BrokenExecutor):
                        broken = True
                    else:
                        del running[future]
                        yield index, _result(future)
        finally:
            for future in () if broken else running:
                future.cancel()  # the caller wants no more of them
            if pool is not executor:
                pool.shutdown(wait=not (left or running or broken), cancel_futures=True)
        if broken:
            executor, ahead = None, 2 * processes
            yield from _one_by_one(work, {index: tasks[index] for index in sorted(running.values())})


def _one_by_one(work: Callable[..., Any], tasks: Mapping[int, tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
    """The answer of each task alone in a process, which is another after each that broke it."""
    pool: ProcessPoolExecutor | None = None
    try:
        for index, task in tasks.items():
            pool = pool or _pool(1)
            future = pool.submit(work, *task)
            answer = _result(future)
            if isinstance(_error(future), BrokenExecutor):
                pool.shutdown()
                pool = None
            yield index, answer
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def _pool(processes: int) -> ProcessPoolExecutor:
    """Processes that start from nothing: a fork of a process that has run torch may hang."""
    if getattr(current_process(), "_inheriting", False):
        sys.exit(1)  # a worker that imports the script and was sent here by it; its parent tells of it
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _prepare_worker)
    try:
        pool.submit(os.getpid).result()
    except BrokenExecutor:
        raise UsageError(
            "the processes of check_many cannot start. Each imports the script that calls it, so that the"
            ' call has to stand in a file, under `if __name__ == "__main__":`.'
        ) from None
    return pool


def _prepare_worker() -> None:
    """Make a worker that ends when it is asked to, and when the process that started it is gone."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # the parent tells of it, once
    end_when_late()
    # Before multiprocessing waits for what user code left running.
    Finalize(None, leave_behind, args=(0,), exitpriority=0)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker waits for tasks on a pipe that it holds open itself, and so would wait for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _error(future: Future[Any]) -> BaseException | None:
    return future.exception() if not future.cancelled() else None


def _result(future: Future[Any]) -> Any:
    """What a task returned; what became of its process where it returned nothing.

    Executors have exceptions of their own for a worker that is gone (dask: KilledWorker), so that any
    exception is an answer here. Our own work returns its errors.
    """
    if future.cancelled():
        return _Died("the task was cancelled")
    error = future.exception()
    if error is None:
        return future.result()
    what = (
        "the process that checked it ended itself, did not end in time or died"
        if isinstance(error, BrokenExecutor)
        else "its worker failed"
    )
    return _Died(f"{what} ({type(error).__name__}: {single_line(error, 300)})")


_sessions: dict[str | None, Session] = {}


def _session(folder: str | None) -> Session:
    """The session of this process, which keeps what it has imported."""
    if folder not in _sessions:
        _sessions[folder] = Session(Cache(folder) if folder is not None else None, quiet=True)
    return _sessions[folder]


def _outcome_text(job: Job, folder: str | None) -> str:
    """One outcome as text: the conditions of a rule are closures, which cannot be sent."""
    outcome = _session(folder).check(job)
    if outcome.report is not None:
        return json.dumps({"report": encode_report(outcome.report), "kept": outcome.kept})
    error = outcome.error
    problems = error.problems if isinstance(error, RuleError) else None
    return json.dumps({"error": type(error).__name__, "message": str(error), "problems": problems})


def _outcome(job: Job, told: Mapping[str, Any]) -> Outcome:
    if "report" in told:
        return Outcome(job.name, job.spec, job.root, decode_report(told["report"]), kept=told["kept"])
    error: ConvlintError
    if told["problems"] is not None:
        error = RuleError(told["problems"])
    else:
        error = _ERRORS.get(told["error"], ConvlintError)(told["message"])
    return Outcome(job.name, job.spec, job.root, error=error)


def _row(name: str, job: Job, folder: str | None) -> dict[str, Any]:
    """One row, made where the model was checked, so that little travels."""
    outcome = _session(folder).check(job)
    row = _row_head(name, job)
    if outcome.report is None:
        return row | {
            "convertible": "unknown",
            "exit_code": outcome.exit_code,
            "error": str(outcome.error),
        }
    return row | _row_of_report(outcome.report) | {"kept": outcome.kept, "error": None}


def _row_head(name: str, job: Job) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "id": name,
        "name": job.name,
        "spec": job.spec,
        "args": {key: value if _is_plain(value) else repr(value) for key, value in job.args.items()},
        "arg_exprs": dict(job.arg_exprs),
        "inputs": [str(spec) for spec in job.inputs],
        "target": job.options.target,
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


def _row_of_report(report: Report) -> dict[str, Any]:
    graph = report.graph
    severities = Counter(finding.severity for finding in report.findings)
    return {
        "convertible": report.convertible,
        "exit_code": report.exit_code,
        "errors": severities["error"],
        "warnings": severities["warning"],
        "notes": severities["note"],
        "rules": dict(Counter(finding.rule.code for finding in report.findings)),
        "ops": len(graph.calls) if graph is not None else 0,
        "parameters": graph.parameter_count if graph is not None else 0,
        "seconds": round(report.seconds.get("total", 0.0), 4),
    }
