"""Fits a few numbers of one chip to measured predictions, and says how well that does on other models.

A number is a factor of a time: of arithmetic, values or weights on the Neural Engine, of a call, of the GPU,
of the CPU. A factor is taken only where it helps on models that it was not fitted to, and all of them only
where the whole search does: each model is left out in turn, and planned with what the others give.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from convlint.model.calibrated import Calibrated, MeasuredTime
from convlint.model.fitted import Fitted
from convlint.model.placement import ComputeUnits
from convlint.placement.estimate import ARITHMETIC, CALL, EACH, FACTORS, ON_CPU, ON_GPU, VALUES, WEIGHTS

LEAST_MODELS = 3
"""Of fewer models none can be left out, and the others still tell two causes apart."""
LARGEST = 8.0
"""The most that a factor may be, or one by it: beyond that the measurement is of something else."""
_BETTER = 0.95
"""A further factor must bring the error on unseen models below this part of what it was."""
_DRIFT = 0.05
"""How strongly a factor is drawn to 1, where the measurements say little of it."""

_Parts = tuple[float, float, float]
_Factors = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured prediction with the parts of its plan, all by the shipped numbers, in milliseconds.

    ``on_ane`` counts the ops of the Neural Engine by their arithmetic, values and weights; ``fixed`` is what
    no factor moves. ``key`` is the model: its samples are left out together.
    """

    key: str
    file: str
    model: str
    compute_units: ComputeUnits
    milliseconds: float
    on_ane: Mapping[_Parts, int]
    on_gpu: float
    on_cpu: float
    calls: float
    fixed: float

    def predict(self, factors: _Factors) -> float:
        """Milliseconds with these factors."""
        a, v, w = (factors.get(name, 1.0) for name in (ARITHMETIC, VALUES, WEIGHTS))
        engine = sum(
            number * max(parts[0] * a, parts[1] * v, parts[2] * w) for parts, number in self.on_ane.items()
        )
        others = self.on_gpu * factors.get(ON_GPU, 1.0) + self.on_cpu * factors.get(ON_CPU, 1.0)
        return engine + others + self.calls * factors.get(CALL, 1.0) + self.fixed

    def error(self, factors: _Factors) -> float:
        """How far off, as the size of a logarithm."""
        return abs(math.log(self.predict(factors) / self.milliseconds))


def parts_of(ops: Sequence[Mapping[str, float]]) -> tuple[Counter[_Parts], float]:
    """Ops of the Neural Engine counted by what they take, and what each of them costs in all."""
    found = [parts for parts in ops if parts]
    kinds = Counter((parts[ARITHMETIC], parts[VALUES], parts[WEIGHTS]) for parts in found)
    return kinds, sum(parts[EACH] for parts in found)


def calibrate(chip: str, samples: Sequence[Sample], date: str) -> Calibrated:
    """The fit of one chip; without factors where it is no better on models that it has not seen."""
    groups = _groups(samples)
    unseen: dict[int, float] = {}
    for key, own in groups.items():
        factors = _fit([sample for sample in samples if sample.key != key])
        unseen |= {id(sample): sample.predict(factors) for sample in own}
    times = tuple(
        MeasuredTime(
            sample.file,
            sample.model,
            sample.compute_units,
            sample.milliseconds,
            sample.predict({}),
            unseen[id(sample)],
        )
        for sample in samples
    )
    nothing = Fitted(chip, {}, len(samples), len(groups), date)
    found = Calibrated(chip, times, nothing)
    if found.after >= found.before:
        return found
    factors = {name: round(value, 3) for name, value in _fit(samples).items()}
    return Calibrated(chip, times, Fitted(chip, factors, len(samples), len(groups), date))


def _groups(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.key, []).append(sample)
    return groups


def _fit(samples: Sequence[Sample]) -> dict[str, float]:
    """The factors that help on models left out, taken one by one, and their values for all samples."""
    names: tuple[str, ...] = ()
    least = _left_out(samples, names)
    while True:
        rest = [name for name in FACTORS if name not in names and _moves(samples, name)]
        tried = [(_left_out(samples, (*names, name)), name) for name in rest]
        if not tried or min(tried)[0] >= _BETTER * least:
            return _values(samples, names)
        least, name = min(tried)
        names = (*names, name)


def _moves(samples: Sequence[Sample], name: str) -> bool:
    """Whether the samples depend on this factor at all."""
    return any(sample.predict({name: 2.0}) != sample.predict({}) for sample in samples)


def _left_out(samples: Sequence[Sample], names: Sequence[str]) -> float:
    """The mean error of each model with values of these factors that were fitted to the others."""
    errors = []
    for key, own in _groups(samples).items():
        values = _values([sample for sample in samples if sample.key != key], names)
        errors.append(sum(sample.error(values) for sample in own) / len(own))
    return sum(errors) / len(errors)


def _values(samples: Sequence[Sample], names: Sequence[str]) -> dict[str, float]:
    """The values of these factors with the smallest error, by descent along each; every model counts the
    same."""
    groups = list(_groups(samples).values())

    def loss(factors: _Factors) -> float:
        errors = sum(sum(sample.error(factors) for sample in own) / len(own) for own in groups)
        return errors + _DRIFT * sum(math.log(value) ** 2 for value in factors.values())

    best = dict.fromkeys(names, 1.0)
    least, step = loss(best), 0.5
    while names and step > 0.01:
        better = False
        for name in names:
            for turn in (math.exp(step), math.exp(-step)):
                value = min(max(best[name] * turn, 1 / LARGEST), LARGEST)
                if (found := loss(best | {name: value})) < least - 1e-9:
                    best, least, better = best | {name: value}, found, True
        if not better:
            step /= 2
    return best
