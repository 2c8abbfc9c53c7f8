"""How long the first load of a model takes, in which Core ML compiles it for the Neural Engine.

A dozen times are published, of models of very different sizes, and models of one size differ tenfold. So the
forecast is a line through their logarithms, with the range in which nearly all of them lie.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from math import exp, log
from statistics import linear_regression, median

from convlint.model.placement import FirstLaunch
from convlint.placement.chips import DATA

LARGE = 10.0
"""Millions of parameters from which these decide, and not what every load costs."""


@dataclass(frozen=True, slots=True)
class Load:
    """A published load of ``million`` parameters: seconds the first time, and later where that is known."""

    about: str
    million: float
    first: float
    source: str
    later: float | None = None


@lru_cache
def published_loads() -> tuple[Load, ...]:
    """``data/first_launch.toml``."""
    with (DATA / "first_launch.toml").open("rb") as file:
        return tuple(Load(**row) for row in tomllib.load(file)["load"])


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
