"""How to ask Core ML for compute units, and what it costs to leave them to it.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence

from convlint.model.placement import CLOSE, ComputeUnits, UnitChoice
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
