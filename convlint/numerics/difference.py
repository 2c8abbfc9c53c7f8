"""How far numbers are from those that they should be: the one arithmetic behind every comparison.

NaN is equal to NaN at the same place, and an infinity to one of its sign. Where one of the two is finite and
the other is not, where one alone is NaN, and where infinities have other signs, the distance is infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from convlint.numerics.tolerance import HUGE

Array = np.ndarray[Any, Any]

_LARGEST = np.finfo(np.float64).max


def as_array(value: Any) -> Array:
    """The numbers of a tensor, an array or a number; dtypes that NumPy lacks become float64."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    import torch

    tensor = value.detach().cpu()
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    if tensor.layout is not torch.strided:
        tensor = tensor.to_dense()
    if tensor.is_complex():
        known = tensor.dtype in (torch.complex64, torch.complex128)
        tensor = (tensor if known else tensor.to(torch.complex64)).resolve_conj()
    elif tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32):
        tensor = tensor.double()
    array: Array = tensor.numpy(force=True)
    return array


def wide(array: Array) -> Array:
    """The same numbers with 64 bits, complex ones with 64 bits for each part."""
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64, copy=False)


def distances(actual: Any, expected: Any, *, program: bool = False) -> Array:
    """The distance of each value from the one that it should be; both have one shape.

    With ``program`` the values come from a converted program, where numbers beyond 3e38 stand for infinity.
    Integers of 64 bits that a float64 cannot tell apart are at least one apart.
    """
    left, right = as_array(actual), as_array(expected)
    if left.shape != right.shape:
        raise ValueError(f"no distance between the shapes {left.shape} and {right.shape}")
    exact = left.dtype.kind in "biu" and right.dtype.kind in "biu"
    one, other = wide(left), wide(right)
    with np.errstate(invalid="ignore", over="ignore"):
        apart: Array = np.asarray(np.minimum(np.abs(one - other), _LARGEST))
    finite = np.isfinite(one) & np.isfinite(other)
    if not finite.all():
        apart[~finite] = np.where(_same_nonfinite(one[~finite], other[~finite], program), 0.0, math.inf)
    if exact:
        apart[(left != right) & (apart == 0)] = 1.0
    return apart


def _same_nonfinite(left: Array, right: Array, program: bool) -> Array:
    if np.iscomplexobj(left) or np.iscomplexobj(right):
        return _same_nonfinite(left.real, right.real, program) & _same_nonfinite(
            left.imag, right.imag, program
        )
    same: Array = (left == right) | (np.isnan(left) & np.isnan(right))
    if program:
        same |= (np.abs(left) > HUGE) & (np.sign(left) == np.sign(right)) & np.isinf(right)
    return same


def largest_finite(apart: Array) -> float:
    """The largest of the distances that are finite."""
    return float(np.max(apart, initial=0.0, where=np.isfinite(apart)))


def scale_of(expected: Any) -> float:
    """The largest finite magnitude among the values, 0 where there is none."""
    return largest_finite(np.asarray(np.abs(wide(as_array(expected)))))


def place_of_largest(apart: Array) -> tuple[int, ...]:
    """Where the largest distance is, the first of equal ones."""
    return tuple(int(axis) for axis in np.unravel_index(int(apart.argmax()), apart.shape))


def share_of(error: float, scale: float, of_zeros: float = 0.0) -> float:
    """An error relative to the largest value, or to ``of_zeros`` where all values are zero."""
    if error == 0:
        return 0.0
    scale = scale or of_zeros
    return error / scale if scale > 0 else math.inf


@dataclass(frozen=True, slots=True)
class Difference:
    """How far the tensors that a module returns are from those that it should return.

    ``largest`` is the largest distance of finite values, ``share`` the same relative to the largest value of
    its tensor. ``problem`` is what no tolerance covers: another number of tensors, another shape or dtype,
    infinities and NaN in other places.
    """

    largest: float = 0.0
    share: float = 0.0
    problem: str = ""

    def beyond(self, tolerance: float) -> str:
        """How the two differ where the tolerance does not cover it, else empty."""
        if self.problem or self.share <= tolerance:
            return self.problem
        if math.isinf(self.share):
            return f"it differs by {self.largest:.3g} where all values are zero"
        return f"it differs by {self.largest:.3g}, {self.share:.2g} of the largest value"


def difference(actual: Sequence[Any], expected: Sequence[Any], *, of_zeros: float = 0.0) -> Difference:
    """The difference of the tensors that a module returns from those that another one returns.

    Both are PyTorch's, so shapes and dtypes must be the same.
    """
    if len(actual) != len(expected):
        return Difference(problem=f"it returns {len(actual)} tensors, the original {len(expected)}")
    largest = share = 0.0
    for one, other in zip(actual, expected, strict=True):
        if one.shape != other.shape:
            shapes = f"it returns the shape {list(one.shape)}, the original {list(other.shape)}"
            return Difference(problem=shapes)
        if one.dtype != other.dtype:
            return Difference(problem=f"it returns {one.dtype}, the original {other.dtype}")
        apart = distances(one, other)
        if np.isinf(apart).any():
            return Difference(problem=_nonfinite_problem(apart, one, other))
        error = largest_finite(apart)
        largest = max(largest, error)
        share = max(share, share_of(error, scale_of(other), of_zeros))
    return Difference(largest, share)


def _nonfinite_problem(apart: Array, actual: Any, expected: Any) -> str:
    place = place_of_largest(apart)
    one, other = as_array(actual)[place], as_array(expected)[place]
    what = (
        "infinite or NaN in both and not the same"
        if not (np.isfinite(one) or np.isfinite(other))
        else "finite in one and not in the other"
    )
    where = f"{one} in the place of {other}" + (f" at {list(place)}" if place else "")
    return f"{int(np.isinf(apart).sum())} of {apart.size} values are {what}, first {where}"
