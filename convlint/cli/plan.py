"""``convlint plan``: load, capture, place, show."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

from convlint.checking.shipping import device_of
from convlint.cli.requests import ModelCommand, command_fields
from convlint.errors import UsageError
from convlint.model.placement import Plan
from convlint.model.run import Outcome, Run
from convlint.output.formats import destinations, write_files
from convlint.output.places import repository_root
from convlint.runs.opening import opened
from convlint.runs.progress import Progress
from convlint.settings.jobs import Job
from convlint.settings.project import find_project
from convlint.settings.request import one_job

if TYPE_CHECKING:
    from convlint.model.measured import Measured
    from convlint.model.placement import ComputeUnits
    from convlint.placement.rules import Precision


@dataclass(frozen=True)
class PlanRequest(ModelCommand):
    """``convlint plan``."""

    compute_units: ComputeUnits
    precision: Precision
    measure: bool
    files: tuple[str, ...]


def plan_request(namespace: argparse.Namespace) -> PlanRequest:
    """The request of ``plan``."""
    return PlanRequest(
        **command_fields(namespace),
        compute_units=namespace.compute_units,
        precision=namespace.plan_precision,
        measure=namespace.measure,
        files=tuple(namespace.output_file or ()),
    )


def plan(request: PlanRequest, out: TextIO) -> int:
    """Plan one model; exit code 0 whatever the plan says."""
    from convlint.placement.forecast import check_words

    project = find_project(file=request.config)
    job = one_job(request.models, project, "plan")
    device_of(job.options)
    check_words(request.compute_units, request.precision)
    if request.measure:
        from convlint.placement.measure import can_measure

        problem = can_measure()
        if problem:
            raise UsageError(problem)
    files = destinations(request.files)
    forecast, measured = _planned(job, request)
    outcome = Outcome(job.name, job.spec, job.root, plan=forecast)
    write_files(Run((outcome,), repository_root(os.getcwd())), files)
    _write(forecast, measured, request.format, out)
    return 0


def _planned(job: Job, request: PlanRequest) -> tuple[Plan, Measured | None]:
    with Progress(job.name, enabled=not request.quiet) as progress:
        with opened(job, progress, debug=request.debug) as source:
            from convlint.checking.planning import plan_source

            units, precision = request.compute_units, request.precision
            forecast = plan_source(job.name, source, job.options, units, precision, progress)
            if not request.measure:
                return forecast, None
            from convlint.placement.measure import measure

            progress("measuring")
            fixed = replace(source, specs=(), outputs=())
            return forecast, measure(forecast, fixed, job.options.timeout)


def _write(forecast: Plan, measured: Measured | None, format_: str, out: TextIO) -> None:
    if format_ == "json":
        from convlint.model.plain import plain
        from convlint.output.json import dumps

        more = {} if measured is None else {"measured": plain(measured)}
        out.write(dumps(forecast.to_dict() | more))
    elif format_ == "markdown":
        from convlint.output.plan_markdown import render_plan_markdown

        out.write(render_plan_markdown(forecast))
    else:
        from convlint.output.plan import render_measured, render_plan
        from convlint.output.terminal import console_of

        console = console_of(out)
        render_plan(forecast, console)
        if measured is not None:
            render_measured(measured, console)
