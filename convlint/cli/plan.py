"""``convlint plan``: load, capture, place, show."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

from convlint.cli.requests import ModelCommand, command_fields
from convlint.errors import UsageError
from convlint.interface.inputs import InputSpec
from convlint.model.placement import Plan
from convlint.model.run import Outcome, Run
from convlint.output.formats import destinations, write_files
from convlint.output.places import repository_root
from convlint.placement.chips import Device, find_device
from convlint.placement.what_if import Declared
from convlint.runs.opening import opened
from convlint.runs.progress import Progress
from convlint.settings.jobs import Job
from convlint.settings.project import find_project
from convlint.settings.request import device_names, one_job

if TYPE_CHECKING:
    from convlint.model.measured import Measured
    from convlint.model.placement import ComputeUnits
    from convlint.placement.rules import Precision


@dataclass(frozen=True)
class PlanRequest(ModelCommand):
    """``convlint plan``. ``target`` is the deployment target; None means that of the system."""

    chip: str | None
    os: str | None
    compute_units: ComputeUnits
    precision: Precision
    target: str | None
    measure: bool
    files: tuple[str, ...]


def plan_request(namespace: argparse.Namespace) -> PlanRequest:
    """The request of ``plan``."""
    return PlanRequest(
        **command_fields(namespace),
        chip=namespace.chip,
        os=namespace.os,
        compute_units=namespace.compute_units,
        precision=namespace.plan_precision,
        target=namespace.target,
        measure=namespace.measure,
        files=tuple(namespace.output_file or ()),
    )


def plan(request: PlanRequest, out: TextIO) -> int:
    """Plan one model; exit code 0 whatever the plan says."""
    from convlint.placement.forecast import check_words

    project = find_project(file=request.config)
    device = find_device(*device_names(request.chip, request.os, project))
    check_words(request.compute_units, request.precision)
    if request.measure:
        from convlint.placement.measure import can_measure

        problem = can_measure()
        if problem:
            raise UsageError(problem)
    job = one_job(request.models, project, "plan")
    files = destinations(request.files)
    forecast, measured = _planned(job, device, request)
    outcome = Outcome(job.name, job.spec, job.root, plan=forecast)
    write_files(Run((outcome,), repository_root(os.getcwd())), files)
    _write(forecast, measured, request.format, out)
    return 0


def _planned(job: Job, device: Device, request: PlanRequest) -> tuple[Plan, Measured | None]:
    timeout = job.options.timeout
    with Progress(job.name, enabled=not request.quiet) as progress:
        with opened(job, progress, debug=request.debug) as source:
            from convlint.capture.limits import REAL_WEIGHTS_LIMIT
            from convlint.capture.methods import capture
            from convlint.placement.forecast import plan_capture

            progress("capturing")
            # Times are for the sizes of the example, even where sizes may vary.
            source = replace(source, specs=(), outputs=())
            forecast = plan_capture(
                job.name,
                capture(source, timeout, REAL_WEIGHTS_LIMIT),
                device,
                request.compute_units,
                request.precision,
                target=request.target,
                timeout=timeout,
                trial=job.options.trial is not None,
                declared=declared_by(job.inputs),
                progress=progress,
            )
            if not request.measure:
                return forecast, None
            from convlint.placement.measure import measure

            progress("measuring")
            return forecast, measure(forecast, source, timeout)


def declared_by(inputs: Iterable[InputSpec]) -> Declared:
    """How the shapes of the inputs vary, as the inputs declare it."""
    specs = tuple(inputs)
    if any(any(spec.ranges) for spec in specs):
        return "range"
    return "enumerated" if any(spec.shapes for spec in specs) else ""


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
