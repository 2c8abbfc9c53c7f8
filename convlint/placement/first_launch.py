"""How long the first load of a model takes, in which Core ML compiles it for the Neural Engine.

Some times are published, of models of very different sizes, and models of one size differ tenfold. So the
forecast is a line through their logarithms, with the range in which nearly all of them lie. On a chip with
two engines the compiler adds a time that grows much faster than the program, so that there a cut in two saves
most of it.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from math import exp, log
from statistics import linear_regression, median
from typing import Any

from convlint.model.first_launch import Cut, FirstLaunch
from convlint.model.placement import PlacedOp, Plan
from convlint.placement.chips import DATA
from convlint.placement.cost import ENTRYWISE

LARGE = 10.0
"""Millions of parameters from which these decide, and not what every load costs."""
WORTH = 1.0
"""Seconds that a cut must save to be named."""


@dataclass(frozen=True, slots=True)
class Load:
    """A published load of ``million`` parameters: seconds the first time, and later where that is known."""

    about: str
    million: float
    first: float
    source: str
    later: float | None = None


@lru_cache
def _table() -> Mapping[str, Any]:
    with (DATA / "first_launch.toml").open("rb") as file:
        return tomllib.load(file)


@lru_cache
def published_loads() -> tuple[Load, ...]:
    """``data/first_launch.toml``."""
    return tuple(Load(**row) for row in _table()["load"])


def first_launch_of(parameters: int, loads: tuple[Load, ...] | None = None) -> FirstLaunch:
    """The forecast for a model of so many parameters, by ``loads``, or by all that are published."""
    loads = published_loads() if loads is None else loads
    start = min(load.first for load in loads)
    large = [load for load in loads if load.million >= LARGE]
    sizes, times = [log(load.million) for load in large], [log(load.first) for load in large]
    slope, shift = linear_regression(sizes, times)
    factor = exp(
        sorted(abs(time - shift - slope * size) for size, time in zip(sizes, times, strict=True))[-2]
    )
    million = parameters / 1e6
    mid = start + exp(shift) * million**slope
    later = median(load.later / load.million for load in loads if load.later is not None)
    return FirstLaunch((mid / factor, mid, mid * factor), later * million, len(loads))


def with_two_engines(launch: FirstLaunch, plan: Plan) -> FirstLaunch:
    """The forecast with what the compiler adds on a chip with two engines, and where a cut saves most of
    it."""
    if plan.chip not in _table()["two_engines"]["chips"]:
        return launch
    programs = [[plan.ops[index] for index in island.ops] for island in plan.islands if island.unit == "ANE"]
    added = sum(seconds_for_both(sum(map(_counts, ops))) for ops in programs)
    low, mid, high = launch.first_s
    cuts = [found for ops in programs if (found := _cut(ops)) is not None]
    best = max(cuts, key=lambda found: found.saves_s, default=None)
    return replace(launch, first_s=(low, mid + added, high + added), cut=best)


def seconds_for_both(layers: int) -> float:
    """Seconds that the program for two engines adds, of so many layers of each entry: a line through
    logarithms."""
    table = _table()["two_engines"]
    if not layers:
        return 0.0
    added = [both - one for both, one in zip(table["both"], table["one"], strict=True)]
    points = list(zip(map(log, table["layers"]), map(log, added), strict=True))
    spans = list(pairwise(points))
    (x0, y0), (x1, y1) = next((span for span in spans if log(layers) <= span[1][0]), spans[-1])
    slower: float = table["in_core_ml"]
    return slower * exp(y0 + (y1 - y0) * (log(layers) - x0) / (x1 - x0))


def _counts(op: PlacedOp) -> bool:
    """Whether it is a layer of each entry by itself, and not done at the end of the op before."""
    return op.kind in ENTRYWISE and bool(op.parts)


def _cut(ops: Sequence[PlacedOp]) -> Cut | None:
    """The op after which a program of these is to be cut in two; None where that saves less than it is worth.

    Only where one value goes from the first part to the second, so that each is a model with an input.
    """
    counts = list(accumulate(map(_counts, ops)))
    whole = seconds_for_both(counts[-1])
    if whole < WORTH:
        return None
    places = {op.index: number for number, op in enumerate(ops)}
    last = list(range(len(ops)))
    for number, op in enumerate(ops):
        for maker in op.inputs:
            if maker in places:
                last[places[maker]] = number
    opened = Counter(number for number, reader in enumerate(last) if reader > number)
    closed = Counter(reader for number, reader in enumerate(last) if reader > number)
    live = list(accumulate(opened[number] - closed[number] for number in range(len(ops))))
    best: Cut | None = None
    for number in range(len(ops) - 1):
        first, second = counts[number], counts[-1] - counts[number]
        saves = whole - seconds_for_both(first) - seconds_for_both(second)
        if live[number] == 1 and saves >= WORTH and (best is None or saves > best.saves_s):
            op = ops[number]
            best = Cut(op.index, op.module or op.name, op.site or op.caller, saves, (first, second))
    return best
