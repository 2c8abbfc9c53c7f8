"""``convlint compare``: one model, every runtime that is installed, one table."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TextIO

from convlint.cli.requests import ModelCommand, command_fields
from convlint.runs.opening import opened
from convlint.runs.progress import Progress
from convlint.runtimes.table import RUNTIMES
from convlint.settings.project import find_project
from convlint.settings.request import one_job


@dataclass(frozen=True)
class CompareRequest(ModelCommand):
    """``convlint compare``. ``runtimes`` names those to try; empty means all."""

    runtimes: tuple[str, ...]


def compare_request(namespace: argparse.Namespace) -> CompareRequest:
    """The request of ``compare``."""
    return CompareRequest(**command_fields(namespace), runtimes=tuple(namespace.runtime or ()))


def compare(request: CompareRequest, out: TextIO) -> int:
    """Exit code 0 where some runtime takes the model, 1 where none does."""
    job = one_job(request.models, find_project(file=request.config), "compare")
    options = job.options
    runtimes = [each for each in RUNTIMES if not request.runtimes or each.name in request.runtimes]
    with Progress(job.name, enabled=not request.quiet) as progress:
        with opened(job, progress, debug=request.debug) as source:
            from convlint.runtimes.compare import compare_runtimes

            comparison = compare_runtimes(
                job.name, source, options.target, runtimes, options.timeout, progress
            )
    from convlint.output.runtimes import comparison_text, comparison_to_dict

    if request.format == "json":
        from convlint.output.json import dumps

        out.write(dumps(comparison_to_dict(comparison)))
    else:
        out.write(comparison_text(comparison))
    return 0 if comparison.accepted else 1
