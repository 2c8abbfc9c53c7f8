"""The nouns of a measurement on a Mac, which is compared with a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convlint.model.placement import ComputeUnits, Unit


@dataclass(frozen=True, slots=True)
class Compared:
    """One op of the program: its unit in the plan, and the units that Core ML preferred and offered.

    ``allowed`` are the units that offer it by the plan's rules.
    """

    name: str
    kind: str
    planned: Unit
    preferred: Unit
    supported: tuple[Unit, ...]
    allowed: tuple[Unit, ...] = ()

    @property
    def why(self) -> str:
        """Why the plan differs, as far as the two lists of units tell; "" where it does not."""
        if self.planned == self.preferred:
            return ""
        if self.preferred not in self.allowed:
            return f"a rule of the plan refuses what Core ML offers on the {self.preferred}"
        if self.supported and self.planned not in self.supported:
            return f"Core ML does not offer it on the {self.planned}, and the plan has no rule for that"
        return "both offer it: Core ML rates the time of the op, or of the changes around it, otherwise"


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurement on this Mac. ``predict_ms`` has the median time of a prediction by compute units;
    ``unmatched`` counts ops of the compiled model without a partner in the plan."""

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
