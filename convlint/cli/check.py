"""The command ``check``: gather the models, check them, write to stdout and the named files."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from convlint.cli.requests import CheckRequest, StorageOptions
from convlint.cli.stream import ReportStream, print_to_stderr
from convlint.destination import UNWRITTEN, checked_package, checked_place, make_folder_of
from convlint.errors import ModelError, UsageError
from convlint.model.run import Outcome, Run
from convlint.output.formats import PICTURES, Destination, destinations, write_files
from convlint.output.places import repository_root
from convlint.runs.cache.store import Cache, folder_of
from convlint.runs.progress import Tally
from convlint.runs.session import Session
from convlint.sandbox import stop_if_interrupted
from convlint.settings.jobs import Job
from convlint.settings.project import Project, find_project
from convlint.settings.request import jobs_of
from convlint.supervision import note_model, note_reported
from convlint.text import count, named, one_line, shown_path

if TYPE_CHECKING:
    from convlint.checking.baseline import Baseline


def check(request: CheckRequest, out: TextIO) -> int:
    """Check one model, or every configured one; the exit code is the worst of all."""
    project = find_project(file=request.config)
    jobs = jobs_of(request.models, project)
    return check_jobs(request, project, jobs, cache_of(request.storage, project), out)


def watch(request: CheckRequest, out: TextIO) -> int:
    """Check now, and again for the models that each change reaches, until Ctrl-C."""
    from convlint.runs.watch import folders_of, watch

    project = find_project(file=request.config)
    folders = folders_of(jobs_of(request.models, project), project)
    # A model named on the command line is always checked.
    narrow = request.models.spec is None

    def check_changed(changed: Sequence[str] | None) -> int:
        reached = tuple(changed) if changed is not None and narrow else request.changed
        return check(replace(request, changed=reached), out)

    return watch(folders, check_changed, out)


def check_jobs(
    request: CheckRequest, project: Project, jobs: list[Job], cache: Cache | None, out: TextIO
) -> int:
    """Check these jobs and write the requested reports."""
    files = destinations(request.files)
    jobs = _with_packages(jobs, files)
    several = request.models.several
    if len(jobs) > 1 and (drawn := next((file.path for file in files if file.format == "svg"), None)):
        raise UsageError(
            f"{shown_path(drawn)} is to be a drawing of one model, and {len(jobs)} are to be checked:"
            " name one with --model, or write a page of all of them with --report report.html."
        )
    _check_devices(jobs)
    pictured = bool({request.format, *(file.format for file in files)} & PICTURES)
    path = _baseline_path(request.storage, project)
    known = _baseline(path)
    folder = os.path.dirname(os.path.abspath(path)) if path else ""
    if request.changed is not None:
        from convlint.runs.affected import affected_jobs

        several = True
        jobs = affected_jobs(jobs, request.changed, project, cache)
        if not jobs and not request.quiet:
            print_to_stderr("convlint: no configured model reaches a changed file")
    shown: list[Outcome] = []
    stale: list[str] = []
    stream = ReportStream(request, out)
    with closing(_outcomes(jobs, request, cache)) as outcomes:
        for number, (job, outcome) in enumerate(zip(jobs, outcomes, strict=True)):
            if known is not None and outcome.report is not None:
                report, old = known.apply(outcome.report, folder, job.options.fail_on)
                outcome = replace(outcome, report=report)
                stale += old
            shown.append(_planned(outcome, job, pictured=pictured))
            if number < request.reported:
                stream.count(outcome)
                continue
            if outcome.error is not None and several:
                print_to_stderr(
                    f"convlint: error: {named(outcome.model)}: {one_line(str(outcome.error), 4000)}"
                )
            stream.show(outcome)
            note_reported(number + 1)
    run = _run(shown, several, stale)
    problems = _unwritten(run)
    stop_if_interrupted()
    stream.flush()
    try:
        write_files(run, files)
    except UsageError as error:  # the report on standard output is still written
        problems.append(str(error))
    if cache is not None and cache.trouble and not request.quiet:
        print_to_stderr(f"convlint: results are not cached ({cache.trouble}); --no-cache does without them")
    if not several and shown[0].error is not None and not problems:
        raise shown[0].error
    stream.end(run)
    for problem in problems:
        print_to_stderr(f"convlint: error: {problem}")
    return max(run.exit_code, 2) if problems else run.exit_code


def _with_packages(jobs: list[Job], files: Sequence[Destination]) -> list[Job]:
    """The jobs, each with the place of the package that it will write, already checked."""
    return [_with_package(job, files) for job in jobs]


def _with_package(job: Job, files: Sequence[Destination]) -> Job:
    if job.options.output is None:
        return job
    package = checked_package("--save-package", job.options.output)
    if any(file.place is not None and file.place.real == package for file in files):
        raise UsageError(f"--save-package and --report name one path, {shown_path(package)}.")
    return replace(job, options=replace(job.options, output=package))


def _unwritten(run: Run) -> list[str]:
    """Why packages could not be written, of models that convert."""
    trials = [trial for o in run.outcomes if o.report is not None for trial in o.report.trials]
    return [f"{trial.detail}." for trial in trials if trial.detail.startswith(UNWRITTEN)]


def _check_devices(jobs: Iterable[Job]) -> None:
    """Refuse an unknown chip or system before a model is built."""
    for job in jobs:
        if (job.options.chip, job.options.os) != (None, None):
            from convlint.checking.shipping import device_of

            device_of(job.options)


def _planned(outcome: Outcome, job: Job, *, pictured: bool) -> Outcome:
    """The outcome with its forecast; a picture needs one where no program is known, too."""
    if outcome.report is None:
        return outcome
    plan = outcome.report.plan
    if plan is None and pictured:
        from convlint.checking.shipping import device_of
        from convlint.placement.forecast import plan_report

        plan = plan_report(outcome.report, device_of(job.options))
    return replace(outcome, plan=plan)


def cache_of(storage: StorageOptions, project: Project) -> Cache | None:
    """The cache that the command line and the project ask for; None without one."""
    if not storage.cache:
        return None
    folder = storage.cache_dir or folder_of(project)
    return Cache(folder) if folder is not None else None


def baseline(request: CheckRequest, *, prune: bool) -> int:
    """Write the baseline of every configured model, or remove from it what is gone."""
    from convlint.checking.baseline import (
        BASELINE,
        DEFAULT_FILE,
        baseline_of,
        baseline_to_replace,
        read_baseline,
        write_baseline,
    )

    project = find_project(file=request.config)
    jobs = jobs_of(request.models, project)
    path = _baseline_path(request.storage, project)
    if path is None:
        path = os.path.join(project.root or os.getcwd(), DEFAULT_FILE)
    folder = os.path.dirname(os.path.abspath(path))
    place = checked_place("--baseline", path, BASELINE)
    old = read_baseline(path) if prune else None
    known = baseline_to_replace(path, required=bool(request.models.models)) if old is None else None
    make_folder_of(place)
    with closing(_outcomes(jobs, request, cache_of(request.storage, project))) as checked:
        outcomes = list(checked)
    for outcome in outcomes:
        if outcome.error is not None:
            print_to_stderr(f"convlint: error: {named(outcome.model)}: {one_line(str(outcome.error), 4000)}")
    configured_models = {model.name for model in project.models}
    if old is not None:
        new = old.pruned(outcomes, folder, configured_models)
    else:
        new = baseline_of(outcomes, folder)
        if known is not None:
            new = new.over(known, configured_models | set(request.models.models))
    stop_if_interrupted()
    write_baseline(place, new)
    mine = {outcome.model for outcome in outcomes}
    number = sum(sum(kinds.values()) for model, kinds in new.counts.items() if model in mine)
    configured = project.baseline or request.storage.baseline
    hint = "" if configured else f'; set baseline = "{DEFAULT_FILE}" in the configuration to have it read'
    print_to_stderr(
        f"convlint: {count(number, 'known finding')} of {count(len(outcomes), 'model')} in {path}{hint}"
    )
    return 3 if any(outcome.error is not None for outcome in outcomes) else 0


def _outcomes(jobs: Sequence[Job], request: CheckRequest, cache: Cache | None) -> Generator[Outcome]:
    """The outcome of each job, in the order of the jobs."""
    workers = request.processes
    if workers > 1 and len(jobs) > 1:
        from convlint.runs.many import outcomes_in_processes

        yield from outcomes_in_processes(jobs, workers, cache, Tally(len(jobs), enabled=not request.quiet))
        return
    session = Session(cache, debug=request.debug, quiet=request.quiet)
    for number, job in enumerate(jobs):
        if number in request.ended:
            yield Outcome(job.name, job.spec, job.root, error=ModelError(request.ended[number]))
            continue
        note_model(number if len(jobs) > 1 else -1)
        yield session.check(job, f"{number + 1} of {len(jobs)}, " if len(jobs) > 1 else "")
    note_model(-1)


def _run(outcomes: list[Outcome], several: bool, stale: list[str]) -> Run:
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    unused = []
    if any(report.ignores for report in reports):
        from convlint.checking.suppress import unused_ignores

        unused = unused_ignores(reports)
    return Run(tuple(outcomes), repository_root(os.getcwd()), several, tuple(unused), tuple(stale))


def _baseline_path(storage: StorageOptions, project: Project) -> str | None:
    if not storage.use_baseline:
        return None
    return project.baseline if storage.baseline is None else storage.baseline


def _baseline(path: str | None) -> Baseline | None:
    if path is None:
        return None
    from convlint.checking.baseline import read_baseline

    return read_baseline(path)
