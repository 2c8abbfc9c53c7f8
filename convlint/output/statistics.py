"""How many findings each rule has, over all models of a run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from convlint.model import SEVERITIES
from convlint.model.plain import SCHEMA_VERSION, plain
from convlint.model.run import Run
from convlint.output.json import dumps
from convlint.text import count, visible


@dataclass(frozen=True, slots=True)
class RuleCount:
    """One rule, how many findings it has, and in how many models."""

    code: str
    name: str
    title: str
    severity: str
    findings: int
    models: int


def statistics_of(run: Run) -> tuple[RuleCount, ...]:
    """The rules that found something: errors first, then those with most findings."""
    reports = [outcome.report for outcome in run.outcomes if outcome.report is not None]
    found = [(finding.rule, finding.severity) for report in reports for finding in report.findings]
    rules = {(rule.code, severity): rule for rule, severity in found}
    findings = Counter((rule.code, severity) for rule, severity in found)
    models = Counter(
        each for report in reports for each in {(one.rule.code, one.severity) for one in report.findings}
    )
    counts = [
        RuleCount(code, rule.name, rule.title, severity, findings[code, severity], models[code, severity])
        for (code, severity), rule in rules.items()
    ]
    return tuple(
        sorted(counts, key=lambda each: (SEVERITIES.index(each.severity), -each.findings, each.code))
    )


def statistics_text(run: Run) -> str:
    """A line for each rule, and their sum."""
    counts = statistics_of(run)
    rows = [(str(each.findings), each.severity, each.code, each.name, each.title) for each in counts]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(5)]
    lines = [
        f"{row[0].rjust(widths[0])}  " + "  ".join(map(str.ljust, row[1:], widths[1:])).rstrip()
        for row in rows
    ]
    total = sum(each.findings for each in counts)
    checked = sum(outcome.report is not None for outcome in run.outcomes)
    ruled = f" of {count(len(counts), 'rule')}" if counts else ""
    lines += [*([""] if rows else []), f"{count(total, 'finding')}{ruled} in {count(checked, 'model')}"]
    return "".join(f"{visible(line)}\n" for line in lines)


def statistics_json(run: Run) -> str:
    """The same for programs."""
    return dumps({"schema_version": SCHEMA_VERSION, "statistics": plain(statistics_of(run))})
