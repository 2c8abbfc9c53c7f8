"""Resizing as products with constant matrices, one for each axis.

Every mode that treats the axes apart is linear in the values along an axis: the rows of its matrix are
what PyTorch itself makes of the unit vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

from convlint import torch_adapter
from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor
Function = Callable[..., Tensor]
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
            columns = functional.interpolate(units, scale_factor=(scale, 1.0), mode=mode, **options)
        else:
            columns = functional.interpolate(units, size=(wanted or size, 2), mode=mode, **options)
        if wanted is not None and columns.shape[2] != wanted:
            raise NotApplicable("the size is not what the scale gives")
        return columns[:, 0, :, 0].T.contiguous()


def resized(
    self: Tensor,
    sizes: Sequence[int | None],
    mode: str,
    scales: Sequence[float | None],
    corners: bool,
    smooth: bool,
) -> Tensor:
    """The last axes resized by matrices, each to its size or by its scale."""
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


def _asked(output_size: Any, factors: Any, axes: int) -> tuple[list[int | None], list[float | None]]:
    """The sizes asked for, or the factors; what a factor comes to is PyTorch's to say."""
    if output_size is not None:
        return list(output_size), [None] * axes
    return [None] * axes, list(factors)


def _factors(scales: Sequence[float | None], named: Mapping[str, float | None], axes: int) -> list[Any]:
    """The factor of each axis, by position or by name; None for an axis that has none."""
    names = ["scales"] if axes == 1 else ["scales_d", "scales_h", "scales_w"][-axes:]
    return [*scales, *(named.get(name) for name in names[len(scales) :])]


def _nearest(self: Tensor, sizes: Sequence[int | None], scales: Sequence[float | None], mode: str) -> Tensor:
    """The nearest places, picked axis by axis."""
    out = self
    for number, wanted in enumerate(sizes):
        axis = self.dim() - len(sizes) + number
        size = self.shape[axis]
        need_numbers(size, 0 if wanted is None else wanted)
        with torch_adapter.real_tensors():
            line = torch.arange(float(size)).reshape(1, 1, size)
            if scales[number]:
                line = functional.interpolate(line, scale_factor=scales[number], mode=mode)
            else:
                line = functional.interpolate(line, size=wanted, mode=mode)
            places = [int(place) for place in line.reshape(-1).tolist()]
        if wanted is not None and len(places) != wanted:
            raise NotApplicable("the size is not what the scale gives")
        if places != list(range(size)):
            out = torch.index_select(out, axis, torch.tensor(places))
    return out.clone() if out is self else out


def _by_matrices(mode: str, smooth: bool) -> tuple[Function, Function]:
    """Both overloads of a resize that is linear along each axis."""

    def default(
        self: Tensor, output_size: Any, align_corners: bool, *scales: float | None, **named: float | None
    ) -> Tensor:
        factors = _factors(scales, named, len(output_size))
        return resized(self, output_size, mode, factors, align_corners, smooth)

    def vec(self: Tensor, output_size: Any, align_corners: bool, scale_factors: Any = None) -> Tensor:
        sizes, factors = _asked(output_size, scale_factors, self.dim() - 2)
        return resized(self, sizes, mode, factors, align_corners, smooth)

    return default, vec


def _by_places(mode: str) -> tuple[Function, Function]:
    """Both overloads of a resize that picks the nearest places."""

    def default(self: Tensor, output_size: Any, *scales: float | None, **named: float | None) -> Tensor:
        return _nearest(self, output_size, _factors(scales, named, len(output_size)), mode)

    def vec(self: Tensor, output_size: Any, scale_factors: Any = None) -> Tensor:
        return _nearest(self, *_asked(output_size, scale_factors, self.dim() - 2), mode)

    return default, vec


def _register(name: str, title: str, overloads: tuple[Function, Function], *ops: str) -> None:
    """Register both overloads of ``ops``, under ``name`` and what users read of them."""
    for function, overload, ending in zip(overloads, ("default", "vec"), ("", "_vec"), strict=True):
        function.__name__, function.__doc__ = name + ending, title
        rewrite(*(f"{op}.{overload}" for op in ops))(function)


_ONE, _TWO, _THREE = (
    "A product with a constant matrix.",
    "Two products with constant matrices.",
    "Three products with constant matrices.",
)
_PLACES = "The nearest places, picked axis by axis."

_register("linear", _ONE, _by_matrices("bilinear", False), "aten.upsample_linear1d")
_register("bilinear", _TWO, _by_matrices("bilinear", False), "aten.upsample_bilinear2d")
_register("trilinear", _THREE, _by_matrices("bilinear", False), "aten.upsample_trilinear3d")
_register("bicubic", _TWO, _by_matrices("bicubic", False), "aten.upsample_bicubic2d")
_register("smooth_bilinear", _TWO, _by_matrices("bilinear", True), "aten._upsample_bilinear2d_aa")
_register("smooth_bicubic", _TWO, _by_matrices("bicubic", True), "aten._upsample_bicubic2d_aa")
_register("nearest", _PLACES, _by_places("nearest"), *(f"aten.upsample_nearest{axes}d" for axes in (1, 2, 3)))
_register(
    "nearest_exact",
    _PLACES,
    _by_places("nearest-exact"),
    *(f"aten._upsample_nearest_exact{axes}d" for axes in (1, 2, 3)),
)
