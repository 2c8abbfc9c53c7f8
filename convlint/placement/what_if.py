"""Forecasts for the same program under other assumptions: other compute units, a dynamic axis."""

from __future__ import annotations

from typing import Literal

from convlint.model.placement import COMPUTE_UNITS, ComputeUnits, Plan, WhatIf
from convlint.placement.planner import Planner

FLEXIBLE = "https://github.com/apple/coremltools/blob/e0e2f42/docs-guides/source/flexible-inputs.md"


Declared = Literal["", "range", "enumerated"]
"""How the user declares varying shapes: not at all, by ranges of sizes, or by a list of shapes."""


def what_ifs_of(planner: Planner, plan: Plan, declared: Declared = "") -> tuple[WhatIf, ...]:
    """The forecasts with flexible shapes, the ``declared`` ones first, and with other compute units."""
    what_ifs = []
    if "ANE" in planner.asked and planner.device.chip.ane_tflops:
        if declared == "enumerated":
            what_ifs.append(_enumerated(planner, plan))
        else:
            what_ifs.append(_range(planner, plan, declared))
    others = (words for words in COMPUTE_UNITS if words != planner.compute_units)
    return (*what_ifs, *(_units(planner, plan, words) for words in others))


def _units(planner: Planner, plan: Plan, words: ComputeUnits) -> WhatIf:
    return _what_if(planner.restricted(words), plan, f"--compute-units {words}")


def _range(planner: Planner, plan: Plan, declared: Declared) -> WhatIf:
    who = "as declared, an input" if declared else "an input"
    return _what_if(
        planner.barring(lambda operation: any(operation.activations)),
        plan,
        f"{who} whose shape is a range (RangeDim), at another than its default shape",
        "only the default shape of a range is sure to stay on the Neural Engine; enumerated shapes do",
        FLEXIBLE,
    )


def _enumerated(planner: Planner, plan: Plan) -> WhatIf:
    return _what_if(
        planner,
        plan,
        "as declared, an input of enumerated shapes, at its default shape",
        "up to 128 enumerated shapes are prepared beforehand, so that each can stay on the Neural Engine",
        FLEXIBLE,
    )


def _what_if(planner: Planner, plan: Plan, assumption: str, reason: str = "", source: str = "") -> WhatIf:
    division = planner.division()
    return WhatIf(
        assumption=assumption,
        latency_ms=planner.latency(division),
        share=planner.share(division),
        islands=division.ane_islands,
        crossings=len(division.crossings),
        reason=reason,
        confidence="documented" if source else "reported",
        source=source,
    )
