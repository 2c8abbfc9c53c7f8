"""Divides a program among the units as Core ML does: the cheapest path through it, op by op.

Each op has an estimate on every unit that takes it; entering an engine, changing the unit and an output on
the Neural Engine cost a fixed time more. This follows a study of Core ML on an M4:
https://github.com/751K/Apple-Neural-Engine-Microarchitecture-Study-M6/blob/5cb462b/notes/coreml_dispatch.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convlint.model.placement import Unit
from convlint.placement.segmenter import Segmenter


def divide(
    estimates: Sequence[Mapping[Unit, float]], allowed: Sequence[Sequence[Unit]], prices: Segmenter
) -> list[Unit]:
    """The unit of every op, chosen so that the sum of estimates and prices is smallest.

    ``allowed`` names the units of each op, at least one. Linear in the number of ops.
    """
    best: dict[Unit, float] = {}
    steps: list[dict[Unit, Unit]] = []
    for index, (times, units) in enumerate(zip(estimates, allowed, strict=True)):
        reached: dict[Unit, float] = {}
        came: dict[Unit, Unit] = {}
        for unit in units:
            if index == 0:
                reached[unit] = times[unit] + (prices.launch_ms if unit != "CPU" else 0.0)
                continue
            enter = prices.switch_ms + (prices.launch_ms if unit != "CPU" else 0.0)
            before = min(best, key=lambda other: _rounded(best[other] + (0.0 if other == unit else enter)))
            reached[unit] = best[before] + (0.0 if before == unit else enter) + times[unit]
            came[unit] = before
        best = reached
        steps.append(came)
    if not best:
        return []
    unit = min(best, key=lambda other: _rounded(best[other] + (prices.output_ms if other != "CPU" else 0.0)))
    path = [unit]
    for came in reversed(steps[1:]):
        unit = came[unit]
        path.append(unit)
    return path[::-1]


def _rounded(milliseconds: float) -> float:
    """The time rounded to a picosecond, so equal paths tie and the first unit, the Neural Engine, wins."""
    return round(milliseconds, 9)
