"""``convlint plan``: load, capture, place, show."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from convlint.checking.options import Options
from convlint.checking.shipping import fitted_device
from convlint.cli.options import PLAN_FORMATS
from convlint.cli.requests import ModelCommand, command_fields, files_of
from convlint.destination import Place, checked_place, make_folder_of
from convlint.errors import UsageError
from convlint.model.placement import Plan
from convlint.model.run import Outcome, Run
from convlint.output.formats import PICTURES, RENDERERS, destinations, write_texts
from convlint.output.markdown import MARK
from convlint.output.page import Plain
from convlint.output.places import repository_root
from convlint.runs.opening import opened
from convlint.runs.progress import Progress
from convlint.settings.jobs import Job
from convlint.settings.project import find_project
from convlint.settings.request import one_job

if TYPE_CHECKING:
    from rich.console import Console

    from convlint.capture.methods import Source
    from convlint.model.alternative import Alternative
    from convlint.model.measured import Measured
    from convlint.model.placement import ComputeUnits
    from convlint.model.since import Since
    from convlint.placement.chips import Device
    from convlint.placement.dumped import Dump
    from convlint.placement.rules import Precision

TOO_SLOW = 1
"""The exit code where an estimate is above ``--max-ms``, or lines left the Neural Engine since ``--diff``."""


@dataclass(frozen=True)
class PlanRequest(ModelCommand):
    """``convlint plan``."""

    compute_units: ComputeUnits
    precision: Precision
    measure: bool
    max_ms: float | None
    compare_with: str | None
    diff: str | None
    files: tuple[str, ...]
    model_explorer: str | None = None


@dataclass(frozen=True)
class Beside:
    """What a plan is shown beside: a measurement, what a Mac said, an earlier plan, and faster models."""

    measured: Measured | None
    compared: Measured | None
    since: Since | None
    others: tuple[Alternative, ...]


def plan_request(namespace: argparse.Namespace) -> PlanRequest:
    """The request of ``plan``."""
    return PlanRequest(
        **command_fields(namespace),
        compute_units=namespace.compute_units,
        precision=namespace.plan_precision,
        measure=namespace.measure,
        max_ms=namespace.max_ms,
        compare_with=namespace.compare_with,
        diff=namespace.diff,
        files=files_of(namespace),
        model_explorer=namespace.model_explorer,
    )


def plan(request: PlanRequest, out: TextIO) -> int:
    """Plan one model; exit code 0, but 1 where a limit is not kept, or a line left the Neural Engine."""
    from convlint.placement.chips import devices_for
    from convlint.placement.forecast import check_words
    from convlint.placement.since import compare_with_earlier, read_plan

    project = find_project(file=request.config)
    job = one_job(request.models, project, "plan")
    options = job.options
    devices = devices_for(options.chip or "", options.os, options.target)
    devices = tuple(fitted_device(device, options) for device in devices)
    check_words(request.compute_units, request.precision)
    if request.max_ms is not None and not request.max_ms > 0:
        raise UsageError(f"--max-ms takes milliseconds above 0, not {request.max_ms:g}.")
    if request.measure:
        from convlint.placement.measure import can_measure

        problem = can_measure()
        if problem:
            raise UsageError(problem)
    single = {
        "--measure": request.measure,
        "--compare-with": request.compare_with,
        "--diff": request.diff,
        "--model-explorer": request.model_explorer,
    }
    files = destinations(request.files, PLAN_FORMATS)
    pictures = {request.format, *(file.format for file in files)} & PICTURES
    for given in [word for word, asked in (single | {"a page or a drawing": pictures}).items() if asked]:
        if len(devices) > 1:
            raise UsageError(f"{given} is for one chip, and --chip names {len(devices)}.")
    nodes = _node_data(request, options)
    dump = _dump(request, devices[0])
    earlier = read_plan(request.diff) if request.diff is not None else None
    forecasts, measured, others = _planned(
        replace(job, options=replace(options, chip=None)), request, devices
    )
    since = compare_with_earlier(forecasts[0], earlier) if earlier is not None else None
    compared = None
    if dump is not None:
        from convlint.placement.dumps import compare_with_dump

        compared = compare_with_dump(forecasts[0], dump, request.compare_with or "")
    beside = Beside(measured, compared, since, others)

    def text(format_: str) -> str:
        if format_ in PICTURES:
            outcome = Outcome(job.name, job.spec, job.root, plan=forecasts[0])
            return RENDERERS[format_](Run((outcome,), repository_root(os.getcwd())))
        written = StringIO()
        if format_ == "markdown":
            written.write(f"{MARK}\n")
        _write(forecasts, beside, replace(request, format=format_), written)
        return written.getvalue()

    write_texts(files, text)
    if nodes is not None:
        from convlint.output.model_explorer import render_node_data

        if not any(op.node for op in forecasts[0].ops):
            raise UsageError(
                "--model-explorer: no op of this plan comes from a node of an exported program: it is planned"
                " through TorchScript, by a recorded run or by PyTorch's own ops. No file was written."
            )
        make_folder_of(nodes)
        nodes.write(render_node_data(forecasts[0]))
    if request.format in PICTURES:
        out.write(text(request.format))
    else:
        _write(forecasts, beside, request, out)
    slow = _slowest(forecasts, request) is not None
    return TOO_SLOW if slow or (since is not None and since.left) else 0


def _slowest(forecasts: tuple[Plan, ...], request: PlanRequest) -> Plan | None:
    """The plan that is furthest above ``--max-ms``; None where none is above it."""
    slowest = max(forecasts, key=lambda each: each.latency_ms.mid)
    return slowest if request.max_ms is not None and slowest.latency_ms.mid > request.max_ms else None


def _node_data(request: PlanRequest, options: Options) -> Place | None:
    """Where the data for Model Explorer go, looked at before any work."""
    if request.model_explorer is None:
        return None
    if options.trial is None:
        raise UsageError(
            "--model-explorer takes the converted program, whose ops have nodes: leave --trial none out."
        )
    from convlint.output.model_explorer import NODE_DATA

    return checked_place("--model-explorer", request.model_explorer, NODE_DATA)


def _dump(request: PlanRequest, device: Device) -> Dump | None:
    """The dump to compare with; a UsageError where it is of other compute units or another chip than the
    plan."""
    if request.compare_with is None:
        return None
    from convlint.placement.chips import chip_of_phone
    from convlint.placement.dumps import read_dump

    dump = read_dump(Path(request.compare_with))
    chip = chip_of_phone(dump.device)
    if chip not in (None, device.chip.name):
        raise UsageError(
            f"{request.compare_with} is of an {dump.device}, and the plan for {device.chip.name}: give --chip"
            f" {str(chip).replace(' ', '')}."
        )
    if dump.compute_units not in (None, request.compute_units):
        raise UsageError(
            f"{request.compare_with} is of {dump.compute_units}: give --compute-units {dump.compute_units}."
        )
    return dump


def _planned(
    job: Job, request: PlanRequest, devices: tuple[Device, ...]
) -> tuple[tuple[Plan, ...], Measured | None, tuple[Alternative, ...]]:
    with Progress(job.name, enabled=not request.quiet) as progress:
        with opened(job, progress, debug=request.debug) as source:
            from convlint.checking.planning import plan_devices

            units, precision = request.compute_units, request.precision
            found = plan_devices(job.name, source, job.options, devices, units, precision, progress)
            notes: list[str] = []
            others = _faster(job, source, found, request, notes)
            found = tuple(replace(each, notes=(*each.notes, *notes)) for each in found)
            if not request.measure:
                return found, None, others
            from convlint.placement.measure import measure

            progress("measuring")
            fixed = replace(source, specs=(), outputs=())
            return found, measure(found[0], fixed, job.options.timeout), others


def _faster(
    job: Job, source: Source, forecasts: tuple[Plan, ...], request: PlanRequest, notes: list[str]
) -> tuple[Alternative, ...]:
    """What the catalogue has for the same task that keeps the limit, on the chip that misses it most."""
    slowest = _slowest(forecasts, request)
    if slowest is None or request.max_ms is None:
        return ()
    from convlint.checking.alternatives import faster_than

    return faster_than(slowest, source, job.options, request.max_ms, notes)


def _write(forecasts: tuple[Plan, ...], beside: Beside, request: PlanRequest, out: TextIO) -> None:
    """Write the plan of one chip, or the plans of several."""
    if len(forecasts) == 1:
        _write_one(forecasts[0], beside, request, out)
    else:
        _write_several(forecasts, beside.others, request, out)


def _console_of(out: TextIO) -> Console | Plain:
    """The terminal; what becomes a file has no colours."""
    from convlint.output.terminal import console_of

    return Plain(out) if isinstance(out, StringIO) else console_of(out)


def _write_one(forecast: Plan, beside: Beside, request: PlanRequest, out: TextIO) -> None:
    measured, compared, since, others = beside.measured, beside.compared, beside.since, beside.others
    if request.format == "json":
        from convlint.model.plain import plain
        from convlint.output.json import dumps

        more = {} if measured is None else {"measured": plain(measured)}
        if compared is not None:
            ops = [plain(op) | {"why": op.why} for op in compared.ops]
            more["compared"] = plain(compared) | {"ops": ops, "agreement": compared.agreement}
        if since is not None:
            from convlint.output.since import since_to_dict

            more["since"] = since_to_dict(since)
        out.write(dumps(forecast.to_dict() | _limit(request, (forecast,), others) | more))
    elif request.format == "markdown":
        from convlint.output.plan_markdown import render_plan_markdown

        out.write(render_plan_markdown(forecast, others))
        if since is not None:
            from convlint.output.since import since_markdown

            out.write(since_markdown(since))
    else:
        from convlint.output.plan import (
            render_alternatives,
            render_compared,
            render_limit,
            render_measured,
            render_next,
            render_plan,
        )

        console = _console_of(out)
        render_plan(forecast, console)
        if measured is not None:
            render_measured(measured, console)
        if compared is not None:
            render_compared(compared, forecast, console)
        if request.max_ms is not None:
            render_limit(forecast, request.max_ms, console)
        if since is not None:
            from convlint.output.since import render_since

            render_since(since, console)
        render_alternatives(others, console)
        if not (measured or compared or since) and request.max_ms is None:
            render_next(forecast, console)


def _write_several(
    forecasts: tuple[Plan, ...], others: tuple[Alternative, ...], request: PlanRequest, out: TextIO
) -> None:
    if request.format == "json":
        from convlint.model.plain import SCHEMA_VERSION
        from convlint.output.json import dumps

        plans = [forecast.to_dict() for forecast in forecasts]
        out.write(
            dumps({"schema_version": SCHEMA_VERSION, "plans": plans} | _limit(request, forecasts, others))
        )
    elif request.format == "markdown":
        from convlint.output.plan_markdown import render_plans_markdown

        out.write(render_plans_markdown(forecasts, request.max_ms, others))
    else:
        from convlint.output.plan import render_alternatives, render_plans

        console = _console_of(out)
        render_plans(forecasts, request.max_ms, console)
        render_alternatives(others, console)


def _limit(
    request: PlanRequest, forecasts: tuple[Plan, ...], others: tuple[Alternative, ...]
) -> dict[str, object]:
    """The limit, the chips that are above it and what would not be, for JSON."""
    if request.max_ms is None:
        return {}
    from convlint.model.alternative import alternatives_to_dict

    above = [each.chip for each in forecasts if each.latency_ms.mid > request.max_ms]
    return {"max_ms": request.max_ms, "above_max_ms": above, "alternatives": alternatives_to_dict(others)}
