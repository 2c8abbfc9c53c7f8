"""Resizing as products with constant matrices, one for each axis.

Every mode that treats the axes apart is linear in the values along an axis: the rows of its matrix are
what PyTorch itself makes of the unit vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from convlint import torch_adapter
from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor
_LARGEST = 1 << 22
"""Elements of a matrix beyond which the product is no help."""


def _matrix(
    size: int, wanted: int | None, mode: str, scale: float | None, corners: bool, smooth: bool
) -> Tensor:
    """What the mode does to ``size`` values along an axis: (wanted, size)."""
    if size * (wanted or size) > _LARGEST:
        raise NotApplicable("the matrix of an axis would be too large")
    options: dict[str, Any] = {}
    if mode in ("bilinear", "bicubic"):
        options = {"align_corners": corners, "antialias": smooth}
    with torch_adapter.real_tensors():
        # Two columns: some kernels of PyTorch take another way, with other results, for a single one.
        units = torch.eye(size).reshape(size, 1, size, 1).expand(size, 1, size, 2).contiguous()
        if scale:
            made = functional.interpolate(units, scale_factor=(scale, 1.0), mode=mode, **options)
        else:
            made = functional.interpolate(units, size=(wanted or size, 2), mode=mode, **options)
        if wanted is not None and made.shape[2] != wanted:
            raise NotApplicable("the size is not what the scale gives")
        return made[:, 0, :, 0].T.contiguous()


def _resized(
    self: Tensor,
    sizes: Sequence[int | None],
    mode: str,
    scales: Sequence[float | None],
    corners: bool,
    smooth: bool,
) -> Tensor:
    out = self
    first = self.dim() - len(sizes)
    for number in reversed(range(len(sizes))):
        axis, wanted = first + number, sizes[number]
        size = self.shape[axis]
        need_numbers(size, 0 if wanted is None else wanted)
        matrix = _matrix(size, wanted, mode, scales[number], corners, smooth).to(self.dtype)
        if axis == self.dim() - 1:
            out = torch.matmul(out, matrix.T.contiguous())
        elif axis == self.dim() - 2:
            out = torch.matmul(matrix, out)
        else:
            out = torch.matmul(matrix, out.flatten(axis + 1)).unflatten(-1, out.shape[axis + 1 :])
    return out


def _sizes(output_size: Any, factors: Any, axes: int) -> tuple[list[int | None], list[float | None]]:
    """The sizes asked for, or the factors; what a factor comes to is PyTorch's to say."""
    if output_size is not None:
        return list(output_size), [None] * axes
    return [None] * axes, list(factors)


