"""The nouns of a fit of a chip's numbers to what was measured on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from convlint.model.fitted import Fitted
from convlint.model.placement import ComputeUnits


@dataclass(frozen=True, slots=True)
class MeasuredTime:
    """One measured prediction, beside what is planned with the shipped numbers, and with numbers that were
    fitted without this model. ``file`` is where it is from."""

    file: str
    model: str
    compute_units: ComputeUnits
    milliseconds: float
    shipped_ms: float
    unseen_ms: float


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The fit of one chip. ``fitted`` has no factors where the shipped numbers are as good."""

    chip: str
    times: tuple[MeasuredTime, ...]
    fitted: Fitted

    @property
    def before(self) -> float:
        """How far off the shipped numbers are: a factor less 1, so that twice and half are both 1."""
        return error_of([(time.shipped_ms, time.milliseconds) for time in self.times])

    @property
    def after(self) -> float:
        """How far off a fit is on models that it has not seen."""
        return error_of([(time.unseen_ms, time.milliseconds) for time in self.times])


def error_of(pairs: Sequence[tuple[float, float]]) -> float:
    """The geometric mean of the factors between the two numbers of each pair, less 1."""
    return math.exp(sum(abs(math.log(mine / told)) for mine, told in pairs) / len(pairs)) - 1
