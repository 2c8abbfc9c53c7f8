"""The errors of a converted program's outputs, and what errors of that size are called."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convlint.model.parity import Errors, Status
from convlint.numerics.difference import Array, as_array, distances, largest_finite, scale_of, share_of


class WrongShape(Exception):
    """An output has another shape than PyTorch's, or there are more or fewer of them."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one output adds to the errors; ``noise`` and ``signal`` are sums of ``count`` squares."""

    error: float
    scale: float
    noise: float
    signal: float
    count: int
    nonfinite: int
    misplaced: int
    poles: int


def measure(actual: Sequence[Any], expected: Sequence[Any]) -> Errors:
    """The errors of all outputs together.

    Core ML has fewer dtypes than PyTorch and no scalars: shapes that differ only by axes of one are the
    same, and dtypes do not count.
    """
    if len(actual) != len(expected):
        raise WrongShape(f"there are {len(actual)} outputs, and PyTorch gives {len(expected)}")
    parts = [_part(*_pair(one, other)) for one, other in zip(actual, expected, strict=True)]
    noise, signal = sum(part.noise for part in parts), sum(part.signal for part in parts)
    peak = max((part.scale for part in parts), default=0.0)
    return Errors(
        max((part.error for part in parts), default=0.0),
        max((share_of(part.error, part.scale) for part in parts), default=0.0),
        _decibel(signal, noise),
        _decibel(peak * peak * sum(part.count for part in parts), noise),
        sum(part.nonfinite for part in parts),
        sum(part.misplaced for part in parts),
        peak,
        sum(part.poles for part in parts),
    )


def worst(measured: Sequence[Errors]) -> Errors:
    """The worst of each measure."""
    return Errors(
        max(e.max_abs_error for e in measured),
        max(e.max_rel_error for e in measured),
        min(e.snr_db for e in measured),
        min(e.psnr_db for e in measured),
        max(e.nonfinite for e in measured),
        max(e.misplaced for e in measured),
        max(e.scale for e in measured),
        max(e.poles for e in measured),
    )


def judged(errors: Errors, tolerance: float) -> Status:
    """What errors of this size are called."""
    if errors.nonfinite:
        return "overflows"
    return "differs" if errors.misplaced or errors.max_rel_error > tolerance else "equal"


def without_poles(errors: Errors) -> Errors:
    """The same, but for the numbers where PyTorch has infinities or NaN, which are a remark."""
    return replace(errors, misplaced=errors.misplaced - errors.poles, poles=0)


def _part(actual: Array, expected: Array) -> _Part:
    apart = distances(actual, expected, program=True)
    known, finite = np.isfinite(expected), np.isfinite(actual)
    both = known & finite
    lost = np.isinf(apart) & ~known
    with np.errstate(over="ignore"):
        return _Part(
            largest_finite(apart[both]),
            scale_of(expected[both]),
            float(np.square(apart[both]).sum()),
            float(np.square(np.abs(expected[both].astype(_wide(expected)))).sum()),
            int(both.sum()),
            int((known & ~finite).sum()),
            int(lost.sum()),
            int((lost & finite).sum()),
        )


def _wide(array: Array) -> type[Any]:
    return np.complex128 if array.dtype.kind == "c" else np.float64


def _pair(left: Any, right: Any) -> tuple[Array, Array]:
    actual, expected = as_array(left), as_array(right)
    if actual.shape != expected.shape:
        if [s for s in actual.shape if s != 1] != [s for s in expected.shape if s != 1]:
            raise WrongShape(f"an output has the shape {actual.shape}, and PyTorch gives {expected.shape}")
        actual = actual.reshape(expected.shape)
    return actual, expected


def _decibel(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
