"""The parts of a page about a plan: blockers, other assumptions, and the limits of the forecast."""

from __future__ import annotations

from convlint.model.placement import Advice, Blocker, Plan, UnitChoice, WhatIf
from convlint.output.html.findings import Places, links_to, source_lines
from convlint.output.html.markup import Markup, link, tag
from convlint.output.html.picture import Picture
from convlint.output.modules import fold_modules
from convlint.text import count

_FIRST = 12


def blockers(plan: Plan, places: Places) -> Markup:
    """The blockers, which keep ops off the Neural Engine, ordered by cost."""
    head = tag("h2", "Off the Neural Engine ", tag("span", str(len(plan.blockers)), class_="count"))
    if not plan.blockers:
        return tag("section", head, tag("p", "Nothing is known to keep an op off it.", class_="quiet"))
    first, rest = plan.blockers[:_FIRST], plan.blockers[_FIRST:]
    more = tag("summary", f"and {count(len(rest), 'other')}, which would win less")
    others = tag("details", more, [_blocker(each, places) for each in rest]) if rest else None
    return tag("section", head, [_blocker(each, places) for each in first], others)


def _blocker(blocker: Blocker, places: Places) -> Markup:
    modules = ", ".join(path for path, _ in fold_modules(blocker.modules) if path)
    facts = [
        f"{count(len(blocker.ops), 'op')}" + (f" in {modules}" if modules else ""),
        f"islands {_change(blocker.islands)}, crossings {_change(blocker.crossings)}",
    ]
    wins = blocker.win_ms
    return tag(
        "article",
        tag(
            "h3",
            tag("code", blocker.kind),
            tag("span", f"wins {wins}", class_="win") if wins.mid > 0 else None,
        ),
        tag("p", blocker.reason, class_="message"),
        source_lines(blocker.site, blocker.caller),
        _ways(blocker, places.picture),
        tag("p", " · ".join(facts), class_="quiet"),
        [tag("p", tag("b", "Instead: "), title) for title in blocker.replacements],
        tag("p", f"{blocker.confidence}: ", link(blocker.source), class_="quiet") if blocker.source else None,
        class_="finding blocker",
    )


def advice(plan: Plan) -> Markup | None:
    """The rules' advice on ops that the Neural Engine takes."""
    if not plan.advice:
        return None
    head = tag("h2", "Advice ", tag("span", str(len(plan.advice)), class_="count"))
    return tag("section", head, [_advice(each) for each in plan.advice])


def _advice(each: Advice) -> Markup:
    modules = ", ".join(path for path, _ in fold_modules(each.modules) if path)
    return tag(
        "article",
        tag("h3", tag("code", each.rule), " ", tag("span", each.name, class_="rule")),
        tag("p", each.message, class_="message"),
        source_lines(each.site, each.caller),
        tag("p", f"in {modules}", class_="quiet") if modules else None,
        [tag("p", tag("b", "Instead: "), title) for title in each.replacements],
        class_="finding",
    )


def _change(counts: tuple[int, int]) -> str:
    """The count with the blocker, and the count without it."""
    return " → ".join(map(str, counts))


def _ways(blocker: Blocker, picture: Picture | None) -> Markup | None:
    return (
        links_to([picture.planned[index] for index in blocker.ops], picture) if picture is not None else None
    )


def forecast(plan: Plan) -> Markup:
    """The forecasts under other assumptions, and the limits of the forecast."""
    return tag(
        "section",
        tag("h2", "About the forecast"),
        [_choice(each) for each in plan.choices],
        [_what_if(each) for each in plan.what_if],
        tag("ul", [tag("li", note) for note in plan.notes], class_="notes quiet") if plan.notes else None,
        class_="forecast",
    )


def _choice(each: UnitChoice) -> Markup:
    facts = f"{each.latency_ms}, {each.share['ANE'] * 100:.0f} % of the time on the Neural Engine"
    return tag(
        "article", tag("h3", f"--compute-units {each.compute_units}"), tag("p", facts, class_="message"),
        class_="finding",
    )  # fmt: skip


def _what_if(each: WhatIf) -> Markup:
    facts = (
        f"{each.latency_ms}, "
        f"{each.share['ANE'] * 100:.0f} % of the time on the Neural Engine, "
        f"{count(each.islands, 'island')}, {count(each.crossings, 'crossing')}"
    )
    known = tag("p", f"{each.confidence}: ", link(each.source), class_="quiet") if each.source else None
    return tag(
        "article",
        tag("h3", each.assumption),
        tag("p", facts, class_="message"),
        tag("p", each.reason, class_="quiet") if each.reason else None,
        known,
        class_="finding",
    )
