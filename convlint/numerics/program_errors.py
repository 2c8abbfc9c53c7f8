"""The errors of a converted program's outputs, and what errors of that size are called."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convlint.model.parity import Errors, Status
from convlint.numerics.difference import Array, as_array, distances, share_of, wide


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
    sizes = np.abs(wide(expected)).reshape(-1)
    known, finite = np.isfinite(sizes), np.isfinite(actual).reshape(-1)
    apart = apart.reshape(-1)
    if known.all() and finite.all():
        return _Part(*_finite_part(apart, sizes), 0, 0, 0)
    both, lost = known & finite, np.isinf(apart) & ~known
    return _Part(
        *_finite_part(apart[both], sizes[both]),
        int((known & ~finite).sum()),
        int(lost.sum()),
        int((lost & finite).sum()),
    )


def _finite_part(apart: Array, sizes: Array) -> tuple[float, float, float, float, int]:
    """The largest distance and size, the sums of their squares, and how many there are."""
    with np.errstate(over="ignore"):
        noise, signal = float(np.dot(apart, apart)), float(np.dot(sizes, sizes))
    return float(apart.max(initial=0.0)), float(sizes.max(initial=0.0)), noise, signal, apart.size


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
