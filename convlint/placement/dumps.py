"""Reads what a Mac said of a model: where Core ML puts each op, and how long a prediction takes.

Known are a performance report of Xcode (:mod:`convlint.placement.xcode_report`), a plan with a measurement
that convlint wrote, and: JSON of anemll-profile, whose ``ordered_placements`` its source names:
https://github.com/Anemll/anemll-profile. JSON with ``operations``, each with ``operator``, ``preferred`` and
``supported``: https://github.com/erwinzhang7/coreml-compute-placement/tree/80cdd66/results/residency. The
``Measurement`` of coremltools' ``MLModelBenchmarker`` as ``dataclasses.asdict`` gives it, alone or as
``predict`` beside such operations:
https://github.com/apple/coremltools/blob/9.0/coremltools/models/ml_program/experimental/perf_utils.py. Lines
of model, index, operator, name, preferred and supported, with tabs between them:
https://github.com/751K/Apple-Neural-Engine-Microarchitecture-Study-M6/tree/5cb462b/data/03_compile/opdispatch
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from convlint.errors import FileError
from convlint.model.measured import Compared, Measured
from convlint.model.placement import COMPUTE_UNITS, ComputeUnits, Plan
from convlint.placement.dumped import Dump, DumpedOp, is_time, op_of
from convlint.placement.xcode_report import REPORT, is_report, of_report

UNIT_WORDS: dict[str, ComputeUnits] = {
    "ALL": "all",
    "CPU_ONLY": "cpu",
    "CPU_AND_GPU": "cpu+gpu",
    "CPU_AND_NE": "cpu+ane",
}
_FORMS = (
    "known are a performance report of Xcode (a folder with a report.json), a plan with a measurement as"
    " convlint writes it, a Measurement of coremltools' MLModelBenchmarker as JSON, JSON of anemll-profile,"
    " JSON with operations that have operator, preferred and supported, and lines of model, index, operator,"
    " name, preferred and supported with tabs between them"
)


def read_dump(path: Path) -> Dump:
    """The dump in this file, or in this folder of Xcode; a FileError for what is none."""
    if path.is_dir():
        path = path / REPORT
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError([f"{path}: cannot be read: {error}"]) from error
    try:
        data = json.loads(text) if text.lstrip().startswith(("{", "[")) else None
    except json.JSONDecodeError as error:
        raise FileError([f"{path}:{error.lineno}: not JSON: {error.msg}"]) from error
    except RecursionError as error:
        raise FileError([f"{path}: cannot be read: it is nested too deep"]) from error
    if data is None:
        dump = Dump(tuple(_of_lines(text.splitlines())))
    else:
        dump = of_report(data) if is_report(data) else _of_json(data)
    if not (dump.ops or dump.milliseconds or dump.times):
        raise FileError([f"{path}: no ops with a unit in it, and no time of a prediction; {_FORMS}"])
    return dump


def compare_with_dump(plan: Plan, dump: Dump, source: str) -> Measured:
    """The ops of the plan beside those of the dump: of one name, else the first of a kind with the first.

    Whole predictions are compared for each choice of units that was timed.
    """
    timed = dict(dump.times)
    if dump.milliseconds is not None:
        timed[dump.compute_units or plan.compute_units] = dump.milliseconds
    total = timed.get(plan.compute_units)
    weights = sum(op.weight for op in dump.ops)
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
            Compared(
                mine.name, mine.kind, mine.unit, theirs.preferred, theirs.supported, mine.allowed,
                mine.latency_ms.mid, theirs.weight / weights * total if weights and total else None,
            )
        )  # fmt: skip
    return Measured(source, tuple(compared), timed, len(dump.ops) - len(compared), dump.device, dump.system)


def _of_json(data: Any) -> Dump:
    if isinstance(data, list):
        return Dump(tuple(_ops(data)))
    if not isinstance(data, dict):
        return Dump(())
    placements = data.get("ordered_placements")
    if isinstance(placements, list):
        return _of_anemll(data, placements)
    if isinstance(measured := data.get("measured") or data.get("compared"), dict):
        return _of_plan(measured)
    units = data.get("compute_units")
    known = UNIT_WORDS.get(units) if isinstance(units, str) else None
    operations = data.get("operations")
    predicted = data.get("predict", data if "samples" in data else None)
    ops = tuple(_ops(operations)) if isinstance(operations, list) else ()
    return Dump(ops, known, _median(predicted))


def _of_plan(measured: dict[str, Any]) -> Dump:
    """The measurement in the JSON of a plan."""
    told, ops = measured.get("predict_ms"), measured.get("ops")
    times = {words: told.get(words) for words in COMPUTE_UNITS} if isinstance(told, dict) else {}
    entries = ops if isinstance(ops, list) else ()
    return Dump(
        tuple(_ops({**op, "operator": op.get("kind")} for op in entries if isinstance(op, dict))),
        times={words: ms for words, ms in times.items() if ms is not None and is_time(ms)},
    )


def _median(measurement: Any) -> float | None:
    """The median milliseconds of a ``Measurement``: of its statistics, else of its samples."""
    if not isinstance(measurement, dict):
        return None
    statistics, samples = measurement.get("statistics"), measurement.get("samples")
    told = statistics.get("median") if isinstance(statistics, dict) else None
    if is_time(told):
        return float(told)
    times = [each for each in samples if is_time(each)] if isinstance(samples, list) else []
    return float(median(times)) if times else None


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
            "cost": placed.get("cost"),
        }
        for placed in placements
        if isinstance(placed, dict)
    ]
    told = data.get("measured_prediction")
    average = told.get("average_ms") if isinstance(told, dict) else None
    return Dump(
        tuple(_ops(entries)), "all" if everything else "cpu+ane", float(average) if is_time(average) else None
    )


def _ops(entries: Iterable[Any]) -> Iterable[DumpedOp]:
    for entry in entries:
        if isinstance(entry, dict):
            supported, cost = entry.get("supported") or (), entry.get("cost")
            weight = float(cost) if is_time(cost) else 0.0
            yield from op_of(
                entry.get("operator"), entry.get("name"), entry.get("preferred"), supported, weight
            )


def _of_lines(lines: Iterable[str]) -> Iterable[DumpedOp]:
    for line in lines:
        cells = line.split("\t")
        if len(cells) >= 6:
            yield from op_of(cells[2], cells[3], cells[4], cells[5].split(","))
