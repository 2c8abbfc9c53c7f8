"""``convlint plan``: load, capture, place, show."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from convlint.errors import UsageError
from convlint.interface.inputs import InputSpec, make_tensors
from convlint.model.placement import Plan
from convlint.model.run import Outcome, Run
from convlint.output.formats import destinations, write_files
from convlint.output.places import repository_root
from convlint.placement.chips import Device, find_device
from convlint.placement.what_if import Declared
from convlint.runs.progress import Progress, silence_libraries
from convlint.settings.jobs import Job, chip_of, jobs_of
from convlint.settings.project import find_project

if TYPE_CHECKING:
    from convlint.model.measured import Measured


def plan(options: argparse.Namespace, out: TextIO) -> int:
    """Plan one model; exit code 0 whatever the plan says."""
    from convlint.placement.forecast import check_words

    project = find_project(file=options.config)
    device = find_device(*chip_of(options, project))
    check_words(options.compute_units, options.plan_precision)
    if options.measure:
        from convlint.placement.measure import can_measure

        problem = can_measure()
        if problem:
            raise UsageError(problem)
    jobs = jobs_of(options, project)
    if len(jobs) != 1:
        raise UsageError(f"a plan is made of one model, and {len(jobs)} are configured: name one by --model.")
    job, files = jobs[0], destinations(options.output_file or ())
    made, measured = _planned(job, device, options)
    outcome = Outcome(job.name, job.spec, job.root, plan=made)
    write_files(Run((outcome,), repository_root(os.getcwd())), files)
    _write(made, measured, options.format, out)
    return 0


def _planned(job: Job, device: Device, options: argparse.Namespace) -> tuple[Plan, Measured | None]:
    from convlint.usercode.spec import load_model

    timeout = job.settings.timeout
    with Progress(job.name, enabled=not options.quiet) as progress:
        progress("importing")
        loaded = load_model(job.spec, job.args, job.arg_exprs, root=job.root, timeout=timeout)
        if not job.inputs:
            raise UsageError(
                f"no input is given for {job.name}. Write one --input for each tensor, for example "
                "--input 1x3x224x224."
            )
        if not options.debug:
            silence_libraries()
        from convlint.capture.limits import REAL_WEIGHTS_LIMIT
        from convlint.capture.methods import Source, capture
        from convlint.placement.forecast import plan_capture

        progress("capturing")
        source = Source(loaded.build, None, lambda: make_tensors(job.inputs))
        captured = capture(source, timeout, REAL_WEIGHTS_LIMIT)
        made = plan_capture(
            job.name,
            captured,
            device,
            options.compute_units,
            options.plan_precision,
            target=options.target,
            timeout=timeout,
            trial=job.settings.trial is not None,
            declared=declared_by(job.inputs),
            progress=progress,
        )
        if not options.measure:
            return made, None
        from convlint.placement.measure import measure

        progress("measuring")
        return made, measure(made, source, timeout)


def declared_by(inputs: Iterable[InputSpec]) -> Declared:
    """How the inputs say that their shapes vary."""
    specs = tuple(inputs)
    if any(any(spec.ranges) for spec in specs):
        return "range"
    return "enumerated" if any(spec.shapes for spec in specs) else ""


def _write(made: Plan, measured: Measured | None, format_: str, out: TextIO) -> None:
    if format_ == "json":
        from convlint.model.plain import plain
        from convlint.output.json import dumps

        more = {} if measured is None else {"measured": plain(measured)}
        out.write(dumps(made.to_dict() | more))
    elif format_ == "markdown":
        from convlint.output.plan_markdown import render_plan_markdown

        out.write(render_plan_markdown(made))
    else:
        from convlint.output.plan import render_measured, render_plan
        from convlint.output.terminal import console_of

        console = console_of(out)
        render_plan(made, console)
        if measured is not None:
            render_measured(measured, console)
