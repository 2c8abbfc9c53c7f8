"""The card of a result in a notebook: the verdict, findings at the user's lines, the units, the rest folded.

A card is HTML without a script, with its style in it, so that it can be shown and saved anywhere. It is light
or dark as the notebook is, or as the system is where the notebook says nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import islice
from typing import Any

from convlint.cells import name_of_cell
from convlint.model import Finding, Report, Severity, Site, TrialFailure
from convlint.model.applied import Applied, EditedCell
from convlint.model.fixed import Fixed
from convlint.model.parity import Divergence, Errors, Parity
from convlint.model.placement import Blocker, Plan
from convlint.model.verdict import Kind, tally, trials_of, unnamed_refusals, verdict, what_differs
from convlint.output.findings import best_helps
from convlint.output.html.findings import instead, source_lines
from convlint.output.html.markup import Child, Markup, link, tag
from convlint.output.html.summary import share_bar
from convlint.output.modules import fold_modules
from convlint.output.places import shown_place
from convlint.text import count, one_line
from convlint.wording import in_python

MOST = 5
"""Errors, changes and blockers that are shown unfolded."""

_KINDS: dict[Kind, str] = {
    "converts": "yes",
    "converts-differently": "no",
    "converts-after-fixes": "nearly",
    "does-not-convert": "no",
    "unknown": "unknown",
}
_SIGNS = {"yes": "✓", "nearly": "✎", "no": "✕", "unknown": "?"}


def card_of(result: Any) -> str:
    """The card of a report, finding, fix, plan or parity."""
    makers: dict[type, Callable[[Any], list[Child]]] = {
        Report: _report,
        Finding: lambda finding: [_finding([finding])],
        Fixed: _fixed,
        Plan: _plan,
        Parity: _parity,
    }
    parts = makers[type(result)](result)
    return tag("div", tag("style", Markup(_style())), parts, class_="convlint")


@cache
def _style() -> str:
    return files("convlint.output").joinpath("card.css").read_text(encoding="utf-8")


def _head(kind: str, headline: str, step: str, facts: Sequence[str]) -> Markup:
    return tag(
        "header",
        tag("span", _SIGNS[kind], class_="sign", aria_hidden="true"),
        tag(
            "div",
            tag("strong", headline),
            tag("p", _words(step)) if step else None,
            tag("p", " · ".join(filter(None, facts)), class_="quiet"),
        ),
        class_=kind,
    )


def _words(text: str) -> list[Child]:
    """Text in which what stands between backquotes is code."""
    return [tag("code", part) if number % 2 else part for number, part in enumerate(text.split("`"))]


def _fold(title: str, parts: Sequence[Child]) -> Markup | None:
    return tag("details", tag("summary", title), list(parts)) if any(parts) else None


def _shown(parts: Sequence[Child], more: str) -> list[Child]:
    """The first parts, and the others folded under how many of ``more`` they are."""
    rest = list(parts[MOST:])
    return [*parts[:MOST], _fold(f"and {count(len(rest), more)}", rest)]


# reports


def _report(report: Report) -> list[Child]:
    result = verdict(report)
    step = in_python(result.next_step).replace(" above", " below")
    groups = _groups(report.findings)
    errors = [_finding(group) for group in groups if group[0].severity == "error"]
    others = [group for group in groups if group[0].severity != "error"]
    refused = [_refusal(failure) for failure in unnamed_refusals(report) if not failure.follows]
    if report.graph is None:
        refused += [_failure(each.method, each.error_type, each.message, each.site, each.caller)
                    for each in report.capture_failures]  # fmt: skip
    return [
        _head(
            _KINDS[result.kind],
            in_python(result.headline),
            step,
            (report.model, report.target, tally(report)),
        ),
        _units(report.plan, after=report.repair is not None) if report.plan is not None else None,
        *_shown([*errors, *refused], "more error"),
        _parity_part(report.parity) if report.parity is not None else None,
        _fold(_tally_of(others), [_line(group) for group in others]),
        _forecast(report.plan) if report.plan is not None else None,
        _fold("About this check", _about(report)),
    ]


def _groups(findings: Iterable[Finding]) -> list[list[Finding]]:
    """Findings that say the same of several lines, together."""
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        key = (finding.rule.code, finding.severity, finding.message, finding.replacements)
        groups.setdefault(key, []).append(finding)
    return list(groups.values())


def _tally_of(groups: Sequence[Sequence[Finding]]) -> str:
    words: tuple[Severity, ...] = ("warning", "note")
    numbers = {word: sum(len(group) for group in groups if group[0].severity == word) for word in words}
    return ", ".join(count(number, word) for word, number in numbers.items() if number)


def _title(finding: Finding) -> Markup:
    return tag(
        "h4",
        tag("span", finding.severity, class_=f"severity {finding.severity}"),
        tag("code", finding.rule.code),
        tag("span", finding.rule.name, class_="quiet"),
    )


def _finding(group: Sequence[Finding]) -> Markup:
    finding = group[0]
    helps = best_helps(finding.replacements)
    more = finding.replacements[len(helps) :]
    return tag(
        "article",
        _title(finding),
        tag("p", finding.message),
        *(part for each in group[:MOST] for part in _place(each)),
        tag("p", f"and {count(len(group) - MOST, 'more line')}", class_="quiet")
        if len(group) > MOST
        else None,
        [instead(each) for each in helps],
        _fold(
            "Why" + (f", and {count(len(more), 'more help')}" if more else ""),
            [
                tag("p", finding.rule.why),
                tag(
                    "p", f"{finding.rule.confidence}: ", [[link(each), " "] for each in finding.rule.sources]
                ),
                [instead(each) for each in finding.replacements if each not in helps],
            ],
        ),
        class_=f"finding {finding.severity}",
    )


def _place(finding: Finding) -> list[Child]:
    paths = (call.module for call in finding.calls) if finding.calls else [finding.module]
    modules = ", ".join(path for path, _ in fold_modules(paths) if path)
    return [
        *source_lines(finding.site, finding.caller),
        tag("p", f"in {modules}", class_="quiet") if modules else None,
    ]


def _line(group: Sequence[Finding]) -> Markup:
    """A warning or note in short: what it says, where, and the best help in words."""
    finding = group[0]
    places = list(dict.fromkeys(shown_place(each.site or each.caller) for each in group))
    more = f" and {count(len(places) - 1, 'more line')}" if len(places) > 1 else ""
    source = finding.site.source if finding.site is not None else ""
    return tag(
        "article",
        _title(finding),
        tag("p", finding.message),
        tag("p", tag("code", places[0]), more, ": " if source else "", tag("code", source))
        if places[0]
        else None,
        [tag("p", tag("b", "Instead: "), each.title) for each in best_helps(finding.replacements)],
        class_=f"finding {finding.severity}",
    )


def _refusal(failure: TrialFailure) -> Markup:
    return _failure(
        failure.op or failure.stage, failure.error_type, failure.error, failure.site, failure.caller
    )


def _failure(name: str, error_type: str, error: str, site: Site | None, caller: Site | None) -> Markup:
    words = ": ".join(filter(None, (error_type, one_line(error))))
    title = tag("h4", tag("code", name))
    return tag("article", title, tag("p", words), source_lines(site, caller), class_="finding error")


def _about(report: Report) -> list[Child]:
    trials = [
        f"{trial.frontend} frontend, coremltools {trial.coremltools}: {trial.status} in {trial.seconds:.2f} s"
        for trial in trials_of(report)
    ]
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    seconds = f"{report.seconds['total']:.2f} s in all" if "total" in report.seconds else ""
    silenced = f"{count(len(report.suppressed), 'finding')} silenced" if report.suppressed else ""
    lines = [*trials, silenced, *map(in_python, report.notes), seconds, versions]
    return [tag("p", line, class_="quiet") for line in lines if line]


# plans


def _units(plan: Plan, *, after: bool = False) -> Markup:
    when = ", after the changes" if after else ""
    return tag(
        "section",
        tag("p", tag("b", f"{plan.chip}, {plan.os}{when}: "), plan.sentence),
        share_bar("of the time", plan.share.by_time),
        class_="units",
    )


def _plan(plan: Plan) -> list[Child]:
    share = plan.share["ANE"]
    kind = "yes" if share >= 0.9 else "nearly" if share > 0 else "no"
    facts = (plan.model, f"{plan.chip}, {plan.os}", plan.compute_units, f"{len(plan.ops):,} ops")
    blockers = [_blocker(plan, blocker) for blocker in plan.blockers]
    return [
        _head(kind, plan.sentence, "", facts),
        tag(
            "section",
            share_bar("of the time", plan.share.by_time),
            share_bar("of the ops", plan.share.by_op),
            class_="units",
        ),
        *_shown(blockers, "more blocker"),
        _fold("About the forecast", _limits(plan)),
    ]


def _forecast(plan: Plan) -> Markup | None:
    blockers = [_blocker(plan, each) for each in plan.blockers]
    title = f"{count(len(blockers), 'blocker')} of the Neural Engine" if blockers else "About the forecast"
    return _fold(title, [*_shown(blockers, "more blocker"), *_limits(plan)])


def _blocker(plan: Plan, blocker: Blocker) -> Markup:
    wins = f"wins {blocker.win_ms}" if blocker.win_ms.mid > 0 else ""
    times = f" ×{len(blocker.ops)}" if len(blocker.ops) > 1 else ""
    return tag(
        "article",
        tag(
            "h4",
            tag(
                "span", plan.ops[blocker.ops[0]].unit, class_=f"severity unit-{plan.ops[blocker.ops[0]].unit}"
            ),
            tag("code", f"{blocker.op or blocker.kind}{times}"),
            tag("span", wins, class_="win") if wins else None,
        ),
        tag("p", blocker.reason),
        source_lines(blocker.site, blocker.caller),
        [tag("p", tag("b", "Instead: "), title) for title in blocker.replacements],
        class_="finding",
    )


def _limits(plan: Plan) -> list[Child]:
    advice: list[Child] = [
        tag("p", tag("code", each.rule), f" {shown_place(each.site)} {each.message}") for each in plan.advice
    ]
    others = [
        f"{in_python(each.assumption)}: {each.latency_ms}, {each.share['ANE']:.0%} ANE"
        for each in plan.what_if
    ]
    return [*advice, *(tag("p", line, class_="quiet") for line in (*others, *map(in_python, plan.notes)))]


# fixes


def _fixed(fixed: Fixed) -> list[Child]:
    kind = "yes" if fixed.ships and fixed.left_out is None else "nearly" if fixed.ships else "no"
    step = (
        "fixed.module computes the same in PyTorch; convlint.convert(model, inputs) converts it."
        if fixed.ships
        else ""
    )
    compared = f"compared: {', '.join(fixed.checked)}" if fixed.checked else ""
    error = f"largest difference {fixed.max_abs_error:.3g}" if fixed.max_abs_error is not None else ""
    left = [_refusal(failure) for failure in fixed.remaining]
    notes = [*(f"rolled back: {each}" for each in fixed.rolled_back), *map(in_python, fixed.notes)]
    return [
        _head(kind, fixed.headline, step, (fixed.target, compared, error)),
        *(part for cell in fixed.cells for part in _cell(cell)),
        *_changes(fixed),
        *_shown([_change(change, proposed=True) for change in fixed.proposed], "more change"),
        *_shown([*left, *(_finding([finding]) for finding in fixed.wrong)], "more refusal"),
        tag("p", f"Left to you: {fixed.left_out}") if fixed.left_out is not None else None,
        _parity_part(fixed.parity) if fixed.parity is not None else None,
        _fold(count(len(notes), "note"), [tag("p", note, class_="quiet") for note in notes]),
    ]


def _cell(cell: EditedCell) -> list[Child]:
    """The lines of a cell that change, and the whole cell to copy."""
    lines = difflib.unified_diff(cell.before.splitlines(), cell.after.splitlines(), lineterm="", n=2)
    kinds = {"-": "before", "+": "after"}
    shown: list[Child] = [
        tag("span", f"{line[:1]} {line[1:]}\n", class_=kinds.get(line[:1]))
        for line in islice(lines, 2, None)
        if not line.startswith("@@")
    ]
    name = name_of_cell(cell.path) or "the cell"
    ops = ", ".join(cell.refused)
    then = f"coremltools still refuses {ops}: fixed.module has that too" if ops else "coremltools converts it"
    return [
        tag(
            "article",
            tag("h4", tag("span", "edited", class_="severity good"), tag("code", name)),
            tag(
                "p",
                f"With this edit the model gives the same numbers and gradients on your inputs, and {then}.",
            ),
            tag("div", tag("pre", shown), class_="replacement"),
            _fold("The whole cell, to copy", [tag("pre", cell.after, class_="whole")]),
            class_="finding good",
        )
    ]


def _changes(fixed: Fixed) -> list[Child]:
    """The changes, those that an edited cell shows folded."""
    in_cells = {change for cell in fixed.cells for change in cell.changes}
    said = [_change(change) for change in fixed.applied if change in in_cells]
    others = [_change(change) for change in fixed.applied if change not in in_cells]
    return [*_shown(others, "more change"), _fold(f"{count(len(said), 'change')} in the cell", said)]


def _change(change: Applied, *, proposed: bool = False) -> Markup:
    times = f" ×{change.calls}" if change.calls > 1 else ""
    safety = "may differ for some inputs" if change.safety == "unsafe" else ""
    return tag(
        "article",
        tag(
            "h4",
            tag(
                "span",
                "proposed" if proposed else "changed",
                class_="severity note" if proposed else "severity good",
            ),
            tag("code", f"{change.op}{times}"),
            tag("span", safety, class_="quiet") if safety else None,
        ),
        tag("p", change.title),
        source_lines(change.site, change.caller),
        class_="finding note" if proposed else "finding good",
    )


# parity


def _parity(parity: Parity) -> list[Child]:
    equal = parity.status == "equal"
    told = parity.status in ("refused", "unsupported")
    kind = "yes" if equal else "unknown" if told else "nearly" if parity.severity != "error" else "no"
    headline = {
        "equal": "Computes what PyTorch computes.",
        "refused": "Not compared: the model does not convert.",
        "unsupported": "Not compared: the program cannot be run here.",
    }.get(parity.status) or f"The program {what_differs(parity)}."
    facts = (
        parity.target,
        parity.precision,
        f"{parity.frontend} frontend",
        count(parity.seeds, "run"),
        "" if told else f"largest error {parity.max_rel_error:.2g} of an output's largest value",
    )
    return [_head(kind, headline, one_line(parity.detail), facts), *_errors(parity)]


def _parity_part(parity: Parity) -> Markup:
    return tag("section", tag("p", tag("b", "Parity: "), parity.summary), _errors(parity), class_="parity")


def _errors(parity: Parity) -> list[Child]:
    runs = (
        [("executor", parity.status, parity.errors)]
        if parity.status not in ("refused", "unsupported")
        else []
    )
    runs += [(run.sizes, run.status, run.errors) for run in parity.sizes]
    runs += [(run.unit, run.status, run.errors) for run in parity.devices]
    rows = [_row(*run) for run in runs]
    head = tag("tr", [tag("th", word) for word in ("run", "result", "largest relative error", "absolute")])
    first = parity.first_divergence
    return [
        _divergence(first) if first is not None else None,
        tag("table", head, list(rows)) if len(rows) > 1 else None,
        [tag("p", remark, class_="quiet") for remark in parity.remarks],
    ]


def _row(name: str, status: str, errors: Errors) -> Markup:
    cells = (name, status, f"{errors.max_rel_error:.2g}", f"{errors.max_abs_error:.2g}")
    return tag("tr", [tag("td", cell) for cell in cells])


def _divergence(first: Divergence) -> Markup:
    became = f"converted to {first.mil_op or 'an operation'} {first.mil_name!r}" if first.mil_name else ""
    module = f"in {first.module}" if first.module else ""
    return tag(
        "article",
        tag("h4", tag("span", "first difference", class_="severity error"), tag("code", first.op)),
        tag("p", first.example_text) if first.example_text else None,
        source_lines(first.site, first.caller),
        tag("p", ", ".join(filter(None, (module, became))), class_="quiet"),
        class_="finding error",
    )
