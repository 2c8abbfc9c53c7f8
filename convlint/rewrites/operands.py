"""Operands as MIL takes them: masks as integers, and indices that are whole and as wide as the tensor.

https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/mil/ops/defs/iOS15/scatter_gather.py
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor


def _numbers(self: Tensor) -> Tensor:
    if self.dtype is not torch.bool:
        raise NotApplicable("it is no mask")
    return self.to(torch.int32)


def _whole(index: Tensor) -> Tensor:
    """The index as integers in coremltools too, which may hold it as floats."""
    return index.to(torch.int32).to(torch.int64)


def _cut(tensor: Tensor, sizes: Sequence[int], but: int = -1) -> Tensor:
    """The beginning of each axis, ``but`` one, as far as ``sizes`` go."""
    for axis, size in enumerate(sizes):
        known = isinstance(size, int) and isinstance(tensor.shape[axis], int)
        if axis != but and known and tensor.shape[axis] != size:
            tensor = tensor.narrow(axis, 0, size)
    return tensor


def _put_back(part: Tensor, whole: Tensor) -> Tensor:
    """The tensor with its beginning replaced by ``part``."""
    for axis, size in enumerate(whole.shape):
        have = part.shape[axis]
        if isinstance(size, int) and isinstance(have, int) and have != size:
            sizes = [size if each == axis else part.shape[each] for each in range(whole.dim())]
            part = torch.cat([part, _cut(whole, sizes).narrow(axis, have, size - have)], axis)
    return part


def _axis(self: Tensor, dim: int, index: Tensor) -> int:
    if self.dim() == 0 or index.dim() != self.dim():
        raise NotApplicable("a tensor without axes")
    return dim % self.dim()


@rewrite("aten.gather.default")
def gather_of_integers(self: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """The index, and a mask, as integers; what no index names is cut off."""
    values = _numbers(self) if self.dtype is torch.bool else self
    found = torch.gather(_cut(values, index.shape, _axis(self, dim, index)), dim, _whole(index))
    return found != 0 if self.dtype is torch.bool else found


@rewrite("aten.index_select.default")
def select_of_integers(self: Tensor, dim: int, index: Tensor) -> Tensor:
    """The index, and a mask, as integers."""
    values = _numbers(self) if self.dtype is torch.bool else self
    found = torch.index_select(values, dim, _whole(index))
    return found != 0 if self.dtype is torch.bool else found


@rewrite("aten.scatter.value")
def scatter_number_by_integers(self: Tensor, dim: int, index: Tensor, value: float) -> Tensor:
    """The index, and a mask, as integers; written into the part that the index spans."""
    values = _numbers(self) if self.dtype is torch.bool else self
    number = int(bool(value)) if self.dtype is torch.bool else value
    part = torch.scatter(_cut(values, index.shape, _axis(self, dim, index)), dim, _whole(index), number)
    made = _put_back(part, values)
    return made != 0 if self.dtype is torch.bool else made


@rewrite("aten.scatter.src")
def scatter_by_integers(self: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """The index, and a mask, as integers; written into the part that the index spans."""
    values = _numbers(self) if self.dtype is torch.bool else self
    written = _cut(src, index.shape).to(values.dtype)
    part = torch.scatter(_cut(values, index.shape, _axis(self, dim, index)), dim, _whole(index), written)
    made = _put_back(part, values)
    return made != 0 if self.dtype is torch.bool else made


@rewrite("aten.roll.default")
def roll_mask(self: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> Tensor:
    """The mask rolled as integers."""
    return torch.roll(_numbers(self), tuple(shifts), tuple(dims)) != 0


@rewrite("aten.amax.default")
def amax_of_mask(self: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Tensor:
    """The maximum of the mask as integers."""
    return torch.amax(_numbers(self), tuple(dim), keepdim) != 0


@rewrite("aten.amin.default")
def amin_of_mask(self: Tensor, dim: Sequence[int] = (), keepdim: bool = False) -> Tensor:
    """The minimum of the mask as integers."""
    return torch.amin(_numbers(self), tuple(dim), keepdim) != 0


@rewrite("aten.max.dim")
def max_of_mask(self: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The maximum of the mask as integers, with its place."""
    values, places = torch.max(_numbers(self), dim, keepdim)
    return values != 0, places


@rewrite("aten.min.dim")
def min_of_mask(self: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The minimum of the mask as integers, with its place."""
    values, places = torch.min(_numbers(self), dim, keepdim)
    return values != 0, places


@rewrite("aten.cumprod.default")
def product_of_mask(self: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Tensor:
    """The running product of the mask, the smallest so far, as integers."""
    return torch.cumprod(_numbers(self).to(torch.float32), dim).to(dtype or torch.int64)
