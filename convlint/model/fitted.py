"""Numbers of a chip that its user fitted to measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from convlint.text import count

FITTED_WORDS = {
    "arithmetic": "arithmetic on the Neural Engine",
    "values": "values on the Neural Engine",
    "weights": "weights on the Neural Engine",
    "call": "the first call of an engine",
    "GPU": "the GPU",
    "CPU": "the CPU",
}
"""The times that can be fitted, in words."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Numbers of a chip that were fitted to measurements: ``factors`` are what its times are multiplied by.

    ``measurements`` counts what they were fitted to, of ``models`` models; ``date`` is when.
    """

    chip: str
    factors: Mapping[str, float]
    measurements: int
    models: int
    date: str

    def factor(self, name: str) -> float:
        """The factor of this number; 1 where the shipped number was kept."""
        return self.factors.get(name, 1.0)

    @property
    def sentence(self) -> str:
        """What was fitted to what, in a sentence."""
        names = ", ".join(f"{FITTED_WORDS.get(name, name)} x {x:.2f}" for name, x in self.factors.items())
        of = f"{count(self.measurements, 'measurement')} of {self.date}"
        return f"chip numbers fitted to {of} ({count(self.models, 'model')}): times of {names or 'nothing'}"
