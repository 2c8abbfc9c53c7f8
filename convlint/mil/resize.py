"""Resizing of the trailing axes, and cropping."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from convlint.mil.grids import axis_points, interpolated


def _nearest(x: Tensor, axis: int, count: int, *, centres: bool = True) -> Tensor:
    """Nearest-neighbour resizing: each output takes the pixel under its centre, or under its start.

    The documentation names no rounding. TensorFlow's resize is mapped to ``upsample_nearest_neighbor``
    without half-pixel centres and to the other ops with them, and coremltools' tests agree:
    https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/tensorflow/ops.py
    """
    size = x.shape[axis]
    if size == count:
        return x
    positions = torch.arange(count, dtype=torch.float64) + (0.5 if centres else 0.0)
    return x.index_select(axis, (positions * size / count).floor().long().clamp(0, size - 1))


def _linear(x: Tensor, sizes: Sequence[int], mode: str) -> Tensor:
    """The last ``len(sizes)`` axes resized one after the other."""
    for axis, count in zip(range(-len(sizes), 0), sizes, strict=True):
        points = axis_points(x.shape[axis], count, mode)
        if x.shape[axis] != count or not torch.equal(points, torch.arange(float(count))):
            x = interpolated(x, axis + x.dim(), points)
    return x


def _scaled(size: int, factor: float) -> int:
    return math.floor(factor * size)


def upsample_nearest_neighbor(
    x: Tensor, scale_factor_height: float = 1, scale_factor_width: float = 1
) -> Tensor:
    """Resize by sizes, not by factors, as in coremltools' own test of 3 pixels and a factor of 1.12."""
    out = _nearest(x, -2, _scaled(x.shape[-2], scale_factor_height), centres=False)
    return _nearest(out, -1, _scaled(x.shape[-1], scale_factor_width), centres=False)


def resize_nearest_neighbor(x: Tensor, target_size_height: int, target_size_width: int) -> Tensor:
    return _nearest(_nearest(x, -2, target_size_height), -1, target_size_width)


def upsample_bilinear(
    x: Tensor,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> Tensor:
    """Resize with a scale from the sizes, as PyTorch does with ``recompute_scale_factor=True``."""
    sizes = (_scaled(x.shape[-2], scale_factor_height), _scaled(x.shape[-1], scale_factor_width))
    if align_corners:
        return _linear(x, sizes, "STRICT_ALIGN_CORNERS")
    centres = True if half_pixel_centers is None else half_pixel_centers
    return _linear(x, sizes, "UNALIGN_CORNERS" if centres else "DEFAULT")


def resize_bilinear(
    x: Tensor, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT"
) -> Tensor:
    return _linear(x, (target_size_height, target_size_width), sampling_mode)


def resize(
    x: Tensor,
    shape: Tensor,
    resized_dims: int,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Tensor:
    """Resize the last ``resized_dims`` axes; a zero in ``shape`` keeps the size of the input."""
    if resized_dims == 0:
        return x
    sizes = [
        int(size) or x.shape[axis]
        for axis, size in zip(range(-resized_dims, 0), shape.tolist()[-resized_dims:], strict=True)
    ]
    if interpolation_mode == "LINEAR":
        return _linear(x.float(), sizes, sampling_mode)
    for axis, count in zip(range(-resized_dims, 0), sizes, strict=True):
        if sampling_mode in ("DEFAULT", "UNALIGN_CORNERS"):
            x = _nearest(x, axis, count)
        else:
            points = axis_points(x.shape[axis], count, sampling_mode)
            x = x.index_select(axis, (points + 0.5).floor().long().clamp(max=x.shape[axis] - 1))
    return x


def crop(x: Tensor, crop_height: Sequence[int], crop_width: Sequence[int]) -> Tensor:
    (top, bottom), (left, right) = crop_height, crop_width
    return x[..., top : x.shape[-2] - bottom, left : x.shape[-1] - right]


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "crop": crop,
    "resize": resize,
    "resize_bilinear": resize_bilinear,
    "resize_nearest_neighbor": resize_nearest_neighbor,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest_neighbor,
}
