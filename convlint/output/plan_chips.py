"""Plans of one model on several chips: a line for each chip, for people, Markdown and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convlint.model.placement import UNITS, Plan
from convlint.model.plain import SCHEMA_VERSION
from convlint.output.markdown import escape
from convlint.output.page import Page, Plain
from convlint.text import count, significant

if TYPE_CHECKING:
    from rich.console import Console

_HEADS = ("chip", "system", "a prediction", "of the time", "ask for", "then")


def render_plans(plans: Sequence[Plan], most: float | None, console: Console | Plain) -> None:
    """Write the table, and on how many chips the model is fast enough."""
    page = Page(console)
    page.put((plans[0].model, "bold"), (f"  on {count(len(plans), 'chip')}", "bright_black"))
    page.gap()
    heads = (*_HEADS, *(["fast enough"] if most is not None else []))
    widths = [max(len(row[at]) for row in [heads, *_rows(plans, most)]) for at in range(len(heads))]
    for number, row in enumerate([heads, *_rows(plans, most)]):
        cells = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        page.put((cells, "bold") if number == 0 else cells)
    page.gap()
    for note in dict.fromkeys(note for plan in plans for note in plan.notes if plan.chip not in note):
        page.put(("note", "bold cyan"), f"  {note}", hang=6)
    if most is not None:
        page.put((_verdict(plans, most), "bold"))


def render_limit(plan: Plan, most: float | None, console: Console | Plain) -> None:
    """Write whether the plan of one chip is fast enough."""
    if most is not None:
        Page(console).put((_verdict([plan], most), "bold"))


def render_plans_markdown(plans: Sequence[Plan], most: float | None) -> str:
    """The same table in Markdown."""
    heads = (*_HEADS, *(["fast enough"] if most is not None else []))
    lines = [f"## {escape(plans[0].model)} on {count(len(plans), 'chip')}", ""]
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(map(escape, row)) + " |" for row in _rows(plans, most)]
    return "\n".join([*lines, *(["", _verdict(plans, most)] if most is not None else [])]) + "\n"


def plans_to_dict(plans: Sequence[Plan], most: float | None) -> dict[str, Any]:
    """The plans under ``plans``; with ``max_ms``, ``fast_enough`` has the names of the chips that are."""
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "plans": [plan.to_dict() for plan in plans]}
    if most is not None:
        fast = [plan.chip for plan in plans if plan.latency_ms.mid <= most]
        document |= {"max_ms": most, "fast_enough": fast}
    return document


def _rows(plans: Sequence[Plan], most: float | None) -> list[tuple[str, ...]]:
    return [_row(plan, most) for plan in plans]


def _row(plan: Plan, most: float | None) -> tuple[str, ...]:
    shares = ", ".join(f"{unit} {plan.share[unit]:.0%}" for unit in UNITS if plan.share[unit] >= 0.005)
    best = plan.best
    then = f"{significant(best.latency_ms.mid, 3)} ms" if best is not None else ""
    cells = (plan.chip, plan.os, str(plan.latency_ms), shares, best.compute_units if best else "", then)
    return (*cells, _answer(plan, most)) if most is not None else cells


def _answer(plan: Plan, most: float) -> str:
    """Yes or no by the estimate, and "probably" where the range holds the limit."""
    latency = plan.latency_ms
    word = "yes" if latency.mid <= most else "no"
    return f"probably {word}" if latency.low <= most < latency.high else word


def _verdict(plans: Sequence[Plan], most: float) -> str:
    fast = [plan for plan in plans if plan.latency_ms.mid <= most]
    limit = f"{significant(most, 3)} ms"
    if len(plans) == 1:
        return f"{'Within' if fast else 'Slower than'} {limit}: {_answer(plans[0], most)}."
    return f"Within {limit} on {len(fast)} of {count(len(plans), 'chip')}."
