"""Which compute units to ask for, and the plans of several chips, as tables of plain text or Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from convlint.model.placement import UNITS, ComputeUnits, Plan, Share, UnitChoice
from convlint.text import significant

SWIFT: dict[ComputeUnits, str] = {
    "all": ".all",
    "cpu+ane": ".cpuAndNeuralEngine",
    "cpu+gpu": ".cpuAndGPU",
    "cpu": ".cpuOnly",
}
PYTHON: dict[ComputeUnits, str] = {
    "all": "ALL",
    "cpu+ane": "CPU_AND_NE",
    "cpu+gpu": "CPU_AND_GPU",
    "cpu": "CPU_ONLY",
}
"""What the units are called in Swift and in Python:
https://apple.github.io/coremltools/source/coremltools.models.html#coremltools.ComputeUnit"""

Row = tuple[str, ...]


def choice_rows(plan: Plan) -> list[Row]:
    """One row for each choice of compute units, fastest first, under its heading."""
    watts = any(choice.watts for choice in plan.choices)
    head = ("ask for", "estimate", "range", "of the time", *(["measured power"] if watts else []))
    rows = [head]
    for choice in sorted(plan.choices, key=lambda each: each.latency_ms.mid):
        latency = choice.latency_ms
        row = (
            choice.compute_units,
            f"{significant(latency.mid, 3)} ms",
            f"{significant(latency.low, 2)} to {significant(latency.high, 2)}",
            share_words(choice.share),
        )
        power = f"{choice.watts:g} W" if choice.watts else ""
        rows.append((*row, power) if watts else row)
    return rows


def advice_on_units(plan: Plan) -> list[str]:
    """What to ask for on this chip and how to write it; what ``all`` costs where it is not that."""
    advised = plan.advised
    if advised is None:
        return []
    words = advised.compute_units
    lines = [f"ask for {words} on {plan.chip}{_close(plan, advised)}"]
    anything = next(choice for choice in plan.choices if choice.compute_units == "all")
    if advised is not anything:
        ratio = anything.latency_ms.mid / advised.latency_ms.mid
        divided = ", as it divides the model among units" if anything.crossings else ""
        lines.append(f"all, the default, is estimated to take {ratio:.2f} times as long{divided}")
    lines.append(f"Swift: configuration.computeUnits = {SWIFT[words]}")
    lines.append(f"Python: ct.models.MLModel(path, compute_units=ct.ComputeUnit.{PYTHON[words]})")
    return lines


def _close(plan: Plan, advised: UnitChoice) -> str:
    """A warning where another choice is nearer than the forecast is exact."""
    mid = advised.latency_ms.mid
    near = [
        choice.compute_units
        for choice in plan.choices
        if choice.compute_units != "all" and mid != choice.latency_ms.mid < 1.25 * mid
    ]
    if not near:
        return ""
    verb = "is" if len(near) == 1 else "are"
    return f"; {' and '.join(near)} {verb} within the error of the forecast: measure it"


def device_rows(plans: Sequence[Plan], most_ms: float | None) -> list[Row]:
    """One row for each chip under its heading, with a verdict where there is a limit."""
    limit = () if most_ms is None else (f"at most {most_ms:g} ms",)
    rows: list[Row] = [("chip", "system", "estimate", "range", "of the time", "ask for", *limit)]
    for plan in plans:
        latency, advised = plan.latency_ms, plan.advised
        verdict = () if most_ms is None else (verdict_of(plan, most_ms),)
        rows.append(
            (
                plan.chip,
                plan.os,
                f"{significant(latency.mid, 3)} ms",
                f"{significant(latency.low, 2)} to {significant(latency.high, 2)}",
                share_words(plan.share),
                advised.compute_units if advised is not None else "",
                *verdict,
            )
        )
    return rows


def verdict_of(plan: Plan, most_ms: float) -> str:
    """Whether the estimate keeps the limit, and whether its whole range does."""
    if plan.latency_ms.mid > most_ms:
        return "no" if plan.latency_ms.low > most_ms else "no, but not surely"
    return "yes" if plan.latency_ms.high <= most_ms else "yes, but not surely"


def share_words(share: Share) -> str:
    """The share of each unit in words."""
    return ", ".join(f"{unit} {share[unit]:.0%}" for unit in UNITS if round(share[unit], 2)) or "nothing runs"


def aligned(rows: Sequence[Row]) -> list[str]:
    """The rows with their columns below each other."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in rows)
    return [line.rstrip() for line in lines]


def shared_notes(plans: Sequence[Plan]) -> list[str]:
    """The notes that all plans have, and how many chips have assumed figures."""
    first, *others = plans
    shared = [note for note in first.notes if all(note in each.notes for each in others)]
    assumed = [each.chip for each in plans if len(each.notes) > len(shared)]
    if assumed:
        shared.append(f"some figures of {', '.join(assumed)} are assumed: plan one chip for which")
    return shared


def markdown_table(rows: Sequence[Row]) -> list[str]:
    """The rows as a table of Markdown, the first as its heading."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return [lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]
