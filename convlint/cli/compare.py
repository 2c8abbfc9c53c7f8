"""``convlint compare``: one model, every runtime that is installed, one table."""

from __future__ import annotations

import argparse
from typing import TextIO

from convlint.errors import UsageError
from convlint.runs.progress import Progress, silence_libraries
from convlint.runtimes.table import RUNTIMES
from convlint.settings.jobs import jobs_of
from convlint.settings.project import find_project


def compare(options: argparse.Namespace, out: TextIO) -> int:
    """Exit code 0 where some runtime takes the model, 1 where none does."""
    project = find_project(file=options.config)
    jobs = jobs_of(options, project)
    if len(jobs) > 1:
        raise UsageError(f"compare looks at one model, and {len(jobs)} are configured: give --model NAME.")
    (job,) = jobs
    if not job.inputs:
        raise UsageError(f"no input is given for {job.name}. Write one --input for each tensor: 1x3x224x224.")
    runtimes = [runtime for runtime in RUNTIMES if not options.runtime or runtime.name in options.runtime]
    from convlint.usercode.spec import load_model

    settings = job.settings
    with Progress(job.name, enabled=not options.quiet) as progress:
        progress("importing")
        loaded = load_model(job.spec, job.args, job.arg_exprs, root=job.root, timeout=settings.timeout)
        if not options.debug:
            silence_libraries()
        from convlint.capture.methods import Source
        from convlint.interface.inputs import make_tensors
        from convlint.runtimes.compare import compare_runtimes
        from convlint.usercode.converters import own_converters

        source = Source(loaded.build, None, lambda: make_tensors(job.inputs), tuple(job.inputs))
        with own_converters(settings.converters, job.root, settings.timeout):
            found = compare_runtimes(job.name, source, settings.target, runtimes, settings.timeout, progress)
    from convlint.output.runtimes import comparison_text, comparison_to_dict

    if options.format == "json":
        from convlint.output.json import dumps

        out.write(dumps(comparison_to_dict(found)))
    else:
        out.write(comparison_text(found))
    return 0 if found.accepted else 1
