"""The nouns of a measurement on a Mac beside a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convlint.model.placement import ComputeUnits, Unit


@dataclass(frozen=True, slots=True)
class Compared:
    """One op of the program: the unit of the plan, and what Core ML itself preferred and offered."""

    name: str
    kind: str
    planned: Unit
    preferred: Unit
    supported: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """What this Mac said. ``predict_ms`` is the median time of a prediction by compute units;
    ``unmatched`` counts ops of the compiled model that the plan has no partner for."""

    chip: str
    ops: tuple[Compared, ...]
    predict_ms: Mapping[ComputeUnits, float]
    unmatched: int = 0

    @property
    def agreement(self) -> float:
        """The share of the matched ops that run where the plan says."""
        if not self.ops:
            return 0.0
        return sum(op.planned == op.preferred for op in self.ops) / len(self.ops)
