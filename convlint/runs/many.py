"""Many models on many processes: every model is answered once, even where its process dies.

The engine is any :class:`concurrent.futures.Executor`: processes of this machine, or the executor of
a cluster. Only plain data goes there and back, and a process that has imported torch once has it for
the next model.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from convlint.checking.options import Options
from convlint.destination import FileKind, checked_place, make_folder_of
from convlint.errors import ConvlintError, ModelError, RuleError, SettingsError, UsageError
from convlint.interface.inputs import InputSpec, parse_inputs
from convlint.model import SCHEMA_VERSION, Report
from convlint.model.run import Outcome
from convlint.runs.cache.codec import decode_report, encode_report
from convlint.runs.cache.fingerprint import described, digest_texts
from convlint.runs.cache.store import Cache
from convlint.runs.progress import Tally
from convlint.runs.session import Session
from convlint.runs.workers import Died, answers
from convlint.settings.jobs import Job
from convlint.settings.keys import MODEL, SETTINGS, read_table
from convlint.settings.project import job_of
from convlint.toml_table import Problems, Table

_ERRORS = {kind.__name__: kind for kind in (ModelError, UsageError)}


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
    ``settings`` (``target="iOS18"``) are defaults for all of them. Equal candidates count once.

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
        for index, row in answers(_row, tasks, executor, processes or os.cpu_count() or 1):
            name, job, _ = tasks[index]
            if isinstance(row, Died):
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
    """The outcome of each job in the order of the jobs, ``processes`` at a time."""
    folder = str(cache.folder) if cache is not None else None
    tasks = [(job, folder) for job in jobs]
    waiting: dict[int, Outcome] = {}
    following = 0
    with tally:
        for index, text in answers(_outcome_text, tasks, None, min(processes, len(jobs))):
            tally.add()
            job = jobs[index]
            waiting[index] = (
                Outcome(job.name, job.spec, job.root, error=ModelError(f"{job.name}: {text.why}"))
                if isinstance(text, Died)
                else _outcome(job, json.loads(text))
            )
            while following in waiting:
                tally.clear()
                yield waiting.pop(following)
                following += 1
                tally.show()


def candidate_id(job: Job) -> str:
    """The identity of a candidate, the same in every run."""
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
    if problems.messages:
        raise SettingsError(problems.messages)


def _answered(path: Path) -> set[str]:
    """The candidates that already have a row. A row that was cut off is removed, and asked again.

    Every whole line is read, and the beginning of a cut-off one, before the file is changed.
    """
    place = checked_place("results", str(path), _ROWS)
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
_ROWS = FileKind(
    "a file of rows that check_many wrote",
    lambda head: bool(head) and (head.startswith(_ROW_BEGINS) or _ROW_BEGINS.startswith(head)),
)


_sessions: dict[str | None, Session] = {}


def _session(folder: str | None) -> Session:
    """The session of this process, which keeps what it has imported."""
    if folder not in _sessions:
        _sessions[folder] = Session(Cache(folder) if folder is not None else None, quiet=True)
    return _sessions[folder]


def _outcome_text(job: Job, folder: str | None) -> str:
    """One outcome as JSON text, because the conditions of a rule are closures, which cannot be pickled."""
    outcome = _session(folder).check(job)
    if outcome.report is not None:
        return json.dumps({"report": encode_report(outcome.report), "kept": outcome.kept})
    error = outcome.error
    problems = error.problems if isinstance(error, RuleError) else None
    return json.dumps({"error": type(error).__name__, "message": str(error), "problems": problems})


def _outcome(job: Job, answer: Mapping[str, Any]) -> Outcome:
    if "report" in answer:
        return Outcome(job.name, job.spec, job.root, decode_report(answer["report"]), kept=answer["kept"])
    error: ConvlintError
    if answer["problems"] is not None:
        error = RuleError(answer["problems"])
    else:
        error = _ERRORS.get(answer["error"], ConvlintError)(answer["message"])
    return Outcome(job.name, job.spec, job.root, error=error)


def _row(name: str, job: Job, folder: str | None) -> dict[str, Any]:
    """One row, made in the process that checked the model, so that little data travels."""
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