@rewrite("aten.upsample_bicubic2d.default")
def bicubic(
    self: Tensor,
    output_size: Sequence[int],
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> Tensor:
    """Two products with constant matrices."""
    return _resized(self, output_size, "bicubic", [scales_h, scales_w], align_corners, False)


@rewrite("aten.upsample_bicubic2d.vec")
def bicubic_vec(self: Tensor, output_size: Any, align_corners: bool, scale_factors: Any = None) -> Tensor:
    """Two products with constant matrices."""
    sizes, scales = _sizes(output_size, scale_factors, 2)
    return _resized(self, sizes, "bicubic", scales, align_corners, False)


@rewrite("aten._upsample_bicubic2d_aa.default")
def smooth_bicubic(
    self: Tensor,
    output_size: Sequence[int],
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> Tensor:
    """Two products with constant matrices."""
    return _resized(self, output_size, "bicubic", [scales_h, scales_w], align_corners, True)


@rewrite("aten._upsample_bilinear2d_aa.default")
def smooth_bilinear(
    self: Tensor,
    output_size: Sequence[int],
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> Tensor:
    """Two products with constant matrices."""
    return _resized(self, output_size, "bilinear", [scales_h, scales_w], align_corners, True)


@rewrite("aten._upsample_bicubic2d_aa.vec")
def smooth_bicubic_vec(
    self: Tensor, output_size: Any, align_corners: bool, scale_factors: Any = None
) -> Tensor:
    """Two products with constant matrices."""
    sizes, scales = _sizes(output_size, scale_factors, 2)
    return _resized(self, sizes, "bicubic", scales, align_corners, True)


@rewrite("aten._upsample_bilinear2d_aa.vec")
def smooth_bilinear_vec(
    self: Tensor, output_size: Any, align_corners: bool, scale_factors: Any = None
) -> Tensor:
    """Two products with constant matrices."""
    sizes, scales = _sizes(output_size, scale_factors, 2)
    return _resized(self, sizes, "bilinear", scales, align_corners, True)


@rewrite("aten.upsample_bilinear2d.default")
def bilinear(
    self: Tensor,
    output_size: Sequence[int],
    align_corners: bool,
    scales_h: float | None = None,
    scales_w: float | None = None,
) -> Tensor:
    """Two products with constant matrices."""
    return _resized(self, output_size, "bilinear", [scales_h, scales_w], align_corners, False)


@rewrite("aten.upsample_bilinear2d.vec")
def bilinear_vec(self: Tensor, output_size: Any, align_corners: bool, scale_factors: Any = None) -> Tensor:
    """Two products with constant matrices."""
    sizes, scales = _sizes(output_size, scale_factors, 2)
    return _resized(self, sizes, "bilinear", scales, align_corners, False)


@rewrite("aten.upsample_linear1d.default")
def linear(
    self: Tensor, output_size: Sequence[int], align_corners: bool, scales: float | None = None
) -> Tensor:
    """A product with a constant matrix."""
    return _resized(self, output_size, "bilinear", [scales], align_corners, False)


@rewrite("aten.upsample_linear1d.vec")
def linear_vec(self: Tensor, output_size: Any, align_corners: bool, scale_factors: Any = None) -> Tensor:
    """A product with a constant matrix."""
    sizes, scales = _sizes(output_size, scale_factors, 1)
    return _resized(self, sizes, "bilinear", scales, align_corners, False)


@rewrite("aten.upsample_trilinear3d.vec")
def trilinear_vec(self: Tensor, output_size: Any, align_corners: bool, scale_factors: Any = None) -> Tensor:
    """Three products with constant matrices."""
    sizes, scales = _sizes(output_size, scale_factors, 3)
    return _resized(self, sizes, "bilinear", scales, align_corners, False)


@rewrite("aten.upsample_trilinear3d.default")
def trilinear(self: Tensor, output_size: Sequence[int], align_corners: bool, *scales: float | None) -> Tensor:
    """Three products with constant matrices."""
    return _resized(self, output_size, "bilinear", [*scales, None, None, None][:3], align_corners, False)


def _nearest(
    self: Tensor, sizes: Sequence[int | None], scales: Sequence[float | None], exact: bool
) -> Tensor:
    """The nearest places, picked axis by axis."""
    out = self
    mode = "nearest-exact" if exact else "nearest"
    for number, wanted in enumerate(sizes):
        axis = self.dim() - len(sizes) + number
        size = self.shape[axis]
        need_numbers(size, 0 if wanted is None else wanted)
        with torch_adapter.real_tensors():
            line = torch.arange(float(size)).reshape(1, 1, size)
            if scales[number]:
                made = functional.interpolate(line, scale_factor=scales[number], mode=mode)
            else:
                made = functional.interpolate(line, size=wanted, mode=mode)
            places = [int(place) for place in made.reshape(-1).tolist()]
        if wanted is not None and len(places) != wanted:
            raise NotApplicable("the size is not what the scale gives")
        if places != list(range(size)):
            out = torch.index_select(out, axis, torch.tensor(places))
    return out.clone() if out is self else out


@rewrite("aten._upsample_nearest_exact1d.default", "aten._upsample_nearest_exact2d.default",
         "aten._upsample_nearest_exact3d.default")  # fmt: skip
def nearest_exact(self: Tensor, output_size: Sequence[int], *scales: float | None) -> Tensor:
    """The nearest places, picked axis by axis."""
    return _nearest(self, output_size, [*scales, None, None, None], True)


@rewrite("aten._upsample_nearest_exact1d.vec", "aten._upsample_nearest_exact2d.vec",
         "aten._upsample_nearest_exact3d.vec")  # fmt: skip
def nearest_exact_vec(self: Tensor, output_size: Any, scale_factors: Any = None) -> Tensor:
    """The nearest places, picked axis by axis."""
    axes = self.dim() - 2
    sizes, scales = _sizes(output_size, scale_factors, axes)
    return _nearest(self, sizes, scales, True)


@rewrite(
    "aten.upsample_nearest1d.default", "aten.upsample_nearest2d.default", "aten.upsample_nearest3d.default"
)
def nearest(self: Tensor, output_size: Sequence[int], *scales: float | None) -> Tensor:
    """The nearest places, picked axis by axis."""
    return _nearest(self, output_size, [*scales, None, None, None], False)


@rewrite("aten.upsample_nearest1d.vec", "aten.upsample_nearest2d.vec", "aten.upsample_nearest3d.vec")
def nearest_vec(self: Tensor, output_size: Any, scale_factors: Any = None) -> Tensor:
    """The nearest places, picked axis by axis."""
    axes = self.dim() - 2
    sizes, scales = _sizes(output_size, scale_factors, axes)
    return _nearest(self, sizes, scales, False)
