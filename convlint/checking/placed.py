"""Findings about the Neural Engine, held against the forecast for the program that would ship.

A rule sees PyTorch's call. What depends on no input is computed when Core ML compiles the model, a pass may
have made another op of it, and the chip of the forecast may take what an older one does not: the plan of the
converted program knows.
"""

from __future__ import annotations

from collections.abc import Iterable

from convlint.model import Finding
from convlint.model.placement import Plan


def confirmed(findings: Iterable[Finding], plan: Plan | None) -> tuple[Finding, ...]:
    """The findings without those about the Neural Engine that the plan of the program does not bear out.

    A plan of PyTorch's own ops, before coremltools folds and fuses them, settles nothing.
    """
    findings = tuple(findings)
    if plan is None or plan.level != "mil":
        return findings
    from convlint.placement.rules import placement_table

    judged = {rule.code for rules in placement_table().rules.values() for rule in rules}
    places: dict[str, set[str]] = {}
    for op in plan.ops:
        if op.refused and op.rule:
            places.setdefault(op.rule, set()).update({str(op.site), str(op.caller)})
    return tuple(
        finding
        for finding in findings
        if finding.rule.category != "ane"
        or finding.rule.code not in judged
        or {str(finding.site), str(finding.caller)} & places.get(finding.rule.code, set())
    )
