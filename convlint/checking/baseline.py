"""The baseline: findings of today that are known, so that tomorrow's new ones stand out.

Known findings are counted by model, rule, file and module, not by line, so that moving code does
not make them new; indices of repeated blocks are folded, so that a deeper network does not either.
A count that is too high is stale and fails, so that what was fixed stays fixed.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convlint.checking.suppress import with_exit_code
from convlint.destination import FileKind, Place
from convlint.errors import UsageError
from convlint.model import Finding, Report, Severity, Suppression
from convlint.model.run import Outcome
from convlint.text import count, shown_path

VERSION = 1
DEFAULT_FILE = "convlint-baseline.json"
_INDEX = re.compile(r"(?<![^.])\d+(?![^.])")
_INSTALLED = re.compile(r".*[/\\](?:site|dist)-packages[/\\]")

Known = tuple[str, str, str]
"""A rule's code, a file, a module path with ``*`` for its indices."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The number of known findings of each kind, for each model."""

    counts: Mapping[str, Mapping[Known, int]]

    def apply(self, report: Report, folder: str, fail_on: Severity) -> tuple[Report, list[str]]:
        """The report without its known findings, and the stale entries: those with too high a count."""
        allowed = self.counts.get(report.model, {})
        older = {code for code, _, _ in allowed}
        current = counted(report.findings, folder, older)
        covered = {kind for kind, number in current.items() if number <= allowed.get(kind, 0)}
        known = [finding for finding in report.findings if _kinds(finding, folder, older) <= covered]
        left = [finding for finding in report.findings if finding not in known]
        suppressed = (*report.suppressed, *(Suppression(finding, "baseline", "known") for finding in known))
        stale = [
            f"{report.model}: {code} in {_place(file, module)}:"
            f" {number} known, {current[code, file, module]} left"
            for (code, file, module), number in sorted(allowed.items())
            if current[code, file, module] < number
        ]
        return with_exit_code(replace(report, findings=tuple(left), suppressed=suppressed), fail_on), stale

    def pruned(self, outcomes: Iterable[Outcome], folder: str, models: Collection[str]) -> Baseline:
        """This baseline without findings that are gone, and without models other than ``models``."""
        counts = {model: dict(kinds) for model, kinds in self.counts.items() if model in models}
        for outcome in outcomes:
            if outcome.report is not None and _was_seen(outcome) and outcome.model in counts:
                known = counts[outcome.model]
                current = counted(outcome.report.findings, folder, {code for code, _, _ in known})
                counts[outcome.model] = {
                    kind: min(number, current[kind]) for kind, number in known.items() if current[kind]
                }
        return Baseline({model: kinds for model, kinds in counts.items() if kinds})

    def over(self, known: Baseline, models: Collection[str]) -> Baseline:
        """This baseline with the entries of ``known`` for those ``models`` that it says nothing about."""
        unchanged = {model: kinds for model, kinds in known.counts.items() if model in models}
        return Baseline({**unchanged, **self.counts})


def counted(findings: Sequence[Finding], folder: str, codes: Collection[str] = frozenset()) -> Counter[Known]:
    """The number of findings of each kind, under an older code of the rule where ``codes`` has that."""
    return Counter(kind for finding in findings for kind in _kinds(finding, folder, codes))


def baseline_of(outcomes: Iterable[Outcome], folder: str) -> Baseline:
    """The baseline of all findings in these outcomes; models that could not be captured are left out."""
    return Baseline(
        {
            o.model: counted(o.report.findings, folder)
            for o in outcomes
            if o.report is not None and _was_seen(o)
        }
    )


def _was_seen(outcome: Outcome) -> bool:
    """Whether the model was captured; one that was not keeps its known findings."""
    report = outcome.report
    return report is not None and (report.graph is not None or bool(report.findings))


def baseline_to_replace(path: str, *, required: bool) -> Baseline | None:
    """The baseline that a write will replace; an unreadable one is an error if ``required``, else None."""
    if not os.path.isfile(path) or not os.path.getsize(path):
        return None
    try:
        return read_baseline(path)
    except UsageError:
        if required:
            raise
        return None


def read_baseline(path: str) -> Baseline:
    """The baseline in a file; raises a :class:`UsageError` with the next step for a wrong one."""
    shown = shown_path(path)
    try:
        document = json.loads(Path(path).read_bytes())
    except OSError as error:
        hint = "" if os.path.exists(path) else " `convlint baseline write` makes it."
        raise UsageError(f"cannot read the baseline {shown}: {error.strerror}.{hint}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the baseline {shown} is not valid JSON: {error}. {_ANEW}") from error
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION:
        raise UsageError(
            f"the baseline {shown} has version {version!r}, and this convlint reads version {VERSION}."
            f" {_ANEW}"
        )
    try:
        return Baseline({model: dict(map(_read, entries)) for model, entries in document["models"].items()})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"the baseline {shown} has an entry that cannot be read ({error!r}). {_ANEW}"
        ) from error


_ANEW = "`convlint baseline write` writes it anew."


BASELINE = FileKind(
    "a baseline of convlint",
    re.compile(
        rb'\{\s*"version":\s*[0-9]+,\s*"(?:convlint|models)"|\{\s*"convlint":\s*"[^"]*",\s*"(?:models|version)"'
    ).match,
)
"""The kind of file that ``--baseline`` may overwrite."""


def write_baseline(place: Place, baseline: Baseline) -> None:
    """Write a baseline sorted, one entry a line, so that diffs of it read well."""
    from convlint import __version__

    blocks = []
    for model, kinds in sorted(baseline.counts.items()):
        if not kinds:
            continue
        entries = [
            json.dumps({"rule": code, "file": file, "module": module, "count": number})
            for (code, file, module), number in sorted(kinds.items())
        ]
        blocks.append(f"    {json.dumps(model)}: [\n      " + ",\n      ".join(entries) + "\n    ]")
    models = "{\n" + ",\n".join(blocks) + "\n  }" if blocks else "{}"
    head = f'  "version": {VERSION},\n  "convlint": {json.dumps(__version__)},\n'
    place.write(f'{{\n{head}  "models": {models}\n}}\n')


def stale_text(stale: Sequence[str]) -> str:
    """The error text for stale entries, with the next step."""
    entries = "".join(f"\n  {entry}" for entry in stale)
    return (
        f"the baseline holds {count(len(stale), 'entry', 'entries')} for findings that are gone;"
        f" `convlint baseline prune` removes them:{entries}"
    )


def _read(entry: Any) -> tuple[Known, int]:
    number = entry["count"]
    if type(number) is not int or number < 1:
        raise ValueError(f"count {number!r}")
    return (str(entry["rule"]), str(entry["file"]), str(entry["module"])), number


def _kinds(finding: Finding, folder: str, codes: Collection[str] = frozenset()) -> set[Known]:
    file = _file(finding, folder)
    modules = {call.module for call in finding.calls} or {finding.module}
    own = (finding.rule.code, *finding.rule.aliases)
    code = next((each for each in own if each in codes), finding.rule.code)
    return {(code, file, _INDEX.sub("*", module)) for module in modules}


def _file(finding: Finding, folder: str) -> str:
    """The finding's file as text that is the same on every machine."""
    if finding.site is None:
        return ""
    path = finding.site.path
    installed = _INSTALLED.match(path)
    if installed is not None:
        return path[installed.end() :].replace(os.sep, "/")
    return os.path.relpath(path, folder).replace(os.sep, "/")


def _place(file: str, module: str) -> str:
    return " ".join(filter(None, (file or "the model", module and f"({module})")))
