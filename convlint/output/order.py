"""In which order findings are told, and what is said of one line as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from convlint.model import SEVERITIES, Finding, Severity, Site
from convlint.model.placement import Interval, Plan

Wins = Mapping[tuple[str, Site | None], Interval]
"""The milliseconds that a plan gives to mending one finding, by its rule and site."""


@dataclass(frozen=True, slots=True)
class Said:
    """What rules say of the same lines, as one finding.

    ``places`` has the findings of each line, the gravest first; they differ in the line alone.
    """

    places: tuple[tuple[Finding, ...], ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is said of the first line, and of all others."""
        return tuple({(each.rule.code, each.message): each for each in self.places[0]}.values())

    @property
    def severity(self) -> Severity:
        return self.places[0][0].severity


def joined(findings: Iterable[Finding]) -> list[Said]:
    """What is said of each line, as one, in the order of its first finding.

    Several rules may say the same of a line in other words, or one the cause of what another says. Lines of
    which the same is said are places of one finding. Notes about the Neural Engine are one for each rule,
    whatever they say of each op.
    """
    lines: dict[object, list[Finding]] = {}
    for number, finding in enumerate(findings):
        place: object = (finding.site, finding.caller) if finding.site is not None else number
        if _is_engine_note(finding):
            place = (place, finding.rule.code)
        lines.setdefault(place, []).append(finding)
    groups: dict[object, list[tuple[Finding, ...]]] = {}
    for told in lines.values():
        groups.setdefault(tuple(map(_key, told)), []).append(tuple(told))
    return [Said(tuple(group)) for group in groups.values()]


def _is_engine_note(finding: Finding) -> bool:
    return finding.severity == "note" and finding.rule.category == "ane"


def _key(finding: Finding) -> tuple[object, ...]:
    if _is_engine_note(finding):
        return (finding.rule.code,)
    return (finding.rule.code, finding.severity, finding.message, finding.replacements)


def wins_of(plan: Plan | None) -> Wins:
    """The gain of fixing each line; of several blockers with one rule and line, the most expensive one."""
    blockers = reversed(plan.blockers) if plan is not None else ()
    return {
        (blocker.rule, blocker.site): blocker.win_ms
        for blocker in blockers
        if blocker.rule and blocker.win_ms.mid > 0
    }


def shown_order(findings: Sequence[Finding], wins: Wins) -> list[Finding]:
    """Errors first, then warnings, then notes; within each, the largest gain first, else in their order."""

    def key(finding: Finding) -> tuple[int, float]:
        win = wins.get((finding.rule.code, finding.site))
        return SEVERITIES.index(finding.severity), -win.mid if win is not None else 0.0

    return sorted(findings, key=key)
