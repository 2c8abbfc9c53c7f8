"""Measures of the distance between two sets of arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from convlint.model.parity import Errors, Status

_HUGE = 3e38
"""Numbers beyond stand for infinity: the TorchScript frontend writes 3.4e38 where a constant is infinite.

https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/ops.py
"""


class WrongShape(Exception):
    """An output has another shape than PyTorch's."""


def measure(found: Sequence[Any], expected: Sequence[Any]) -> Errors:
    """The errors of ``found``; shapes that differ only by axes of one are the same."""
    pairs = [_pair(left, right) for left, right in zip(found, expected, strict=True)]
    worst_abs = worst_rel = noise = signal = peak = 0.0
    nonfinite = misplaced = poles = count = 0
    for left, right in pairs:
        known = np.isfinite(right)
        nonfinite += int((~np.isfinite(left) & known).sum())
        other = ~known & ~_same_nonfinite(left, right)
        misplaced += int(other.sum())
        poles += int((other & np.isfinite(left)).sum())
        both = known & np.isfinite(left)
        if not both.any():
            continue
        difference = left[both] - right[both]
        scale = float(np.abs(right[both]).max())
        error = float(np.abs(difference).max())
        worst_abs = max(worst_abs, error)
        worst_rel = max(worst_rel, _ratio(error, scale))
        noise += float(np.square(difference).sum())
        signal += float(np.square(right[both]).sum())
        peak = max(peak, scale)
        count += int(both.sum())
    return Errors(
        worst_abs,
        worst_rel,
        _decibel(signal, noise),
        _decibel(peak * peak * count, noise),
        nonfinite,
        misplaced,
        peak,
        poles,
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


def _pair(left: Any, right: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    found, wanted = (np.asarray(value).astype(np.float64) for value in (left, right))
    if found.shape != wanted.shape:
        if [s for s in found.shape if s != 1] != [s for s in wanted.shape if s != 1]:
            raise WrongShape(f"an output has the shape {found.shape}, and PyTorch gives {wanted.shape}")
        found = found.reshape(wanted.shape)
    return found, wanted


def _same_nonfinite(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Infinities of the same sign, where coremltools' 3.4e38 counts as one, and NaN."""
    huge = (np.abs(left) > _HUGE) & (np.sign(left) == np.sign(right)) & np.isinf(right)
    same: np.ndarray[Any, Any] = huge | (np.isnan(left) & np.isnan(right))
    return same


def _ratio(error: float, scale: float) -> float:
    if error == 0:
        return 0.0
    return error / scale if scale > 0 else math.inf


def _decibel(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
