"""Forecasts for the same program with other compute units, and under other assumptions."""

from __future__ import annotations

from typing import Literal

from convlint.model.placement import COMPUTE_UNITS, Plan, UnitChoice, WhatIf
from convlint.placement.operations import Operation
from convlint.placement.planner import Planner

FLEXIBLE = "https://github.com/apple/coremltools/blob/e0e2f42/docs-guides/source/flexible-inputs.md"


Declared = Literal["", "range", "enumerated"]
"""How the user declares varying shapes: not at all, by ranges of sizes, or by a list of shapes."""


def what_ifs_of(planner: Planner, plan: Plan, declared: Declared = "") -> tuple[WhatIf, ...]:
    """The forecasts with flexible shapes, as ``declared`` or not, and with ops elsewhere."""
    what_ifs = []
    if "ANE" in planner.asked and planner.device.chip.ane_tflops:
        if declared == "enumerated":
            what_ifs.append(_enumerated(planner, plan))
        else:
            what_ifs.append(_range(planner, plan, declared))
    return (*what_ifs, *_shuffles(planner, plan))


def choices_of(planner: Planner) -> tuple[UnitChoice, ...]:
    """The forecasts with each choice of compute units."""
    found = []
    for words in COMPUTE_UNITS:
        other = planner.restricted(words)
        division = other.division()
        watts = planner.device.chip.watts.get(words, 0.0)
        found.append(
            UnitChoice(
                words,
                other.latency(division),
                other.share(division),
                len(division.crossings),
                watts,
                "".join(unit[0] for unit in division.units),
                sum(crossing.cost_ms for crossing in division.crossings),
            )
        )
    return tuple(found)


def _shuffles(planner: Planner, plan: Plan) -> tuple[WhatIf, ...]:
    """The forecast with every channel shuffle off the Neural Engine, as it ran in old conversions."""
    shuffles = {id(each) for each in planner.operations if _shuffles_channels(each)}
    if not shuffles or "ANE" not in planner.asked or not planner.device.chip.ane_tflops:
        return ()
    what_if = _what_if(
        planner.barring(lambda operation: id(operation) in shuffles),
        plan,
        "the channel shuffles leave the Neural Engine",
        "its transpose of five axes was seen to run elsewhere in conversions of old releases",
    )
    return (what_if,)


def _shuffles_channels(operation: Operation) -> bool:
    """Whether it exchanges the two axes into which the channels of an image were split."""
    if operation.kind != "transpose":
        return False
    before = next((meta.shape for meta in operation.activations), ())
    after = operation.outputs[0].shape if operation.outputs else ()
    if len(before) != 5 or len(after) != 5:
        return False
    return before == (after[0], after[2], after[1], *after[3:])


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
