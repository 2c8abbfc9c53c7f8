"""The changes that another release of coremltools brings for a model: a comparison of two reports.

Both reports come from the rules alone, because only one release can be installed. Blocking findings
are compared by op, not by rule: an op that one release lacks, and the next has but breaks, is not
fixed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from convlint.checking.reconcile import BLOCKING
from convlint.model import SEVERITIES, Convertible, Finding, Report, Severity


@dataclass(frozen=True, slots=True)
class Upgrade:
    """The findings of one report only: ``fixed`` are those of the first, ``broken`` those of the second.

    ``same`` counts the findings in both. ``convertible`` has the verdicts of both.
    """

    model: str
    target: str
    before: str
    after: str
    fixed: tuple[Finding, ...]
    broken: tuple[Finding, ...]
    same: int
    convertible: tuple[Convertible, Convertible]
    notes: tuple[str, ...] = ()

    def exit_code(self, fail_on: Severity = "error") -> int:
        """1 where the other release breaks something at or above ``fail_on``, else 0."""
        worst = SEVERITIES.index(fail_on)
        return int(any(SEVERITIES.index(finding.severity) <= worst for finding in self.broken))


def compare_reports(before: Report, after: Report) -> Upgrade:
    """The changes from one report to the other."""
    old = {key for finding in before.findings for key in _keys(finding)}
    new = {key for finding in after.findings for key in _keys(finding)}
    fixed = tuple(finding for finding in before.findings if not new.issuperset(_keys(finding)))
    broken = tuple(finding for finding in after.findings if not old.issuperset(_keys(finding)))
    return Upgrade(
        model=before.model,
        target=before.target,
        before=before.versions.get("coremltools", ""),
        after=after.versions.get("coremltools", ""),
        fixed=fixed,
        broken=broken,
        same=len(before.findings) - len(fixed),
        convertible=(before.convertible, after.convertible),
        notes=tuple(dict.fromkeys((*before.notes, *after.notes))),
    )


def _keys(finding: Finding) -> Iterator[tuple[str, ...]]:
    """Keys of what a finding is about: its calls, else its place, else its subject."""
    blocks = finding.severity == "error" and finding.rule.category in BLOCKING
    what = "blocked" if blocks else finding.rule.code
    if finding.calls:
        for call in finding.calls:
            yield what, call.name
    elif finding.site is not None:
        yield what, str(finding.site)
    else:
        yield finding.rule.code, finding.subject.name
