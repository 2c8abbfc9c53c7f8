"""``convlint upgrade``: what another release of coremltools would change for each model."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TextIO

from convlint.cli.requests import CheckRequest, check_request
from convlint.output.formats import TEXT_FORMATS, destinations, write_texts
from convlint.runs.session import Session
from convlint.settings.project import find_project
from convlint.settings.request import jobs_of


def upgrade_request(namespace: argparse.Namespace) -> CheckRequest:
    """The request of ``upgrade``, as that of a check by the rules alone."""
    namespace.diff_coremltools = [namespace.before, namespace.after]
    return check_request(namespace)


def upgrade(request: CheckRequest, out: TextIO) -> int:
    """Show for each model what another coremltools would change; exit code 1 where something breaks."""
    from convlint.checking.upgrade import compare_reports
    from convlint.output.json import dumps, reports_to_dict
    from convlint.output.upgrade import upgrade_text, upgrade_to_dict

    jobs = jobs_of(request.models, find_project(file=request.config))
    files = destinations(request.files, TEXT_FORMATS)
    session = Session(debug=request.debug, quiet=request.quiet)
    upgrades = []
    worst = 0
    for job in jobs:
        reports = []
        for release in request.releases:
            job_of_release = replace(job, options=replace(job.options, trial=None, coremltools=release))
            outcome = session.check(job_of_release)
            if outcome.report is None:
                assert outcome.error is not None
                raise outcome.error
            reports.append(outcome.report)
        upgrades.append(compare_reports(*reports))
        codes = [report.exit_code for report in reports if report.exit_code == 3]
        worst = max(worst, upgrades[-1].exit_code(job.options.fail_on), *codes)
        if request.format == "terminal":
            out.write(("\n" if job is not jobs[0] else "") + upgrade_text(upgrades[-1]))

    def text(format_: str) -> str:
        if format_ == "terminal":
            return "\n".join(map(upgrade_text, upgrades))
        entries = [upgrade_to_dict(each) for each in upgrades]
        return dumps(reports_to_dict(entries, worst) if len(entries) > 1 else entries[0])

    if request.format == "json":
        out.write(text("json"))
    write_texts(files, text)
    return worst
