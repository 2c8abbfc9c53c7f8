"""The effect of an upgrade of coremltools: a short table, and JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from convlint.model import SCHEMA_VERSION, Finding
from convlint.model.as_dict import finding_to_dict
from convlint.text import count, shown_path, visible

if TYPE_CHECKING:
    from convlint.checking.upgrade import Upgrade

_VERDICTS = {"yes": "converts", "no": "does not convert", "unknown": "cannot be judged"}


def upgrade_text(upgrade: Upgrade) -> str:
    """Two lists of findings, and the verdicts of both releases as the last line."""
    releases = f"coremltools {upgrade.before} and {upgrade.after}"
    lines = [f"{upgrade.model}  for {upgrade.target}, {releases}, by the rules alone"]
    lines += _section(f"fixed by {upgrade.after}", upgrade.fixed)
    lines += _section(f"broken by {upgrade.after}", upgrade.broken)
    lines += ["", *(f"note: {note}" for note in upgrade.notes)]
    one, other = (_VERDICTS[word] for word in upgrade.convertible)
    verdict = (
        f"{other[0].upper()}{other[1:]} with either" if one == other else f"With {upgrade.before} it {one}"
    )
    verdict += "" if one == other else f", with {upgrade.after} it {other}"
    lines.append(f"{verdict}. The same in both: {count(upgrade.same, 'finding')}.")
    return "".join(f"{visible(line)}\n" for line in lines)


def upgrade_to_dict(upgrade: Upgrade) -> dict[str, Any]:
    """The same for programs, with whole findings."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": upgrade.model,
        "target": upgrade.target,
        "coremltools": {"before": upgrade.before, "after": upgrade.after},
        "convertible": {"before": upgrade.convertible[0], "after": upgrade.convertible[1]},
        "fixed": [finding_to_dict(finding) for finding in upgrade.fixed],
        "broken": [finding_to_dict(finding) for finding in upgrade.broken],
        "same": upgrade.same,
        "notes": list(upgrade.notes),
    }


def _section(title: str, findings: Iterable[Finding]) -> list[str]:
    rows = [
        (
            finding.severity,
            finding.rule.code,
            finding.rule.name,
            f"{shown_path(finding.site.path)}:{finding.site.line}" if finding.site else "-",
            finding.message,
        )
        for finding in findings
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    cells = [[cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)] for row in rows]
    return ["", f"{title}:"] + (
        [f"  {'  '.join(line)}  {row[4]}" for line, row in zip(cells, rows, strict=True)] or ["  nothing"]
    )
