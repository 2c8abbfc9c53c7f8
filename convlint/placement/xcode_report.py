"""Reads a performance report of Xcode: a folder ``NAME.mlperf`` with a ``report.json``.

Apple documents no form. This is that of a report of an iPhone 16 Pro that a project published:
https://github.com/troobit/medata/tree/b2b87a1/specs/estimation/segmenter-foundation/artifacts/spike_segformer-you.mlperf
Samples of predictions are seconds; of each op it has the preferred and the offered devices, and a weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Any

from convlint.model.placement import ComputeUnits, Unit
from convlint.placement.dumped import Dump, DumpedOp, is_time, op_of

REPORT = "report.json"
_COMPUTE_UNITS: tuple[ComputeUnits, ...] = ("cpu", "cpu+gpu", "all", "cpu+ane")
"""By the number of ``MLComputeUnits``: https://developer.apple.com/documentation/coreml/mlcomputeunits"""
_UNITS: dict[str, Unit] = {"neuralEngine": "ANE", "gpu": "GPU", "cpu": "CPU"}


def is_report(data: Any) -> bool:
    """Whether this JSON is such a report."""
    return isinstance(data, dict) and isinstance(data.get("deviceResults"), dict)


def of_report(data: dict[str, Any]) -> Dump:
    """The ops, the median prediction, the device and the system that the report tells."""
    results = data["deviceResults"]
    device, number = data.get("deviceInfo"), data.get("computeUnit")
    told = device if isinstance(device, dict) else {}
    samples = _at(results, "predict", "samples")
    times = [each for each in samples if is_time(each)] if isinstance(samples, list) else []
    return Dump(
        tuple(_ops(results)),
        _COMPUTE_UNITS[number] if isinstance(number, int) and 0 <= number < len(_COMPUTE_UNITS) else None,
        1e3 * median(times) if times else None,
        device=str(told.get("modelName") or ""),
        system=str(told.get("osNameAndVersionWithoutBuildNumber") or ""),
    )


def _ops(results: dict[str, Any]) -> Iterator[DumpedOp]:
    functions = _at(results, "modelStructure", "program", "_0", "functions")
    for function in functions.values() if isinstance(functions, dict) else ():
        operations = _at(function, "block", "operations")
        for operation in operations if isinstance(operations, list) else ():
            usage, outputs = _at(operation, "deviceUsage"), _at(operation, "outputs")
            if not isinstance(usage, dict):  # a constant has none
                continue
            offered = usage.get("supported")
            units = [_unit(each) for each in offered] if isinstance(offered, list) else []
            name = _at(outputs[0], "name") if isinstance(outputs, list) and outputs else ""
            weight = _at(operation, "cost", "weight")
            yield from op_of(
                operation.get("operatorName"),
                name,
                _unit(usage.get("preferred")),
                units,
                float(weight) if is_time(weight) else 0.0,
            )


def _unit(device: Any) -> Unit | None:
    kinds = _at(device, "deviceType")
    return next((_UNITS[kind] for kind in kinds if kind in _UNITS), None) if isinstance(kinds, dict) else None


def _at(value: Any, *keys: str) -> Any:
    """What stands under these keys, None where something of it is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
