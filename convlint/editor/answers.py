"""What an editor shows of a report, as plain JSON types: it goes from one process to another."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from convlint.editor.models import Wanted
from convlint.errors import ConvlintError
from convlint.installed import is_library
from convlint.model import Finding, Report, Site
from convlint.model.placement import UNITS, PlacedOp, Plan
from convlint.model.reasons import reasons_line
from convlint.model.remarks import help_line
from convlint.model.verdict import unnamed_refusals, verdict, wrong_numbers
from convlint.output.findings import best_helps
from convlint.output.places import sites_of_output
from convlint.text import one_line, significant

Answer = dict[str, Any]
_SILENCED = "convlint: ignore"


def answer_to(wanted: Wanted, report: Report) -> Answer:
    """Everything that is shown of one model."""
    return {
        "model": wanted.job.name,
        "convertible": report.convertible,
        "verdict": f"{verdict(report).headline} {verdict(report).next_step}",
        "reasons": reasons_line(report),
        "fixable": report.repair is not None and bool(report.repair.sites),
        "findings": [*_findings(wanted, report, report.findings), *_others(wanted, report)],
        "hints": list(_hints(report.plan)) if report.plan is not None else [],
    }


def first_findings(wanted: Wanted, findings: Iterable[Finding]) -> Answer:
    """The findings alone, before anything is known about changes and placement."""
    loud = [finding for finding in findings if not (finding.site and _SILENCED in finding.site.source)]
    return {"model": wanted.job.name, "findings": list(_findings(wanted, None, loud))}


def answer_with_error(name: str, path: str, line: int, error: ConvlintError) -> Answer:
    """What is shown of a model that could not be judged."""
    told = _told(path, line, "", "error", one_line(f"{name}: {error}", 1000))
    return {"model": name, "convertible": "unknown", "findings": [told], "hints": [], "fixable": False}


def _findings(wanted: Wanted, report: Report | None, findings: Iterable[Finding]) -> Iterator[Answer]:
    for finding in findings:
        sites = [finding.site, finding.caller, *sites_of_output(report, finding)]
        path, line = _own_place(wanted, sites)
        modules = sorted({call.module for call in finding.calls} - {""}) or [finding.module]
        told = _told(path, line, finding.rule.code, finding.severity, finding.message)
        told["name"] = finding.rule.name
        told["modules"] = [module for module in modules if module]
        told["helps"] = [help_line(each) for each in best_helps(finding.replacements)]
        told["edits"] = [
            {
                "title": help_line(each),
                "safe": each.safety == "safe",
                "path": os.path.realpath(each.edit.path),
                "start": [each.edit.line, each.edit.column],
                "end": [each.edit.end_line, each.edit.end_column],
                "text": each.edit.text,
                "old": each.edit.old,
            }
            for each in finding.replacements
            if each.edit is not None and not each.edit.needs
        ]
        yield told


def _others(wanted: Wanted, report: Report) -> Iterator[Answer]:
    """What stops a conversion and is no finding of a rule."""
    for failure in unnamed_refusals(report):
        if not failure.follows:
            path, line = _own_place(wanted, [failure.site, failure.caller])
            words = ": ".join(filter(None, [failure.op or failure.stage, failure.error_type, failure.error]))
            yield _told(path, line, "trial", "error", one_line(words))
    if wrong := wrong_numbers(report):
        yield _told(wanted.path, wanted.line, "parity", "error", f"the converted program {wrong}")
    if report.graph is None and not report.findings:
        for stopped in report.capture_failures:
            path, line = _own_place(wanted, [stopped.site])
            words = one_line(f"{stopped.method}: {stopped.error_type}: {stopped.message}")
            yield _told(path, line, "capture", "error", words)


def _told(path: str, line: int, code: str, severity: str, message: str) -> Answer:
    told = {"path": path, "line": line, "code": code, "severity": severity, "message": message}
    return {**told, "name": "", "modules": [], "helps": [], "edits": []}


def _own_place(wanted: Wanted, sites: Iterable[Site | None]) -> tuple[str, int]:
    """The first line that is in a file of the user; without any, the line of the model's class."""
    for site in sites:
        if site is not None and not is_library(site.path) and os.path.isfile(site.path):
            return os.path.realpath(site.path), site.line
    return wanted.path, wanted.line


def _hints(plan: Plan) -> Iterator[Answer]:
    """Unit and time of each line of the user's own."""
    lines: dict[tuple[str, int, str], list[PlacedOp]] = defaultdict(list)
    for op in plan.ops:
        own = [site for site in (op.site, op.caller) if site is not None and not is_library(site.path)]
        if own and op.latency_ms.mid > 0:
            lines[(os.path.realpath(own[0].path), own[0].line, own[0].source.strip())].append(op)
    about = f"forecast for {plan.chip}, {plan.os}"
    for (path, line, source), ops in lines.items():
        parts, reasons = [], []
        for unit in UNITS:
            mine = [op for op in ops if op.unit == unit]
            if mine:
                parts.append(f"{unit} {_microseconds(sum(op.latency_ms.mid for op in mine))}")
            reasons += [f"{op.kind} on the {unit}: {op.reason}" for op in mine if unit != "ANE"]
        words = "\n\n".join([about, *dict.fromkeys(reasons)])
        yield {"path": path, "line": line, "source": source, "label": ", ".join(parts), "tooltip": words}


def _microseconds(milliseconds: float) -> str:
    return f"{significant(1000 * milliseconds, 2)} µs"
