"""A plan as Markdown, for a comment in a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convlint.model import Site
from convlint.model.alternative import Alternative
from convlint.model.placement import UNITS, Advice, Blocker, Plan
from convlint.output.markdown import escape
from convlint.output.plan_units import advice_on_units, choice_rows, device_rows, markdown_table, shared_notes
from convlint.text import count, shown_path, visible

_SHOWN = 10


def render_plan_markdown(plan: Plan, others: Sequence[Alternative] = ()) -> str:
    """A table of shares, the blockers and the what-ifs; ``others`` are alternatives that are faster."""
    lines = [
        f"## {escape(plan.model)} on {plan.chip}, {plan.os}",
        "",
        escape(plan.sentence),
        "",
        "| unit | time | ops |",
        "|---|---|---|",
        *(f"| {unit} | {plan.share.by_time[unit]:.0%} | {plan.share.by_op[unit]:.0%} |" for unit in UNITS),
    ]
    if plan.blockers:
        lines += ["", "| blocks the Neural Engine | where | reason | would win | write instead |"]
        lines += ["|---|---|---|---|---|", *map(_row, plan.blockers[:_SHOWN])]
        if len(plan.blockers) > _SHOWN:
            lines += ["", f"and {count(len(plan.blockers) - _SHOWN, 'more blocker')}"]
    if plan.advice:
        lines += ["", "| advice | where | what | write instead |", "|---|---|---|---|"]
        lines += map(_advice_row, plan.advice[:_SHOWN])
    if plan.choices:
        lines += [
            "",
            *markdown_table(choice_rows(plan)),
            "",
            *(f"- {line}" for line in advice_on_units(plan)),
        ]
    if plan.what_if:
        lines += ["", "| what if | latency | on the Neural Engine |", "|---|---|---|"]
        lines += [
            f"| {escape(other.assumption)} | {other.latency_ms} | {other.share['ANE']:.0%} |"
            for other in plan.what_if
        ]
    return "\n".join([*lines, "", *_remarks(plan.notes, others)]) + "\n"


def render_plans_markdown(
    plans: Sequence[Plan], most_ms: float | None, others: Sequence[Alternative] = ()
) -> str:
    """The plans of several chips as one table."""
    first = plans[0]
    table = markdown_table(device_rows(plans, most_ms))
    lines = [f"## {escape(first.model)}, {first.compute_units}", "", *table, ""]
    return "\n".join([*lines, *_remarks(shared_notes(plans), others)]) + "\n"


def _remarks(notes: Iterable[str], others: Sequence[Alternative]) -> list[str]:
    return [f"- {escape(text)}" for text in (*notes, *(each.sentence for each in others))]


def _row(blocker: Blocker) -> str:
    times = f" ×{len(blocker.ops)}" if len(blocker.ops) > 1 else ""
    win = str(blocker.win_ms) if blocker.win_ms.mid > 0 else "nothing by itself"
    helps = "; ".join(map(escape, blocker.replacements))
    name = f"{blocker.rule} {blocker.op or blocker.kind}".strip()
    return f"| {escape(name)}{times} | {_where(blocker.site)} | {escape(blocker.reason)} | {win} | {helps} |"


def _advice_row(advice: Advice) -> str:
    helps = "; ".join(map(escape, advice.replacements))
    name = escape(f"{advice.rule} {advice.name}")
    return f"| {name} | {_where(advice.site)} | {escape(advice.message)} | {helps} |"


def _where(site: Site | None) -> str:
    return escape(f"{visible(shown_path(site.path))}:{site.line}") if site is not None else ""
