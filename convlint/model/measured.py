"""The nouns of a measurement on a Mac, which is compared with a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convlint.model.placement import ComputeUnits, Unit


@dataclass(frozen=True, slots=True)
class Compared:
    """One op of the program: its unit in the plan, and the units that Core ML preferred and offered.

    ``why`` says what was wrong about the plan, where the two differ and it is known."""

    name: str
    kind: str
    planned: Unit
    preferred: Unit
    supported: tuple[Unit, ...]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurement on this Mac, or of the file ``source``.

    ``predict_ms`` has the median time of a prediction by compute units;
    ``unmatched`` counts ops of the compiled model without a partner in the plan."""

    chip: str
    ops: tuple[Compared, ...]
    predict_ms: Mapping[ComputeUnits, float]
    unmatched: int = 0
    source: str = ""

    @property
    def agreement(self) -> float:
        """The share of the matched ops that run where the plan says."""
        if not self.ops:
            return 0.0
        return sum(op.planned == op.preferred for op in self.ops) / len(self.ops)
