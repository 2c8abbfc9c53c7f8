"""Core ML itself, where it exists: the example through ``predict`` on each compute unit, on macOS alone.

Written after coremltools' documentation and not yet run on Apple hardware by anybody:
https://apple.github.io/coremltools/docs-guides/source/model-prediction.html
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from convlint.model.parity import DeviceRun
from convlint.numerics.conversion import Converted
from convlint.numerics.program_errors import WrongShape, judged, measure
from convlint.text import single_line

UNITS = ("CPU_ONLY", "CPU_AND_GPU", "CPU_AND_NE")


def has_core_ml() -> bool:
    """Whether coremltools can predict here."""
    return sys.platform == "darwin"


def device_runs(
    converted: Converted, inputs: Mapping[str, Any], wanted: Sequence[Any], tolerance: float
) -> tuple[DeviceRun, ...]:
    """How far Core ML is from the model, by compute unit; empty where there is no Core ML."""
    return tuple(_run(converted, unit, inputs, wanted, tolerance) for unit in UNITS if has_core_ml())


def _run(
    converted: Converted, unit: str, inputs: Mapping[str, Any], wanted: Sequence[Any], tolerance: float
) -> DeviceRun:
    import coremltools as ct

    options = {**converted.options, "convert_to": "mlprogram", "compute_units": getattr(ct.ComputeUnit, unit)}
    try:
        model = ct.convert(converted.model, **options)
        outputs = model.predict({name: _array(value) for name, value in inputs.items()})
        errors = measure([outputs[name] for name in list(outputs)[: len(wanted)]], wanted)
    except WrongShape as error:
        return DeviceRun(unit, "differs", detail=str(error))
    except Exception as error:  # Core ML refuses in many ways
        return DeviceRun(unit, "unsupported", detail=single_line(error, 300))
    return DeviceRun(unit, judged(errors, tolerance), errors)


def _array(value: Any) -> Any:
    """Core ML takes 32-bit numbers."""
    import numpy as np

    array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
