"""Shows the findings of a report to people, in full or in short."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convlint.model import Finding, Replacement, Report, Severity, Site, TrialFailure
from convlint.model.remarks import code_of, remark_of
from convlint.model.verdict import trial_failures_of
from convlint.output.modules import fold_modules
from convlint.output.page import Page
from convlint.output.places import shown_place
from convlint.text import count, one_line

COLOURS: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
_ORDER: tuple[Severity, ...] = ("error", "warning", "note")
DIM = "bright_black"
MOST_HELPS = 2
"""How many helps of a finding are shown without ``--full``."""
MOST_LINES = 16
"""A replacement with more lines is named but not shown, because it is a whole model."""


def put_findings(page: Page, report: Report) -> None:
    for group in _groups(report.findings):
        _findings(page, report, group, group[0].replacements)


def put_short_findings(page: Page, report: Report) -> None:
    """Write errors with their helps, a line for the warnings of each rule, and the rules of the notes."""
    errors = [finding for finding in report.findings if finding.severity == "error"]
    for group in _groups(errors):
        _findings(page, report, group, best_helps(group[0].replacements))
    warnings: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.severity == "warning":
            warnings.setdefault(finding.rule.code, []).append(finding)
    for group in warnings.values():
        _warnings_of_a_rule(page, group)
    notes = [f"{f.rule.code} {f.rule.name}" for f in report.findings if f.severity == "note"]
    if notes:
        rules = ", ".join(dict.fromkeys(notes))
        page.put(
            (count(len(notes), "note"), COLOURS["note"]), f": {rules}  ", ("--full shows them", DIM), hang=2
        )
    if warnings or notes:
        page.gap()


def _warnings_of_a_rule(page: Page, group: list[Finding]) -> None:
    first = group[0]
    sites = list(dict.fromkeys(shown_place(each.site) for each in group if each.site is not None))
    where = f"  {sites[0]}" if sites else ""
    more = f" and {count(len(sites) - 1, 'more line')}" if len(sites) > 1 else ""
    title = (f" {first.rule.code} {first.rule.name}", "bold")
    page.put(("warning", COLOURS["warning"]), title, f": {first.message}", (where + more, DIM), hang=2)


def best_helps(replacements: Sequence[Replacement]) -> tuple[Replacement, ...]:
    """The two best replacements: edits of the user's own line first, then equal code, then words."""
    order = {"rewrite": 0, "converter": 0, "helper": 1, "decomposition": 2, "advice": 3, "upgrade": 4}

    def rank(replacement: Replacement) -> tuple[bool, int, bool, float]:
        inexact = replacement.rtol if replacement.rtol is not None else 1.0
        kind = order.get(replacement.kind, 2)
        return (replacement.edit is None, kind, replacement.safety != "safe", inexact)

    return tuple(sorted(replacements, key=rank)[:MOST_HELPS])


def _groups(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings grouped by what they say of different lines: errors first, else in their order."""
    groups: dict[object, list[Finding]] = {}
    for finding in sorted(findings, key=lambda finding: _ORDER.index(finding.severity)):
        key = (finding.rule.code, finding.severity, finding.message, finding.replacements)
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def _findings(page: Page, report: Report, group: list[Finding], replacements: Sequence[Replacement]) -> None:
    finding = group[0]
    rule = finding.rule
    colour = COLOURS[finding.severity]
    places = ("", "") if len(group) == 1 else (f"  ({len(group)} places)", DIM)
    title = (f" {rule.code} {rule.name}", "bold")
    page.put((finding.severity, colour), title, ": ", finding.message, places, hang=2)
    for each in group:
        _place(page, report, each)
    for replacement in replacements:
        _replacement(page, replacement, finding.rule.code)
    left = len(finding.replacements) - len(replacements)
    if left:
        page.put((f"{count(left, 'more help')}: --full", DIM), indent=2, hang=2)
    page.put((f"why: convlint rule {rule.code} ({rule.confidence})", DIM), indent=2, hang=2)
    page.gap()


def _place(page: Page, report: Report, finding: Finding) -> None:
    put_sites(page, finding.site, finding.caller)
    folded = fold_modules(call.module for call in finding.calls) if finding.calls else [(finding.module, 1)]
    types = {call.module_type.rpartition(".")[2] for call in finding.calls} - {""}
    of_type = f" ({types.pop()})" if len(types) == 1 else ""
    modules = ", ".join(f"{path}{of_type}{times(repeats)}" for path, repeats in folded if path)
    repeats = "" if modules else times(len(finding.calls))
    op = f"{finding.op}{repeats}" if repeats or finding.op not in finding.message else ""
    if modules or op:
        page.put((" ".join(filter(None, (op, modules and f"in {modules}"))), DIM), indent=4, hang=2)
    said = {error_text(failure): None for failure in trial_failures_of(report, finding)}
    if said or finding.trial:
        text = "; ".join(said) or {"failed": "refused", "converted": "converted"}.get(
            finding.trial, finding.trial
        )
        page.put((f"trial: {text}", DIM), indent=4, hang=2)


def times(number: int) -> str:
    return f" ×{number}" if number > 1 else ""


def put_sites(page: Page, site: Site | None, caller: Site | None) -> None:
    put_site(page, site)
    if caller is not None and caller != site:
        put_site(page, caller, "called from ")


def put_site(page: Page, site: Site | None, before: str = "") -> None:
    if site is None:
        return
    function = f" in {site.function}" if site.function and not site.function.startswith("<") else ""
    place = (shown_place(site), page.link("cyan", site.path, site.line))
    page.put((f"→ {before}", DIM), place, (function, DIM), indent=2, hang=2)
    if site.source.strip():
        number = f"{site.line} │ "
        page.put((number, DIM), site.source.strip(), indent=4, hang=len(number))


def _replacement(page: Page, replacement: Replacement, code: str) -> None:
    remark = f"  ({said})" if (said := remark_of(replacement)) else ""
    page.put(("help", "bold green"), ": ", replacement.title, (remark, DIM), indent=2, hang=6)
    code_shown = code_of(replacement)
    sides = (("- ", code_shown.before, "red"), ("+ ", code_shown.after, "green")) if code_shown else ()
    lines = [(sign + line, colour) for sign, text, colour in sides for line in text.strip("\n").splitlines()]
    if len(lines) > MOST_LINES:
        page.put((f"convlint rule {code} shows the code, {len(lines)} lines", DIM), indent=6, hang=2)
        lines = []
    if code_shown is not None and code_shown.heading and lines:
        page.put((code_shown.heading, DIM), indent=6, hang=2)
    for line in lines:
        page.put(line, indent=6, hang=2, code=True)
    if replacement.proof:
        page.put((f"proved: {replacement.proof}", DIM), indent=6, hang=2)


def error_text(failure: TrialFailure) -> str:
    return (
        f"{failure.error_type}: {one_line(failure.error)}" if failure.error_type else one_line(failure.error)
    )
