"""``convlint compare``: one model, every runtime that is installed, one table."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TextIO

from convlint.cli.requests import ModelCommand, command_fields, files_of
from convlint.output.formats import TEXT_FORMATS, destinations, write_texts
from convlint.runs.opening import opened
from convlint.runs.progress import Progress
from convlint.runtimes.table import RUNTIMES
from convlint.settings.project import find_project
from convlint.settings.request import one_job


@dataclass(frozen=True)
class CompareRequest(ModelCommand):
    """``convlint compare``. ``runtimes`` names those to try; empty means all."""

    runtimes: tuple[str, ...]
    files: tuple[str, ...] = ()


def compare_request(namespace: argparse.Namespace) -> CompareRequest:
    """The request of ``compare``."""
    return CompareRequest(
        **command_fields(namespace), runtimes=tuple(namespace.runtime or ()), files=files_of(namespace)
    )


def compare(request: CompareRequest, out: TextIO) -> int:
    """Exit code 0 where some runtime takes the model, 1 where none does."""
    job = one_job(request.models, find_project(file=request.config), "compare")
    options = job.options
    runtimes = [each for each in RUNTIMES if not request.runtimes or each.name in request.runtimes]
    files = destinations(request.files, TEXT_FORMATS)
    with Progress(job.name, enabled=not request.quiet) as progress:
        with opened(job, progress, debug=request.debug) as source:
            from convlint.runtimes.compare import compare_runtimes

            comparison = compare_runtimes(
                job.name, source, options.target, runtimes, options.timeout, progress
            )
    from convlint.output.json import dumps
    from convlint.output.runtimes import comparison_text, comparison_to_dict

    def text(format_: str) -> str:
        return dumps(comparison_to_dict(comparison)) if format_ == "json" else comparison_text(comparison)

    out.write(text(request.format))
    write_texts(files, text)
    return 0 if comparison.accepted else 1
