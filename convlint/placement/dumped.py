"""What a Mac said of a model: its ops with their units, and how long a prediction took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from convlint.model.placement import UNITS, ComputeUnits, Unit


@dataclass(frozen=True, slots=True)
class DumpedOp:
    """One op of a compiled model. ``kind`` is the MIL op type, ``name`` that of its value, "" if not told.

    ``weight`` is the share of the whole that Core ML's own estimate gives it, 0 if not told.
    """

    kind: str
    name: str
    preferred: Unit
    supported: tuple[Unit, ...]
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Dump:
    """What was said of one model: every op that Core ML placed, and how long a prediction took.

    ``compute_units`` are those of both, where the file says them. ``milliseconds`` is the median of
    predictions with them, None if not told; ``times`` has those of several choices of units. ``device`` and
    ``system`` are as the file names them.
    """

    ops: tuple[DumpedOp, ...]
    compute_units: ComputeUnits | None = None
    milliseconds: float | None = None
    times: Mapping[ComputeUnits, float] = field(default_factory=dict)
    device: str = ""
    system: str = ""


def is_time(value: Any) -> TypeGuard[float]:
    """Whether this can be a time: a number above 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def op_of(
    operator: Any, name: Any, preferred: Any, supported: Any, weight: float = 0.0
) -> Iterable[DumpedOp]:
    """The op, unless Core ML said no unit of it, as it does of constants."""
    unit = next((unit for unit in UNITS if unit == preferred), None)
    if not isinstance(operator, str) or unit is None:
        return
    kind = operator.partition(".")[2] if operator.startswith("ios") else operator
    found = (
        [each for each in supported if isinstance(each, str)] if isinstance(supported, list | tuple) else ()
    )
    yield DumpedOp(kind, str(name or ""), unit, tuple(each for each in UNITS if each in found), weight)
