"""Forecasts for the same program under other assumptions: each choice of compute units, a dynamic axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from convlint.model import Confidence
from convlint.model.placement import COMPUTE_UNITS, ComputeUnits, Plan, UnitChoice, WhatIf
from convlint.placement.operations import Operation
from convlint.placement.planner import Planner

OLD_FORMAT = "https://github.com/hollance/neural-engine/blob/d0bb530/docs/unsupported-layers.md"
FLEXIBLE = "https://github.com/apple/coremltools/blob/e0e2f42/docs-guides/source/flexible-inputs.md"


Declared = Literal["", "range", "enumerated"]
"""How the user declares varying shapes: not at all, by ranges of sizes, or by a list of shapes."""


def what_ifs_of(planner: Planner, plan: Plan, declared: Declared = "") -> tuple[WhatIf, ...]:
    """The forecasts with flexible shapes, as they are ``declared``."""
    if "ANE" not in planner.asked or not planner.device.chip.ane_tflops:
        return ()
    return (
        _enumerated(planner, plan) if declared == "enumerated" else _range(planner, plan, declared),
        *_shuffled(planner, plan),
    )


def choices_of(planner: Planner) -> tuple[UnitChoice, ...]:
    """The forecast for each choice of compute units that differs on this chip."""
    engine = planner.device.chip.ane_tflops
    return tuple(
        _choice(planner.restricted(words), words)
        for words in COMPUTE_UNITS
        if engine or words not in ("all", "cpu+ane")
    )


def _choice(planner: Planner, words: ComputeUnits) -> UnitChoice:
    division = planner.division()
    return UnitChoice(words, planner.latency(division), planner.share(division), len(division.crossings))


def _shuffled(planner: Planner, plan: Plan) -> tuple[WhatIf, ...]:
    """What old conversions were seen to do with channel shuffles."""
    shuffles = shuffles_of(planner.operations)
    if not shuffles:
        return ()
    times = f"{len(shuffles)} channel shuffles" if len(shuffles) > 1 else "the channel shuffle"
    leaves = "leave" if len(shuffles) > 1 else "leaves"
    chosen = {id(planner.operations[index]) for index in shuffles}
    return (
        _what_if(
            planner.barring(lambda operation: id(operation) in chosen),
            plan,
            f"{times} {leaves} the Neural Engine, as in conversions of the old neural network format",
            "layers of more than four axes were reported to leave it then",
            OLD_FORMAT,
            "reported",
        ),
    )


def shuffles_of(operations: Sequence[Operation]) -> list[int]:
    """The transposes of channel shuffles: the groups of a split channel axis change places."""
    found = []
    for index, operation in enumerate(operations):
        if operation.kind != "transpose" or not operation.reads or not operation.outputs:
            continue
        before = operations[operation.reads[0]]
        after, shape = operation.outputs[0].shape, before.outputs[0].shape if before.outputs else ()
        if (
            before.kind == "reshape"
            and len(after) == 5
            and after == (shape[0], shape[2], shape[1], *shape[3:])
        ):
            found.append(index)
    return found


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


def _what_if(
    planner: Planner,
    plan: Plan,
    assumption: str,
    reason: str = "",
    source: str = "",
    confidence: Confidence = "documented",
) -> WhatIf:
    division = planner.division()
    return WhatIf(
        assumption=assumption,
        latency_ms=planner.latency(division),
        share=planner.share(division),
        islands=division.ane_islands,
        crossings=len(division.crossings),
        reason=reason,
        confidence=confidence,
        source=source,
    )
