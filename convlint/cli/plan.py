"""``convlint plan``: load, capture, place, show."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TextIO

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
    from convlint.placement.chips import Device
    from convlint.placement.rules import Precision


@dataclass(frozen=True)
class PlanRequest(ModelCommand):
    """``convlint plan``."""

    compute_units: ComputeUnits | None
    precision: Precision
    measure: bool
    compare_with: str | None
    max_ms: float | None
    files: tuple[str, ...]


def plan_request(namespace: argparse.Namespace) -> PlanRequest:
    """The request of ``plan``."""
    return PlanRequest(
        **command_fields(namespace),
        compute_units=namespace.compute_units,
        precision=namespace.plan_precision,
        measure=namespace.measure,
        max_ms=namespace.max_ms,
        compare_with=namespace.compare_with,
        files=tuple(namespace.output_file or ()),
    )


def plan(request: PlanRequest, out: TextIO) -> int:
    """Plan one model on one chip or several; 1 where a plan takes longer than was asked for."""
    from convlint.placement.chips import devices_for
    from convlint.placement.dumps import compare_with_dump, read_dump
    from convlint.placement.forecast import check_words

    project = find_project(file=request.config)
    job = one_job(request.models, project, "plan")
    options = job.options
    devices = devices_for(options.chip, options.os, options.target)
    _check_several(request, devices)
    dump = read_dump(request.compare_with) if request.compare_with is not None else None
    units = request.compute_units or (dump.compute_units if dump is not None else "all")
    check_words(units, request.precision)
    if request.max_ms is not None and not request.max_ms > 0:
        raise UsageError(f"--max-ms is {request.max_ms:g}: give milliseconds above 0")
    if request.measure:
        from convlint.placement.measure import can_measure

        problem = can_measure()
        if problem:
            raise UsageError(problem)
    files = destinations(request.files)
    forecasts, measured = _planned(job, devices, units, request)
    if dump is not None and request.compare_with is not None:
        measured = compare_with_dump(forecasts[0], dump, request.compare_with)
    outcome = Outcome(job.name, job.spec, job.root, plan=forecasts[0])
    write_files(Run((outcome,), repository_root(os.getcwd())), files)
    _write(forecasts, measured, request, out)
    return int(any(slow(forecast, request.max_ms) for forecast in forecasts))


def slow(forecast: Plan, most: float | None) -> bool:
    """Whether the estimate, the middle of its range, is above ``most`` milliseconds."""
    return most is not None and forecast.latency_ms.mid > most


def _check_several(request: PlanRequest, devices: Sequence[Device]) -> None:
    if not devices:
        raise UsageError("no known chip runs this system. Name one with --chip, or another system with --os.")
    if request.measure and request.compare_with is not None:
        raise UsageError("--measure and --compare-with are two sources of the same: give one")
    if len(devices) > 1 and (request.files or request.measure or request.compare_with is not None):
        option = (
            "a page or a drawing" if request.files else "--measure" if request.measure else "--compare-with"
        )
        raise UsageError(f"{option} is for one chip, and --chip names {len(devices)}")


def _planned(
    job: Job, devices: Sequence[Device], units: ComputeUnits, request: PlanRequest
) -> tuple[tuple[Plan, ...], Measured | None]:
    with Progress(job.name, enabled=not request.quiet) as progress:
        with opened(job, progress, debug=request.debug) as source:
            from convlint.checking.planning import plans_source

            forecasts = plans_source(
                job.name, source, job.options, devices, units, request.precision, progress
            )
            if not request.measure:
                return forecasts, None
            from convlint.placement.measure import measure

            progress("measuring")
            fixed = replace(source, specs=(), outputs=())
            return forecasts, measure(forecasts[0], fixed, job.options.timeout)


def _write(forecasts: Sequence[Plan], measured: Measured | None, request: PlanRequest, out: TextIO) -> None:
    first, several, most = forecasts[0], len(forecasts) > 1, request.max_ms
    if request.format == "json":
        from convlint.model.plain import plain
        from convlint.output.json import dumps
        from convlint.output.plan_chips import plans_to_dict

        more = {} if measured is None else {"measured": plain(measured)}
        out.write(dumps(plans_to_dict(forecasts, most) if several else first.to_dict() | more))
    elif request.format == "markdown":
        from convlint.output.plan_chips import render_plans_markdown
        from convlint.output.plan_markdown import render_plan_markdown

        out.write(render_plans_markdown(forecasts, most) if several else render_plan_markdown(first))
    else:
        from convlint.output.plan import render_measured, render_plan
        from convlint.output.plan_chips import render_limit, render_plans
        from convlint.output.terminal import console_of

        console = console_of(out)
        if several:
            render_plans(forecasts, most, console)
            return
        render_plan(first, console)
        render_limit(first, most, console)
        if measured is not None:
            render_measured(measured, console)
