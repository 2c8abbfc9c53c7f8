"""SARIF 2.1.0, which code scanning services and editors read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from convlint.model import Replacement, Rule, Site, Suppression
from convlint.model.remarks import help_line
from convlint.model.run import Outcome, Run
from convlint.model.verdict import unnamed_refusals, verdict, wrong_numbers
from convlint.output.json import dumps
from convlint.output.places import Shown, place_in, places_of, shown_place
from convlint.output.rules import rule_markdown
from convlint.text import one_line, visible

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_BASE = "SRCROOT"
_SUPPRESSIONS = {"comment": "inSource", "module": "external", "baseline": "external"}


def render_sarif(run: Run) -> str:
    """The whole run as one SARIF log with one run in it."""
    from convlint import __version__

    rules: dict[str, Rule] = {}
    results = [
        _result(*each, run.base, rules)
        for outcome in run.outcomes
        for each in _shown_findings(outcome, run.base)
    ]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "convlint",
                        "semanticVersion": __version__,
                        "rules": [_rule(rule) for rule in rules.values()],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {_BASE: {"description": {"text": "the root of the repository"}}},
                "invocations": [_invocation(run)],
                "results": results,
                "properties": {"models": [_model(outcome) for outcome in run.outcomes]},
            }
        ],
    }
    return dumps(log)


def _shown_findings(outcome: Outcome, base: str) -> Iterator[tuple[Shown, Suppression | None]]:
    """The findings of a model, then those that were silenced."""
    if outcome.report is None:
        return
    for shown in places_of(outcome, outcome.report.findings, base):
        yield shown, None
    silenced = outcome.report.suppressed
    for shown, suppression in zip(
        places_of(outcome, [each.finding for each in silenced], base), silenced, strict=True
    ):
        yield shown, suppression


def _result(
    shown: Shown, suppression: Suppression | None, base: str, rules: dict[str, Rule]
) -> dict[str, Any]:
    finding = shown.finding
    rules.setdefault(finding.rule.code, finding.rule)
    result: dict[str, Any] = {
        "ruleId": finding.rule.code,
        "ruleIndex": list(rules).index(finding.rule.code),
        "level": finding.severity,
        "message": {"text": _message(shown)},
        "locations": [_location(shown)],
        "partialFingerprints": {"convlint/v1": shown.fingerprint},
        "properties": {
            "model": shown.model,
            "op": finding.op,
            "calls": len(finding.calls),
            "trial": finding.trial,
        },
    }
    related = [site for site in (finding.site, finding.caller) if site is not None]
    elsewhere = [_related(site, base) for site in related if place_in(base, site) != (shown.path, shown.line)]
    if elsewhere:
        result["relatedLocations"] = elsewhere
    fixes = [fix for each in finding.replacements for fix in _fixes(each, base)]
    if fixes:
        result["fixes"] = fixes
    # Once one result has the list, SARIF wants it on all: an empty list says that one is not suppressed.
    result["suppressions"] = [_suppression(suppression, base)] if suppression is not None else []
    return result


def _message(shown: Shown) -> str:
    """The finding with its code, model and modules, which viewers show without the properties."""
    finding = shown.finding
    modules = f", {', '.join(shown.modules)}" if shown.modules else ""
    helps = [f"Help: {help_line(each)}." for each in finding.replacements]
    head = f"{finding.rule.code} in {shown.model}{modules}: {finding.message}."
    return visible("\n".join([head, *helps]))


def _location(shown: Shown) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if shown.path is not None:
        location["physicalLocation"] = _physical(shown.path, shown.line)
    names = shown.modules or [""]
    location["logicalLocations"] = [
        {
            "name": name.rpartition(".")[2] or shown.model,
            "fullyQualifiedName": f"{shown.model}:{name}" if name else shown.model,
            "kind": "module",
        }
        for name in names
    ]
    return location


def _physical(path: str, line: int) -> dict[str, Any]:
    return {
        "artifactLocation": {"uri": _uri(path), "uriBaseId": _BASE},
        "region": {"startLine": max(line, 1)},
    }


def _related(site: Site, base: str) -> dict[str, Any]:
    place = place_in(base, site)
    location: dict[str, Any] = {"message": {"text": visible(f"{shown_place(site)}: {one_line(site.source)}")}}
    if place is not None:
        location["physicalLocation"] = _physical(*place)
    return location


def _uri(path: str) -> str:
    from urllib.parse import quote

    return quote(path, safe="/")


def _fixes(replacement: Replacement, base: str) -> Iterator[dict[str, Any]]:
    """The fix for the finding's own line, where the edit was parsed and computes the same."""
    edit = replacement.edit
    place = place_in(base, Site(edit.path, edit.line)) if edit is not None else None
    if edit is None or edit.needs or place is None or replacement.safety != "safe":
        return
    region = {
        "startLine": edit.line,
        "startColumn": edit.column,
        "endLine": edit.end_line,
        "endColumn": edit.end_column,
    }
    change = {"deletedRegion": region, "insertedContent": {"text": edit.text}}
    yield {
        "description": {"text": help_line(replacement)},
        "artifactChanges": [
            {"artifactLocation": {"uri": _uri(place[0]), "uriBaseId": _BASE}, "replacements": [change]}
        ],
    }


