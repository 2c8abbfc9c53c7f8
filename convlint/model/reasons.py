"""Why a check failed, as one line: what a build server shows of a whole report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from convlint.model.graph import Site
from convlint.model.rule import SEVERITIES
from convlint.model.verdict import Kind, unnamed_refusals, verdict, wrong_numbers
from convlint.text import one_line, package_path

if TYPE_CHECKING:
    from convlint.model.placement import Plan
    from convlint.model.report import Report

WORDS: dict[Kind, str] = {
    "converts": "converts",
    "converts-differently": "converts, but not to the same",
    "converts-after-fixes": "does not convert",
    "does-not-convert": "does not convert",
    "unknown": "cannot be judged",
}


def reasons_line(report: Report) -> str:
    """``"does not convert: CL103 net.py:14 (+2)"``: the verdict, its first reason, and how many more."""
    return line_of(WORDS[verdict(report).kind], list(_reasons(report)))


def line_of(what: str, reasons: list[str]) -> str:
    """``what`` happened, the first reason, and the number of the others."""
    if not reasons:
        return what
    more = f" (+{len(reasons) - 1})" if len(reasons) > 1 else ""
    return f"{what}: {reasons[0]}{more}"


def at_line(name: str, site: Site | None) -> str:
    """``"CL103 net.py:14"``."""
    return one_line(f"{name} {package_path(site.path)}:{site.line}" if site is not None else name, 200)


def _reasons(report: Report) -> Iterator[str]:
    """Errors and what else stops a conversion; without any of them the gravest findings."""
    errors = [at_line(each.rule.code, each.site or each.caller) for each in report.errors()]
    errors += [
        at_line(each.op or each.stage, each.site or each.caller)
        for each in unnamed_refusals(report)
        if not each.follows and report.trial is not None and each in report.trial.failures
    ]
    if report.graph is None:
        errors += [at_line(each.error_type, each.site) for each in report.capture_failures if each.error_type]
    if wrong_numbers(report) and report.parity is not None:
        first = report.parity.first_divergence
        site = (first.site or first.caller) if first is not None else None
        errors.append(at_line(f"parity {report.parity.status}", site))
    if errors:
        yield from errors
        return
    left = sorted(report.findings, key=lambda finding: SEVERITIES.index(finding.severity))
    gravest = left[0].severity if left else ""
    for finding in left:
        if finding.severity == gravest:
            yield at_line(f"{finding.severity} {finding.rule.code}", finding.site or finding.caller)


def off_engine(plan: Plan, allowed: frozenset[str]) -> list[str]:
    """What the Neural Engine refuses of a plan beside the ``allowed`` ops, the most expensive line first."""
    found: dict[str, float] = {}
    for op in plan.ops:
        if op.refused and op.latency_ms.mid > 0 and not allowed & names_of(op.kind, op.op):
            name = op.op.split(".")[1] if op.op.count(".") else op.kind
            line = at_line(name, op.site or op.caller)
            found[line] = found.get(line, 0.0) + op.latency_ms.mid
    return sorted(found, key=lambda line: -found[line])


def names_of(kind: str, op: str) -> frozenset[str]:
    """Every name of an op: ``topk``, ``aten.topk`` and ``aten.topk.default``."""
    parts = op.split(".")
    return frozenset({kind, op, ".".join(parts[:2]), parts[1] if len(parts) > 1 else op}) - {""}
