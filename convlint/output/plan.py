"""A plan for people: shares as bars, what blocks the Neural Engine, and the islands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from convlint.model.measured import Measured
from convlint.model.placement import UNITS, Advice, Blocker, Plan, Unit
from convlint.output.modules import fold_modules
from convlint.output.page import Page, Plain, Span
from convlint.output.plan_units import (
    advice_on_units,
    aligned,
    choice_rows,
    device_rows,
    shared_notes,
    verdict_of,
)
from convlint.text import count, shown_path, significant

if TYPE_CHECKING:
    from rich.console import Console

    from convlint.model.alternative import Alternative

_DIM = "bright_black"
_COLOURS: dict[Unit, str] = {"ANE": "green", "GPU": "blue", "CPU": "yellow"}
_LETTERS: dict[Unit, str] = {"ANE": "█", "GPU": "▓", "CPU": "░"}
_BAR = 40
_SHOWN = 5
_ISLANDS = 8


def render_plan(plan: Plan, console: Console | Plain) -> None:
    """Write the plan to ``console``, with its verdict as the last line."""
    page = Page(console)
    page.put((plan.model, "bold"), (f"  on {plan.chip}, {plan.os}, {_units_words(plan)}", _DIM))
    page.gap()
    page.put(("time", "bold"), "  ", *bar(plan.share.by_time), hang=6)
    page.put(("ops ", "bold"), "  ", *bar(plan.share.by_op), hang=6)
    page.gap()
    for blocker in plan.blockers[:_SHOWN]:
        _blocker(page, blocker)
    if len(plan.blockers) > _SHOWN:
        page.put((f"and {count(len(plan.blockers) - _SHOWN, 'more blocker')}: --format json", _DIM))
        page.gap()
    for advice in plan.advice[:_SHOWN]:
        _advice(page, advice)
    if len(plan.advice) > _SHOWN:
        page.put((f"and {count(len(plan.advice) - _SHOWN, 'more remark')}: --format json", _DIM))
        page.gap()
    _islands(page, plan)
    _choices(page, plan)
    for other in plan.what_if:
        ane = f"{other.share['ANE']:.0%} ANE"
        page.put(
            ("what if", "bold cyan"),
            f"  {other.assumption}: {other.latency_ms}, {ane}",
            hang=9,
        )
    if plan.first_launch is not None:
        page.put(("first launch", "bold cyan"), f"  {plan.first_launch.sentence}", hang=14)
    for note in plan.notes:
        page.put(("note", "bold cyan"), f"  {note}", hang=6)
    page.gap()
    page.put((plan.sentence, "bold"))


def render_plans(plans: Sequence[Plan], most_ms: float | None, console: Console | Plain) -> None:
    """Write the plans of several chips as one table, with a verdict of each where there is a limit."""
    page = Page(console)
    units = _units_words(plans[0])
    page.put((plans[0].model, "bold"), (f"  on {count(len(plans), 'chip')}, {units}", _DIM))
    page.gap()
    head, *rows = aligned(device_rows(plans, most_ms))
    page.put((head, _DIM), indent=2, code=True)
    for plan, row in zip(plans, rows, strict=True):
        slow = most_ms is not None and plan.latency_ms.mid > most_ms
        page.put((row, "red" if slow else ""), indent=2, code=True)
    page.gap()
    for note in shared_notes(plans):
        page.put(("note", "bold cyan"), f"  {note}", hang=6)
    page.put((f"everything about one chip: --chip {plans[0].chip.replace(' ', '')}", _DIM))


def render_limit(plan: Plan, most_ms: float, console: Console | Plain) -> None:
    """Write whether the plan keeps a limit, under it."""
    slow = plan.latency_ms.mid > most_ms
    words = f"at most {most_ms:g} ms: {verdict_of(plan, most_ms)}"
    Page(console).put((words, "bold red" if slow else "bold green"))


def render_alternatives(alternatives: Sequence[Alternative], console: Console | Plain) -> None:
    """Write what the catalogue has that is fast enough, one a line."""
    page = Page(console)
    for number, each in enumerate(alternatives):
        page.put(("" if number else "other", _DIM), ("  " if not number else " " * 7) + each.sentence, hang=7)


def render_next(plan: Plan, console: Console | Plain) -> None:
    """Write what to run where there is a device, under a plan that nothing was measured for."""
    mac = (
        "" if plan.chip.startswith("A") else "on a Mac, the same command with --measure asks Core ML itself; "
    )
    words = f"{mac}with Xcode's performance report of the converted model: --compare-with NAME.mlperf"
    Page(console).put((f"next: {words}", _DIM), hang=6)


def plan_text(plan: Plan) -> str:
    """The plan as plain text."""
    buffer = StringIO()
    render_plan(plan, Plain(buffer))
    return buffer.getvalue()


def render_measured(measured: Measured, console: Console | Plain) -> None:
    """Write the measurement on this Mac, under its plan."""
    page = Page(console)
    page.gap()
    page.put(
        ("measured", "bold green"), f"  on this Mac ({measured.chip}): {measured_text(measured)}", hang=10
    )
    for op in measured.ops:
        if op.planned != op.preferred:
            page.put(f"{op.name} ({op.kind}): planned {op.planned}, Core ML prefers {op.preferred}", indent=2)
    for units, milliseconds in measured.predict_ms.items():
        page.put((units, "bold"), f"  {milliseconds:.3g} ms a prediction", indent=2)


def render_compared(found: Measured, plan: Plan, console: Console | Plain) -> None:
    """Write how a plan agrees with what a Mac said: whole predictions, then kinds of ops that differ."""
    page = Page(console)
    page.gap()
    of = ", ".join(each for each in (found.device, found.system) if each)
    told = measured_text(found) if found.ops else "it has no ops, so whole predictions alone"
    page.put(("compared", "bold green"), f"  with {found.chip}{f' ({of})' if of else ''}: {told}", hang=10)
    for line in compared_lines(found, plan):
        page.put(line, indent=2, hang=2)
    groups: dict[tuple[str, Unit, Unit, str], list[str]] = {}
    for op in found.ops:
        if op.why:
            groups.setdefault((op.kind, op.planned, op.preferred, op.why), []).append(op.name)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    for (kind, planned, preferred, why), names in ordered[:_ISLANDS]:
        words = f"{count(len(names), kind)}: planned {planned}, Core ML prefers {preferred}; {why}"
        page.put(words, f"  ({names[0]})", indent=2, hang=2)
    if len(ordered) > _ISLANDS:
        page.put((f"and {len(ordered) - _ISLANDS} kinds more: --format json", _DIM), indent=2)


def compared_lines(found: Measured, plan: Plan) -> list[str]:
    """Whole predictions beside their estimates, what an estimate is made of, and where it is furthest off."""
    lines = []
    for choice in plan.choices:
        if (told := found.predict_ms.get(choice.compute_units)) is not None:
            ratio = choice.latency_ms.mid / told
            lines.append(
                f"a prediction with {choice.compute_units}: measured {significant(told, 3)} ms, planned"
                f" {choice.latency_ms}: {ratio:.2f} times the measured"
            )
    parts = sorted(plan.spent_on.items(), key=lambda item: -item[1])
    whole = sum(ms for _, ms in parts)
    if found.predict_ms and whole:
        words = ", ".join(f"{name} {ms / whole:.0%}" for name, ms in parts if ms >= 0.01 * whole)
        lines.append(f"the estimate with {plan.compute_units} is made of: {words}")
    kinds = sorted(found.kinds_ms.items(), key=lambda item: -abs(item[1][0] - item[1][1]))
    if kinds:
        words = "; ".join(
            f"{kind} {significant(told, 2)}, planned {significant(mine, 2)}"
            for kind, (mine, told) in kinds[:_SHOWN]
        )
        lines.append(f"furthest off, in ms of the measured prediction as Core ML itself divides it: {words}")
    return lines


def measured_text(measured: Measured) -> str:
    """The share of ops for which the plan and Core ML agree, in words."""
    unmatched = f", {measured.unmatched} without a partner" if measured.unmatched else ""
    return f"{measured.agreement:.0%} of {count(len(measured.ops), 'op')} run where the plan says{unmatched}"


def bar(shares: Mapping[Unit, float]) -> list[Span]:
    """Shares as a bar of forty letters, and in words."""
    cells = {unit: round(shares[unit] * _BAR) for unit in UNITS}
    largest = max(UNITS, key=lambda unit: shares[unit])
    cells[largest] += _BAR - sum(cells.values()) if any(shares.values()) else 0
    words = ", ".join(f"{unit} {shares[unit]:.0%}" for unit in UNITS if shares[unit])
    spans: list[Span] = [(_LETTERS[unit] * cells[unit], _COLOURS[unit]) for unit in UNITS if cells[unit]]
    return [*spans, f"  {words or 'nothing runs'}"]


def _units_words(plan: Plan) -> str:
    return "all units" if plan.compute_units == "all" else plan.compute_units.upper().replace("+", " and ")


def _choices(page: Page, plan: Plan) -> None:
    if not plan.choices:
        return
    page.put(("compute units", "bold"))
    head, *rows = aligned(choice_rows(plan))
    page.put((head, _DIM), indent=2, code=True)
    for row in rows:
        page.put(row, indent=2, code=True)
    for line in advice_on_units(plan):
        page.put(line, indent=2, hang=2)
    page.gap()


def _blocker(page: Page, blocker: Blocker) -> None:
    times = f" ×{len(blocker.ops)}" if len(blocker.ops) > 1 else ""
    win = f"wins {blocker.win_ms}" if blocker.win_ms.mid > 0 else "wins nothing by itself"
    code = f" {blocker.rule}" if blocker.rule else ""
    page.put(
        ("blocks", "bold red"),
        (f"{code} {blocker.op or blocker.kind}{times}", "bold"),
        f": {blocker.reason}",
        hang=2,
    )
    _place(page, blocker)
    before, after = blocker.islands
    changes = f"{blocker.crossings[0]} -> {blocker.crossings[1]} crossings"
    page.put(
        (f"on the Neural Engine it {win}; {before} -> {after} islands, {changes}", _DIM), indent=4, hang=2
    )
    for title in blocker.replacements:
        page.put(("help", "bold green"), ": ", title, indent=2, hang=6)
    source = f", {blocker.source}" if blocker.source else ""
    page.put((f"{blocker.confidence}{source}", _DIM), indent=2, hang=2)
    page.gap()


def _advice(page: Page, advice: Advice) -> None:
    page.put(
        ("advice", "bold cyan"), (f" {advice.rule} {advice.name}", "bold"), f": {advice.message}", hang=2
    )
    _place(page, advice)
    for title in advice.replacements:
        page.put(("help", "bold green"), ": ", title, indent=2, hang=6)
    page.put((f"why: convlint rule {advice.rule} ({advice.confidence})", _DIM), indent=2, hang=2)
    page.gap()


def _place(page: Page, what: Blocker | Advice) -> None:
    site = what.site
    if site is not None:
        place = f"{shown_path(site.path)}:{site.line}"
        page.put(("→ ", _DIM), (place, page.link("cyan", site.path, site.line)), indent=2, hang=2)
        if site.source:
            page.put((f"{site.line} │ ", _DIM), site.source, indent=4, hang=4)
    modules = ", ".join(f"{path}" for path, _ in fold_modules(what.modules) if path)
    if modules:
        page.put((f"in {modules}", _DIM), indent=4, hang=2)


def _islands(page: Page, plan: Plan) -> None:
    if len(plan.islands) < 2:
        return
    page.put((f"{count(len(plan.islands), 'island')}, {count(len(plan.crossings), 'crossing')}", "bold"))
    largest = sorted(plan.islands, key=lambda island: -island.latency_ms.mid)[:_ISLANDS]
    for island in sorted(largest, key=lambda island: island.ops):
        first, last = plan.ops[island.ops[0]], plan.ops[island.ops[-1]]
        ends = first.name if first is last else f"{first.name} to {last.name}"
        words = f"{count(len(island.ops), 'op')}, {island.latency_ms}: {ends}"
        page.put((island.unit, f"bold {_COLOURS[island.unit]}"), f"  {words}", indent=2, hang=5)
    if len(plan.islands) > len(largest):
        page.put((f"and {len(plan.islands) - len(largest)} that take less", _DIM), indent=2)
    page.gap()
