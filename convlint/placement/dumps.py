"""Reads what a Mac said of a model: where Core ML's compute plan puts each op.

Three forms are known. JSON of anemll-profile, whose ``ordered_placements`` its source names:
https://github.com/Anemll/anemll-profile. JSON with ``operations``, each with ``operator``, ``preferred`` and
``supported``: https://github.com/erwinzhang7/coreml-compute-placement/tree/80cdd66/results/residency.
Lines of model, index, operator, name, preferred and supported, with tabs between them:
https://github.com/751K/Apple-Neural-Engine-Microarchitecture-Study-M6/tree/5cb462b/data/03_compile/opdispatch
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlint.errors import FileError
from convlint.model.measured import Compared, Measured
from convlint.model.placement import UNITS, ComputeUnits, Plan, Unit

UNIT_WORDS: dict[str, ComputeUnits] = {
    "ALL": "all",
    "CPU_ONLY": "cpu",
    "CPU_AND_GPU": "cpu+gpu",
    "CPU_AND_NE": "cpu+ane",
}
_FORMS = (
    "known are JSON of anemll-profile, JSON with operations that have operator, preferred and supported, and "
    "lines of model, index, operator, name, preferred and supported with tabs between them"
)


@dataclass(frozen=True, slots=True)
class DumpedOp:
    """One op of a compiled model. ``kind`` is the MIL op type, ``name`` that of its value, "" if not told."""

    kind: str
    name: str
    preferred: Unit
    supported: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Dump:
    """Every op of one model that Core ML placed; ``compute_units`` where the file says them."""

    ops: tuple[DumpedOp, ...]
    compute_units: ComputeUnits | None = None


def read_dump(path: Path) -> Dump:
    """The dump in this file; a FileError for what is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError([f"{path}: cannot be read: {error}"]) from error
    try:
        data = json.loads(text) if text.lstrip().startswith(("{", "[")) else None
    except json.JSONDecodeError as error:
        raise FileError([f"{path}:{error.lineno}: not JSON: {error.msg}"]) from error
    dump = _of_json(data) if data is not None else Dump(tuple(_of_lines(text.splitlines())))
    if not dump.ops:
        raise FileError([f"{path}: no ops with a unit in it; {_FORMS}"])
    return dump


def compare_with_dump(plan: Plan, dump: Dump, source: str) -> Measured:
    """The ops of the plan beside those of the dump: of one name, else the first of a kind with the first."""
    named = {op.name: op for op in dump.ops if op.name}
    waiting: dict[str, deque[DumpedOp]] = defaultdict(deque)
    for op in dump.ops:
        waiting[op.kind].append(op)
    compared = []
    taken: set[int] = set()
    for mine in plan.ops:
        theirs = named.get(mine.name) or named.get(f"{mine.name}_cast_fp16")
        if theirs is None or theirs.kind != mine.kind:
            left = waiting[mine.kind]
            while left and id(left[0]) in taken:
                left.popleft()
            theirs = left[0] if left else None
        if theirs is None or id(theirs) in taken:
            continue
        taken.add(id(theirs))
        compared.append(
            Compared(mine.name, mine.kind, mine.unit, theirs.preferred, theirs.supported, mine.allowed)
        )
    return Measured(source, tuple(compared), {}, len(dump.ops) - len(compared))


def _of_json(data: Any) -> Dump:
    if isinstance(data, list):
        return Dump(tuple(_ops(data)))
    if not isinstance(data, dict):
        return Dump(())
    placements = data.get("ordered_placements")
    if isinstance(placements, list):
        return _of_anemll(data, placements)
    units = data.get("compute_units")
    known = UNIT_WORDS.get(units) if isinstance(units, str) else None
    operations = data.get("operations")
    return Dump(tuple(_ops(operations)) if isinstance(operations, list) else (), known)


def _of_anemll(data: dict[str, Any], placements: list[Any]) -> Dump:
    """A report of anemll-profile, which was asked for all units or for CPU and Neural Engine.

    It tells of the Neural Engine alone whether it was offered; what Core ML chose, it offered.
    """
    compute = data.get("compute")
    everything = isinstance(compute, dict) and bool(compute.get("compute_units_all"))
    entries = [
        {
            "operator": placed.get("type"),
            "name": placed.get("name"),
            "preferred": placed.get("device"),
            "supported": ("CPU", placed.get("device"), *(("ANE",) if placed.get("ane_supported") else ())),
        }
        for placed in placements
        if isinstance(placed, dict)
    ]
    return Dump(tuple(_ops(entries)), "all" if everything else "cpu+ane")


def _ops(entries: Iterable[Any]) -> Iterable[DumpedOp]:
    for entry in entries:
        if isinstance(entry, dict):
            supported = entry.get("supported") or ()
            yield from _op(entry.get("operator"), entry.get("name"), entry.get("preferred"), supported)


def _of_lines(lines: Iterable[str]) -> Iterable[DumpedOp]:
    for line in lines:
        cells = line.split("\t")
        if len(cells) >= 6:
            yield from _op(cells[2], cells[3], cells[4], cells[5].split(","))


def _op(operator: Any, name: Any, preferred: Any, supported: Iterable[Any]) -> Iterable[DumpedOp]:
    """The op, unless Core ML said no unit of it, as it does of constants."""
    unit = next((unit for unit in UNITS if unit == preferred), None)
    if not isinstance(operator, str) or unit is None:
        return
    kind = operator.partition(".")[2] if operator.startswith("ios") else operator
    found = set(supported)
    yield DumpedOp(kind, str(name or ""), unit, tuple(each for each in UNITS if each in found))
