"""The command ``check``: gather the models, check them, write to the streams and files that were named."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from convlint.destination import UNWRITTEN, look_at, look_at_package, make_folder_of
from convlint.errors import ModelError, UsageError
from convlint.model.run import Outcome, Run
from convlint.output.formats import PICTURES, RENDERERS, Destination, destinations, write_files
from convlint.output.places import repository_root
from convlint.runs.cache.store import Cache, folder_of
from convlint.runs.progress import Tally
from convlint.runs.session import Session
from convlint.sandbox import stop_if_interrupted
from convlint.settings.jobs import Job, chip_of, jobs_of, without_trial
from convlint.settings.project import NO_TRIAL, Project, find_project
from convlint.supervision import note_model, note_told
from convlint.text import count, named, one_line, shown_path, visible

if TYPE_CHECKING:
    from convlint.checking.baseline import Baseline
    from convlint.model import Report
    from convlint.placement.chips import Device


def check(options: argparse.Namespace, out: TextIO) -> int:
    """Check one model, or every configured one; the exit code is the worst of all."""
    project = find_project(file=options.config)
    if options.coremltools is not None:
        from convlint.coreml.versions import parse_release

        parse_release(options.coremltools)
    jobs = jobs_of(options, project)
    cache = cache_of(options, project)
    if options.show_settings:
        return _show_settings(options, project, jobs, cache, out)
    if options.diff_coremltools:
        return _compare_releases(jobs, options, out)
    return check_jobs(options, project, jobs, cache, out)


def check_jobs(
    options: argparse.Namespace, project: Project, jobs: list[Job], cache: Cache | None, out: TextIO
) -> int:
    """Check these jobs and write what the options ask for."""
    files = destinations(options.output_file or ())
    jobs = _with_packages(jobs, files)
    several = options.spec is None and len(options.model or ()) != 1
    if len(jobs) > 1 and (drawn := next((file.path for file in files if file.format == "svg"), None)):
        raise UsageError(
            f"{shown_path(drawn)} is to be a drawing of one model, and {len(jobs)} are to be checked:"
            " name one with --model, or write a page of all of them with --html."
        )
    device = _device(options, project, files)
    path = _baseline_path(options, project)
    known = _baseline(path)
    folder = os.path.dirname(os.path.abspath(path)) if path else ""
    if options.changed is not None:
        from convlint.runs.affected import affected_jobs

        several = True
        jobs = affected_jobs(jobs, options.changed, project, cache)
        if not jobs and not options.quiet:
            tell("convlint: no configured model reaches a changed file")
    shown: list[Outcome] = []
    stale: list[str] = []
    stream = _Stream(options, out)
    with closing(_outcomes(jobs, options, cache)) as outcomes:
        for number, (job, outcome) in enumerate(zip(jobs, outcomes, strict=True)):
            if known is not None and outcome.report is not None:
                report, old = known.apply(outcome.report, folder, job.settings.fail_on)
                outcome = replace(outcome, report=report)
                stale += old
            shown.append(outcome if device is None else _planned(outcome, device))
            if number < getattr(options, "told", 0):
                stream.count(outcome)
                continue
            if outcome.error is not None and several:
                tell(f"convlint: error: {named(outcome.model)}: {one_line(str(outcome.error), 4000)}")
            stream.show(outcome)
            note_told(number + 1)
    run = _run(shown, several, stale, options)
    problems = _unwritten(run)
    stop_if_interrupted()
    stream.flush()
    try:
        write_files(run, files)
    except UsageError as error:  # the report that was asked for on standard output is given nevertheless
        problems.append(str(error))
    if cache is not None and cache.trouble and not options.quiet:
        tell(f"convlint: results are not kept ({cache.trouble}); --no-cache does without them")
    if not several and shown[0].error is not None and not problems:
        raise shown[0].error
    stream.end(run)
    for problem in problems:
        tell(f"convlint: error: {problem}")
    return max(run.exit_code, 2) if problems else run.exit_code


def _with_packages(jobs: list[Job], files: Sequence[Destination]) -> list[Job]:
    """The jobs, each with the place of the package that it is to write, which was looked at."""
    found = []
    for job in jobs:
        if job.output is not None:
            job = replace(job, output=look_at_package("--output", job.output))
            if any(file.place is not None and file.place.real == job.output for file in files):
                raise UsageError(f"--output and --output-file name one path, {shown_path(job.output or '')}.")
        found.append(job)
    return found


def _unwritten(run: Run) -> list[str]:
    """What is wrong with packages that could not be written, though their models convert."""
    trials = [trial for o in run.outcomes if o.report is not None for trial in o.report.trials]
    return [f"{trial.detail}." for trial in trials if trial.detail.startswith(UNWRITTEN)]


def _device(options: argparse.Namespace, project: Project, files: Sequence[Destination]) -> Device | None:
    """The device to plan for, None where no output shows a plan."""
    if not {options.format, *(file.format for file in files)} & PICTURES:
        return None
    from convlint.placement.chips import find_device

    return find_device(*chip_of(options, project))


def _planned(outcome: Outcome, device: Device) -> Outcome:
    if outcome.report is None:
        return outcome
    from convlint.placement.forecast import plan_report

    return replace(outcome, plan=plan_report(outcome.report, device))


def cache_of(options: argparse.Namespace, project: Project) -> Cache | None:
    """The cache that the options and the project ask for, None for none."""
    if options.no_cache:
        return None
    folder = options.cache_dir or folder_of(project)
    return Cache(folder) if folder is not None else None


def baseline(options: argparse.Namespace, out: TextIO) -> int:
    """Write the baseline of every configured model, or take out of it what is gone."""
    from convlint.checking.baseline import (
        BASELINE,
        DEFAULT_FILE,
        baseline_of,
        earlier,
        read_baseline,
        write_baseline,
    )

    project = find_project(file=options.config)
    jobs = jobs_of(options, project)
    path = _baseline_path(options, project)
    if path is None:
        path = os.path.join(project.root or os.getcwd(), DEFAULT_FILE)
    folder = os.path.dirname(os.path.abspath(path))
    place = look_at("--baseline", path, BASELINE)
    old = read_baseline(path) if options.action == "prune" else None
    known = earlier(path, wanted=bool(options.model)) if old is None else None
    make_folder_of(place)
    with closing(_outcomes(jobs, options, cache_of(options, project))) as checked:
        outcomes = list(checked)
    for outcome in outcomes:
        if outcome.error is not None:
            tell(f"convlint: error: {named(outcome.model)}: {one_line(str(outcome.error), 4000)}")
    configured_models = {model.name for model in project.models}
    if old is not None:
        new = old.pruned(outcomes, folder, configured_models)
    else:
        new = baseline_of(outcomes, folder)
        if known is not None:
            new = new.over(known, configured_models | set(options.model or ()))
    stop_if_interrupted()
    write_baseline(place, new)
    mine = {outcome.model for outcome in outcomes}
    number = sum(sum(kinds.values()) for model, kinds in new.counts.items() if model in mine)
    configured = project.baseline or options.baseline
    hint = "" if configured else f'; set baseline = "{DEFAULT_FILE}" in the configuration to have it read'
    tell(f"convlint: {count(number, 'known finding')} of {count(len(outcomes), 'model')} in {path}{hint}")
    return 3 if any(outcome.error is not None for outcome in outcomes) else 0


class _Stream:
    """What appears on standard output: people see each model when it is done, programs one document.

    Where it takes no more (a reader that went away, a full disk), the files that were asked for are
    still written, and the error is raised after that.
    """

    def __init__(self, options: argparse.Namespace, out: TextIO) -> None:
        self._options = options
        self._out = out
        self._shown = 0
        self._broken: OSError | None = None

    def show(self, outcome: Outcome) -> None:
        """One model that is done, where people read: it stays shown, whatever the next one does."""
        self._put(lambda: self._show(outcome))
        self.flush()

    def count(self, outcome: Outcome) -> None:
        """One model that was shown already, by a process that another model has ended since."""
        self._shown += outcome.report is not None

    def flush(self) -> None:
        """What was written so far is there before anything is written elsewhere."""
        self._put(self._out.flush)

    def end(self, run: Run) -> None:
        """What is to be said of all of them."""
        self._put(lambda: self._end(run))
        self.flush()
        if self._broken is not None:
            raise self._broken

    def _put(self, write: Callable[[], object]) -> None:
        if self._broken is None:
            try:
                write()
            except OSError as error:
                self._broken = error

    def _show(self, outcome: Outcome) -> None:
        report = outcome.report
        if report is None or self._options.format not in ("terminal", "concise"):
            return
        self._shown += 1
        if self._options.format == "concise":
            self._concise(report)
            return
        from convlint.output.terminal import console_of, render

        if self._shown > 1:
            self._out.write("\n")
        render(report, console_of(self._out), quiet=self._options.quiet)

    def _concise(self, report: Report) -> None:
        from convlint.model.verdict import verdict
        from convlint.output.concise import render_concise

        self._out.write(render_concise(report))
        if not self._options.quiet:
            self._out.flush()
            result = verdict(report)
            tell(f"{named(report.model)}: {result.headline} {result.next_step}")

    def _end(self, run: Run) -> None:
        options = self._options
        if options.format not in ("terminal", "concise"):
            self._out.write(RENDERERS[options.format](run))
        else:
            for ignore in run.unused_ignores:
                from convlint.output.concise import unused_line

                self._out.write(f"{unused_line(ignore)}\n")
            if options.format == "terminal" and len(run.outcomes) > 1 and not options.quiet:
                self._out.write(f"\n{tally_of_models(run)}\n")
        if run.stale:
            from convlint.checking.baseline import stale_text

            self._out.flush()
            tell(f"convlint: error: {stale_text(run.stale)}")


def _outcomes(jobs: Sequence[Job], options: argparse.Namespace, cache: Cache | None) -> Generator[Outcome]:
    """The outcome of each job, in the order of the jobs."""
    workers = options.jobs or 1
    if workers > 1 and len(jobs) > 1:
        from convlint.runs.many import outcomes_in_processes

        yield from outcomes_in_processes(jobs, workers, cache, Tally(len(jobs), enabled=not options.quiet))
        return
    session = Session(cache, debug=options.debug, quiet=options.quiet)
    ended: Mapping[int, str] = getattr(options, "ended", {})
    for number, job in enumerate(jobs):
        if number in ended:
            yield Outcome(job.name, job.spec, job.root, error=ModelError(ended[number]))
            continue
        note_model(number if len(jobs) > 1 else -1)
        yield session.check(job, f"{number + 1} of {len(jobs)}, " if len(jobs) > 1 else "")
    note_model(-1)


def _run(outcomes: list[Outcome], several: bool, stale: list[str], options: argparse.Namespace) -> Run:
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    unused = []
    if any(report.ignores for report in reports):
        from convlint.checking.suppress import unused_ignores

        unused = unused_ignores(reports)
    return Run(tuple(outcomes), repository_root(os.getcwd()), several, tuple(unused), tuple(stale))


def _baseline_path(options: argparse.Namespace, project: Project) -> str | None:
    if options.no_baseline:
        return None
    return project.baseline if options.baseline is None else str(options.baseline)


def _baseline(path: str | None) -> Baseline | None:
    if path is None:
        return None
    from convlint.checking.baseline import read_baseline

    return read_baseline(path)


def _show_settings(
    options: argparse.Namespace, project: Project, jobs: Sequence[Job], cache: Cache | None, out: TextIO
) -> int:
    from convlint.output.json import dumps
    from convlint.output.settings import settings_text, settings_to_dict

    folder = str(cache.folder) if cache is not None else None
    if options.format == "json":
        out.write(dumps(settings_to_dict(project, jobs, folder)))
    else:
        out.write(settings_text(project, jobs, folder))
    return 0


def _compare_releases(jobs: Sequence[Job], options: argparse.Namespace, out: TextIO) -> int:
    """Say for each model what another coremltools would change; exit code 1 where something breaks."""
    from convlint.checking.upgrade import compare
    from convlint.coreml.versions import parse_release
    from convlint.output.json import dumps, reports_to_dict
    from convlint.output.upgrade import upgrade_text, upgrade_to_dict

    releases = [parse_release(text).text for text in options.diff_coremltools]
    if options.coremltools is not None or options.trial not in (None, NO_TRIAL):
        raise UsageError(
            "--diff-coremltools compares by the rules alone: leave --coremltools and --trial out."
        )
    session = Session(debug=options.debug, quiet=options.quiet)
    entries = []
    worst = 0
    for job in jobs:
        reports = []
        for release in releases:
            outcome = session.check(replace(without_trial(job), coremltools=release))
            if outcome.report is None:
                assert outcome.error is not None
                raise outcome.error
            reports.append(outcome.report)
        upgrade = compare(*reports)
        codes = [report.exit_code for report in reports if report.exit_code == 3]
        worst = max(worst, upgrade.exit_code(job.settings.fail_on), *codes)
        if options.format == "json":
            entries.append(upgrade_to_dict(upgrade))
        else:
            out.write(("\n" if job is not jobs[0] else "") + upgrade_text(upgrade))
    if options.format == "json":
        out.write(dumps(reports_to_dict(entries, worst) if len(jobs) > 1 else entries[0]))
    return worst


def tally_of_models(run: Run) -> str:
    """``"3 models: 2 converts, 1 unknown"``."""
    from convlint.model.verdict import wrong_numbers

    verdicts = [
        "failed"
        if o.report is None
        else ("apart" if o.report.convertible == "yes" and wrong_numbers(o.report) else o.report.convertible)
        for o in run.outcomes
    ]
    words = {
        "yes": "converts",
        "apart": "converts to other numbers",
        "no": "does not convert",
        "unknown": "unknown",
        "failed": "not checked",
    }
    parts = [f"{verdicts.count(word)} {text}" for word, text in words.items() if word in verdicts]
    return f"{count(len(verdicts), 'model')}: {', '.join(parts)}"


def tell(text: str) -> None:
    """A hint or an error for people, beside the report."""
    sys.stderr.write(f"{visible(text)}\n")
