"""Which compute units to ask Core ML for: the forecast for each choice, and the lines that ask for one.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convlint.model.placement import ComputeUnits, Interval, Share
from convlint.text import significant

SWIFT: dict[ComputeUnits, str] = {
    "all": "configuration.computeUnits = .all",
    "cpu+ane": "configuration.computeUnits = .cpuAndNeuralEngine",
    "cpu+gpu": "configuration.computeUnits = .cpuAndGPU",
    "cpu": "configuration.computeUnits = .cpuOnly",
}
"""The lines of an app, where ``configuration`` is its ``MLModelConfiguration``."""
PYTHON: dict[ComputeUnits, str] = {
    "all": "compute_units=ct.ComputeUnit.ALL",
    "cpu+ane": "compute_units=ct.ComputeUnit.CPU_AND_NE",
    "cpu+gpu": "compute_units=ct.ComputeUnit.CPU_AND_GPU",
    "cpu": "compute_units=ct.ComputeUnit.CPU_ONLY",
}
"""The argument of ``ct.convert`` and of ``ct.models.MLModel``."""
CLOSE = 1.1
"""A choice within a tenth of the fastest is as good: published times of one model and chip differ by more."""
FRUGAL: tuple[ComputeUnits, ...] = ("cpu+ane", "cpu", "cpu+gpu", "all")
"""The choices by what they draw: an image encoder took 8.9 W on the Neural Engine of an M5 Max and 44.1 W on
its GPU, 38 and 46 mJ an image (https://github.com/erwinzhang7/coreml-compute-placement/blob/aaec59a/README.md).
``all`` comes last, as Core ML may divide a model anew with each release."""


@dataclass(frozen=True, slots=True)
class UnitChoice:
    """The forecast where these compute units are asked for."""

    compute_units: ComputeUnits
    latency_ms: Interval
    share: Share
    crossings: int


def best_of(choices: Sequence[UnitChoice]) -> UnitChoice | None:
    """The choice to ask for: the most frugal of those that are about as fast as the fastest."""
    if not choices:
        return None
    fastest = min(each.latency_ms.mid for each in choices)
    close = [each for each in choices if each.latency_ms.mid <= CLOSE * fastest]
    return min(close, key=lambda each: FRUGAL.index(each.compute_units))


def cost_of_all(choices: Sequence[UnitChoice]) -> str:
    """What leaving the choice to Core ML costs against the best pinned one; "" where that is little."""
    pinned = [each for each in choices if each.compute_units != "all"]
    left = next((each for each in choices if each.compute_units == "all"), None)
    if left is None or not pinned:
        return ""
    best = min(pinned, key=lambda each: each.latency_ms.mid)
    if not best.latency_ms.mid or left.latency_ms.mid <= CLOSE * best.latency_ms.mid:
        return ""
    factor = left.latency_ms.mid / best.latency_ms.mid
    changes = f", with {left.crossings} values copied between units" if left.crossings else ""
    return f"all costs {significant(factor, 2)} times as long as {best.compute_units}{changes}"
