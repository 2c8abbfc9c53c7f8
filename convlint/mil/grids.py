"""Sampling points of ops that resample an axis, and the values at these points.

The five sampling modes are defined in the documentation of ``resize_bilinear``; ``crop_resize`` uses them
inside a box, where ``size`` is the length of the box in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convlint.mil.failures import UnsupportedOperation


def sampling_points(start: Tensor, end: Tensor, count: int, mode: str) -> Tensor:
    """``count`` points between the pixels ``start`` and ``end`` (of any shape), along a new last axis."""
    steps = torch.arange(count, dtype=torch.float32)
    first, span = start.unsqueeze(-1), (end - start).unsqueeze(-1)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if count == 1:
            return first + (span / 2 if mode == "ALIGN_CORNERS" else 0 * span)
        return first + steps * (span / (count - 1))
    if mode == "DEFAULT":
        return first + steps * ((span + 1) / count)
    if mode == "OFFSET_CORNERS":
        return first + (steps + 0.5) * (span.clamp(min=1) / count)
    if mode == "UNALIGN_CORNERS":
        return first + (steps + 0.5) * ((span + 1) / count) - 0.5
    raise UnsupportedOperation(f"{mode!r} is not a sampling mode of MIL.")


def box_points(start: Tensor, end: Tensor, count: int, mode: str) -> Tensor:
    """The points of boxes, none of which is outside its box, whatever the spacing.

    "All the methods [come] with the constraint that grid points have to lie in the interval":
    https://apple.github.io/coremltools/mlmodel/Format/NeuralNetwork.html#samplingmode
    """
    low, high = torch.minimum(start, end).unsqueeze(-1), torch.maximum(start, end).unsqueeze(-1)
    return sampling_points(start, end, count, mode).clamp(low, high)


def axis_points(size: int, count: int, mode: str) -> Tensor:
    """The points that resizing one axis from ``size`` to ``count`` reads, all inside it."""
    ends = torch.zeros(()), torch.full((), float(size - 1))
    return sampling_points(*ends, count, mode).clamp(0, size - 1)


def interpolated(x: Tensor, axis: int, points: Tensor) -> Tensor:
    """``x`` read linearly at fractional positions of one axis, all of which lie inside it."""
    below = points.floor().long().clamp(0, x.shape[axis] - 1)
    above = (below + 1).clamp(max=x.shape[axis] - 1)
    share = (points - below).to(x.dtype).reshape(-1, *[1] * (x.dim() - 1 - axis % x.dim()))
    low = x.index_select(axis, below)
    if bool((share == 0).all()):
        return low
    return torch.lerp(low, x.index_select(axis, above), share)