def _suppression(suppression: Suppression, base: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": _SUPPRESSIONS[suppression.kind], "status": "accepted"}
    reason = visible(suppression.reason) or suppression.kind
    entry["justification"] = reason
    place = place_in(base, suppression.site)
    if place is not None:
        entry["location"] = {"physicalLocation": _physical(*place)}
    return entry


def _rule(rule: Rule) -> dict[str, Any]:
    links = [
        source for source in rule.sources if source.startswith(("https://", "http://")) and " " not in source
    ]
    described: dict[str, Any] = {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": rule.title or rule.message},
        "fullDescription": {"text": rule.why.strip() or rule.message},
        "help": _help(rule),
        "defaultConfiguration": {"level": rule.severity},
        "properties": {"tags": [rule.category], "confidence": rule.confidence, "sources": list(rule.sources)},
    }
    if links:
        described["helpUri"] = links[0]
    return described


def _help(rule: Rule) -> dict[str, str]:
    """The rule as text, and as Markdown for services that show it.

    Without its conditions and examples: a result that was kept has a rule without them.
    """
    why = rule.why.strip()
    page = rule_markdown(replace(rule, matches=(), bad=(), good=(), replacements=()))
    return {
        "text": f"{why}\n\nconvlint rule {rule.code} shows the whole page.",
        "markdown": f"{page}\n`convlint rule {rule.code}` shows all of it, with what to write instead.\n",
    }


def _invocation(run: Run) -> dict[str, Any]:
    """The invocation, with notifications: models that were not checked, unused comments, stale entries."""
    notes: list[tuple[str, str]] = []
    for outcome in run.outcomes:
        if outcome.error is not None:
            notes.append(("error", f"{outcome.model}: {outcome.error}"))
        if outcome.report is not None:
            notes += [
                ("error", f"{outcome.model}: the trial refused {each.op or each.stage}: {each.error}")
                for each in unnamed_refusals(outcome.report)
                if not each.follows
            ]
            if outcome.report.graph is None or wrong_numbers(outcome.report):
                notes.append(("error", f"{outcome.model}: {verdict(outcome.report).headline}"))
    notes += [("warning", f"{each.site}: unused: {each.site.source}") for each in run.unused_ignores]
    notes += [("error", f"stale in the baseline: {each}") for each in run.stale]
    return {
        "executionSuccessful": run.exit_code in (0, 1),
        "exitCode": run.exit_code,
        "toolExecutionNotifications": _notifications(notes),
    }


def _notifications(notes: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    return [{"level": level, "message": {"text": visible(text)}} for level, text in notes]


def _model(outcome: Outcome) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": outcome.model, "spec": outcome.spec, "exitCode": outcome.exit_code}
    if outcome.report is not None:
        facts |= {"convertible": outcome.report.convertible, "target": outcome.report.target}
    return facts
