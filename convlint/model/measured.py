"""The nouns of a measurement on a Mac, which is compared with a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convlint.model.placement import ComputeUnits, Unit


@dataclass(frozen=True, slots=True)
class Compared:
    """One op of the program: its unit in the plan, and the units that Core ML preferred and offered.

    ``allowed`` are the units that offer it by the plan's rules. ``planned_ms`` is its estimate, ``told_ms``
    its share of the measured prediction by Core ML's own estimate, None where that is not told.
    """

    name: str
    kind: str
    planned: Unit
    preferred: Unit
    supported: tuple[Unit, ...]
    allowed: tuple[Unit, ...] = ()
    planned_ms: float = 0.0
    told_ms: float | None = None

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
    """The measurement on this Mac, or the one in the file that ``chip`` names. ``predict_ms`` has the median
    time of a prediction by compute units; ``unmatched`` counts ops of the compiled model without a partner in
    the plan. ``device`` and ``system`` are what was measured, as the file names it."""

    chip: str
    ops: tuple[Compared, ...]
    predict_ms: Mapping[ComputeUnits, float]
    unmatched: int = 0
    device: str = ""
    system: str = ""

    @property
    def kinds_ms(self) -> dict[str, tuple[float, float]]:
        """For each kind of op its estimates in all, and its share of the measured prediction."""
        found: dict[str, tuple[float, float]] = {}
        for op in self.ops:
            if op.told_ms is not None:
                mine, theirs = found.get(op.kind, (0.0, 0.0))
                found[op.kind] = (mine + op.planned_ms, theirs + op.told_ms)
        return found

    @property
    def agreement(self) -> float:
        """The share of the matched ops that run where the plan says."""
        if not self.ops:
            return 0.0
        return sum(op.planned == op.preferred for op in self.ops) / len(self.ops)
