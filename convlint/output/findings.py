"""Shows the findings of a report to people, in full or in short."""

from __future__ import annotations

from collections.abc import Sequence, Set

from convlint.model import Finding, Replacement, Report, Severity, Site, TrialFailure
from convlint.model.remarks import code_of, remark_of
from convlint.model.verdict import trial_failures_of
from convlint.output.modules import fold_modules
from convlint.output.order import Said, joined, shown_order, wins_of
from convlint.output.page import Page, Span
from convlint.output.places import shown_place
from convlint.text import count, one_line

COLOURS: dict[Severity, str] = {"error": "bold red", "warning": "bold yellow", "note": "bold cyan"}
DIM = "bright_black"
MOST_HELPS = 2
"""How many helps of a finding are shown without ``--full``."""
MOST_LINES = 16
"""A replacement with more lines is named but not shown, because it is a whole model."""


def put_findings(page: Page, report: Report) -> None:
    for said in joined(shown_order(report.findings, wins_of(report.plan))):
        _finding(page, report, said, full=True)


def put_short_findings(page: Page, report: Report) -> None:
    """Write errors with their helps, a line for the warnings of each rule, and the rules of the notes."""
    loud = [finding for finding in report.findings if finding.severity != "note"]
    warnings: dict[str, list[Said]] = {}
    for said in joined(shown_order(loud, wins_of(report.plan))):
        if said.severity == "error":
            _finding(page, report, said, full=False)
        else:
            warnings.setdefault("".join(each.rule.code for each in said.findings), []).append(said)
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


def _warnings_of_a_rule(page: Page, group: list[Said]) -> None:
    lines = [told[0].site for said in group for told in said.places]
    sites = list(dict.fromkeys(shown_place(site) for site in lines if site is not None))
    where = f"  {sites[0]}" if sites else ""
    more = f" and {count(len(sites) - 1, 'more line')}" if len(sites) > 1 else ""
    spans: list[Span] = [("warning", COLOURS["warning"])]
    for number, each in enumerate(group[0].findings):
        title = f"{'; ' if number else ' '}{each.rule.code} {each.rule.name}"
        spans += [(title, "bold"), f": {each.message}"]
    page.put(*spans, (where + more, DIM), hang=2)


def best_helps(replacements: Sequence[Replacement]) -> tuple[Replacement, ...]:
    """The two best replacements: edits of the user's own line first, then equal code, then words."""
    order = {"rewrite": 0, "converter": 0, "helper": 1, "decomposition": 2, "advice": 3, "upgrade": 4}

    def rank(replacement: Replacement) -> tuple[bool, int, bool, float]:
        inexact = replacement.rtol if replacement.rtol is not None else 1.0
        kind = order.get(replacement.kind, 2)
        return (replacement.edit is None, kind, replacement.safety != "safe", inexact)

    return tuple(sorted(replacements, key=rank)[:MOST_HELPS])


def _finding(page: Page, report: Report, said: Said, *, full: bool) -> None:
    places = ("", "") if len(said.places) == 1 else (f"  ({len(said.places)} places)", DIM)
    for number, each in enumerate(said.findings):
        title = (f" {each.rule.code} {each.rule.name}", "bold")
        before = ("", "") if not number else ("also ", DIM)
        severity = (each.severity, COLOURS[each.severity])
        page.put(before, severity, title, ": ", each.message, ("", "") if number else places, hang=2)
    for told in said.places:
        _place(page, report, told, {each.message for each in said.findings})
    helps = [
        (each.rule.code, replacement)
        for each in said.findings
        for replacement in (each.replacements if full else best_helps(each.replacements))
    ]
    if not full and any(replacement.edit is not None for _, replacement in helps):
        helps = [pair for pair in helps if pair[1].kind != "decomposition"]
    # What is said of the user's own line comes before what another rule says in general.
    for code, replacement in sorted(helps, key=lambda pair: pair[1].edit is None):
        _replacement(page, replacement, code)
    left = sum(len(each.replacements) for each in said.findings) - len(helps)
    if left:
        page.put((f"{count(left, 'more help')}: --full", DIM), indent=2, hang=2)
    rules = {each.rule.code: each.rule.confidence for each in said.findings}
    why = ", ".join(f"convlint rule {code} ({confidence})" for code, confidence in rules.items())
    page.put((f"why: {why}", DIM), indent=2, hang=2)
    page.gap()


def _place(page: Page, report: Report, told: Sequence[Finding], known: Set[str]) -> None:
    put_sites(page, told[0].site, told[0].caller)
    for message in dict.fromkeys(finding.message for finding in told if finding.message not in known):
        page.put((message, DIM), indent=4, hang=2)
    for finding in {each.op: each for each in told}.values():
        _calls(page, finding)
    failures = (failure for finding in told for failure in trial_failures_of(report, finding))
    said = {error_text(failure): None for failure in failures}
    if said or told[0].trial:
        words = {"failed": "refused", "converted": "converted"}
        text = "; ".join(said) or words.get(told[0].trial, told[0].trial)
        page.put((f"trial: {text}", DIM), indent=4, hang=2)


def _calls(page: Page, finding: Finding) -> None:
    """Write the op and the modules of a finding, as far as its message does not say them."""
    folded = fold_modules(call.module for call in finding.calls) if finding.calls else [(finding.module, 1)]
    types = {call.module_type.rpartition(".")[2] for call in finding.calls} - {""}
    of_type = f" ({types.pop()})" if len(types) == 1 else ""
    modules = ", ".join(f"{path}{of_type}{times(repeats)}" for path, repeats in folded if path)
    repeats = "" if modules else times(len(finding.calls))
    op = f"{finding.op}{repeats}" if repeats or finding.op not in finding.message else ""
    if modules or op:
        page.put((" ".join(filter(None, (op, modules and f"in {modules}"))), DIM), indent=4, hang=2)


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
