"""Plans in a card: the units as bars, and what keeps ops off the Neural Engine."""

from __future__ import annotations

from convlint.model.placement import Blocker, Plan
from convlint.output.html.findings import source_lines
from convlint.output.html.markup import Child, Markup, tag
from convlint.output.html.summary import share_bar
from convlint.output.notebook.parts import fold, head, unfolded
from convlint.output.places import shown_place
from convlint.text import count
from convlint.wording import in_python


def units_part(plan: Plan, *, after: bool = False) -> Markup:
    """The forecast in a sentence and a bar; ``after`` says that the program is the changed one."""
    when = ", after the changes" if after else ""
    return tag(
        "section",
        tag("p", tag("b", f"{plan.chip}, {plan.os}{when}: "), plan.sentence),
        share_bar("of the time", plan.share.by_time),
        class_="units",
    )


def plan_parts(plan: Plan) -> list[Child]:
    """The card of a plan."""
    share = plan.share["ANE"]
    kind = "yes" if share >= 0.9 else "nearly" if share > 0 else "no"
    facts = (plan.model, f"{plan.chip}, {plan.os}", plan.compute_units, f"{len(plan.ops):,} ops")
    blockers = [_blocker(plan, blocker) for blocker in plan.blockers]
    return [
        head(kind, plan.sentence, "", facts),
        tag(
            "section",
            share_bar("of the time", plan.share.by_time),
            share_bar("of the ops", plan.share.by_op),
            class_="units",
        ),
        *unfolded(blockers, "more blocker"),
        fold("About the forecast", _limits(plan)),
    ]


def forecast_part(plan: Plan) -> Markup | None:
    """Blockers and the limits of the forecast, folded."""
    blockers = [_blocker(plan, each) for each in plan.blockers]
    title = f"{count(len(blockers), 'blocker')} of the Neural Engine" if blockers else "About the forecast"
    return fold(title, [*unfolded(blockers, "more blocker"), *_limits(plan)])


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
