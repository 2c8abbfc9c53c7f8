"""Reads what a Mac measured from files of other tools, and lays it beside a plan.

``anemll-profile --json FILE`` writes a report of ``MLComputePlan``: the keys are those of its source,
https://github.com/Anemll/anemll-profile. ``convlint plan --measure --format json`` has the same under
``measured``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlint.errors import UsageError
from convlint.model.measured import Compared, Measured
from convlint.model.placement import COMPUTE_UNITS, UNITS, ComputeUnits, Plan, Unit


@dataclass(frozen=True, slots=True)
class DumpedOp:
    """One op of a compiled model: the name of its value, the unit that Core ML chose, those it offered."""

    name: str
    kind: str
    unit: Unit
    offered: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Dump:
    """What a file says: the compute units that were asked for, the ops, and milliseconds if any."""

    tool: str
    compute_units: ComputeUnits
    ops: tuple[DumpedOp, ...]
    predict_ms: Mapping[ComputeUnits, float]


def read_dump(path: str) -> Dump:
    """The content of ``path``; a UsageError where it cannot be read, or no known tool wrote it."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--compare-with {path}: {error}") from error
    try:
        if isinstance(document, dict) and document.get("tool") == "anemll-profile":
            return _anemll(document)
        if isinstance(document, dict) and isinstance(document.get("measured"), dict):
            return _own(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"--compare-with {path}: {type(error).__name__}: {error} is not as expected"
        ) from error
    raise UsageError(
        f"--compare-with {path}: known are the JSON of anemll-profile, and that of convlint plan --measure"
    )


def compare_with_dump(plan: Plan, dump: Dump, path: str) -> Measured:
    """The ops of the plan beside those of the file that write a value of the same name."""
    planned = {op.name: op for op in plan.ops}
    compared = []
    unmatched = 0
    for op in dump.ops:
        mine = next((planned[name] for name in _spellings(op.name) if name in planned), None)
        if mine is None:
            unmatched += 1
            continue
        compared.append(
            Compared(mine.name, mine.kind, mine.unit, op.unit, op.offered, _why(plan, mine.index, op))
        )
    return Measured(plan.chip, tuple(compared), dump.predict_ms, unmatched, f"{path} ({dump.tool})")


def _why(plan: Plan, index: int, op: DumpedOp) -> str:
    """Where the forecast went wrong: in what a unit takes, or in what it is rated to cost."""
    mine = plan.ops[index]
    if mine.unit == op.unit:
        return ""
    if op.unit not in mine.allowed:
        return f"the plan says that the {op.unit} does not take it: {mine.reason}"
    if op.offered and mine.unit not in op.offered:
        return f"Core ML did not offer the {mine.unit}"
    return (
        f"both units take it, and the plan rates it {mine.times[mine.unit]:.3g} ms on {mine.unit}, "
        f"{mine.times[op.unit]:.3g} ms on {op.unit}"
    )


def _anemll(document: Mapping[str, Any]) -> Dump:
    units: ComputeUnits = "all" if document["compute"]["compute_units_all"] else "cpu+ane"
    ops = []
    for placed in document["ordered_placements"]:
        offered: tuple[Unit, ...] = ("ANE", "CPU") if placed["ane_supported"] else ("CPU",)
        offered = (*offered, "GPU") if units == "all" else offered
        ops.append(DumpedOp(placed["name"], _kind(placed["type"]), _unit(placed["device"]), offered))
    spent = document.get("measured_prediction") or {}
    milliseconds = float(spent.get("average_ms") or 0.0)
    return Dump("anemll-profile", units, tuple(ops), {units: milliseconds} if milliseconds > 0 else {})


def _own(document: Mapping[str, Any]) -> Dump:
    measured = document["measured"]
    ops = tuple(
        DumpedOp(op["name"], op["kind"], _unit(op["preferred"]), tuple(map(_unit, op["supported"])))
        for op in measured["ops"]
    )
    units = document["compute_units"]
    if units not in COMPUTE_UNITS:
        raise ValueError(f"compute_units {units!r}")
    times = {
        words: float(measured["predict_ms"][words])
        for words in COMPUTE_UNITS
        if words in measured["predict_ms"]
    }
    return Dump("convlint plan --measure", units, ops, times)


def _unit(text: str) -> Unit:
    """The unit of a device's short name; Neural Engine has several."""
    word = {"NE": "ANE", "NEURALENGINE": "ANE"}.get(text.upper(), text.upper())
    for unit in UNITS:
        if word == unit:
            return unit
    raise ValueError(f"unknown device {text!r}")


def _kind(text: str) -> str:
    return text.rpartition(".")[2]


def _spellings(name: str) -> Iterator[str]:
    """The name of a value, with and without the suffix of the cast to float16."""
    yield name
    yield name.removesuffix("_cast_fp16")
    yield f"{name}_cast_fp16"
