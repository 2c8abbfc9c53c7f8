"""Sums, products, extremes and differences along axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from convlint.rewrites.arithmetic import as_float
from convlint.rewrites.functions import sum_of_exponents
from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor
_LOOP = 256
"""Steps of a loop that is written out op by op; a longer one would fill the program."""


def _axes(self: Tensor, dim: Any) -> list[int]:
    if dim is None or dim == [] or self.dim() == 0:
        return list(range(self.dim()))
    axes = [dim] if isinstance(dim, int) else list(dim)
    return [axis % self.dim() for axis in axes]


@rewrite("aten.diff.default")
def diff(
    self: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The difference of two slices."""
    if n == 0:
        return self.clone()
    parts = [part for part in (prepend, self, append) if part is not None]
    out = torch.cat(parts, dim) if len(parts) > 1 else self
    for _ in range(n):
        size = out.shape[dim]
        late, early = out.narrow(dim, 1, size - 1), out.narrow(dim, 0, size - 1)
        if out.dtype is torch.bool:
            late, early = late.to(torch.int32), early.to(torch.int32)
            out = (late - early) != 0
        else:
            out = late - early
    return out


@rewrite("aten.cumsum.default")
def cumsum(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The cumulative sum with the axis counted from the front, of integers for booleans."""
    kind = dtype or (self.dtype if self.is_floating_point() else torch.int64)
    if self.dim() == 0:
        return self.to(kind)
    source = self.to(torch.int32) if kind is torch.int64 else self.to(kind)
    return torch.cumsum(source, dim % self.dim(), dtype=source.dtype).to(kind)


@rewrite("aten.cumsum.default")
def cumsum_by_matrix(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """The product with a triangle of ones."""
    kind = dtype or (self.dtype if self.is_floating_point() else torch.int64)
    size = self.shape[dim]
    triangle = torch.tensor([[float(row <= column) for column in range(size)] for row in range(size)])
    moved = self.to(torch.float32).movedim(dim, -1)
    return torch.matmul(moved, triangle).movedim(-1, dim).to(kind)


@rewrite("aten.cumprod.default")
def cumprod(self: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """Products of ever longer steps."""
    kind = dtype or (self.dtype if self.is_floating_point() else torch.int64)
    out = self.to(kind)
    if self.dim() == 0:
        return out.clone() if out is self else out
    size, step = self.shape[dim], 1
    need_numbers(size)
    while step < size:
        ones = torch.full_like(out.narrow(dim, 0, step), 1)
        out = out * torch.cat([ones, out.narrow(dim, 0, size - step)], dim)
        step *= 2
    return out


def _running(self: Tensor, dim: int, better: Any) -> tuple[Tensor, Tensor]:
    if self.dim() == 0:
        return self.clone(), torch.zeros_like(self, dtype=torch.int64)
    size = self.shape[dim]
    need_numbers(size)
    if size > _LOOP:
        raise NotApplicable(f"the axis is longer than {_LOOP}")
    shape = [1] * self.dim()
    shape[dim] = size
    places = torch.tensor(list(range(size)), dtype=torch.int32).reshape(shape).expand(self.shape)
    values, indices, step = self, places, 1
    while step < size:
        first = values.narrow(dim, 0, step), indices.narrow(dim, 0, step)
        before = values.narrow(dim, 0, size - step), indices.narrow(dim, 0, size - step)
        now = values.narrow(dim, step, size - step), indices.narrow(dim, step, size - step)
        wins = better(now[0], before[0])
        values = torch.cat([first[0], torch.where(wins, now[0], before[0])], dim)
        indices = torch.cat([first[1], torch.where(wins, now[1], before[1])], dim)
        step *= 2
    return values, indices.to(torch.int64)


@rewrite("aten.cummax.default")
def cummax(self: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Maxima of ever longer steps; of equal ones the later."""
    return _running(self, dim, lambda now, before: now >= before)


@rewrite("aten.cummin.default")
def cummin(self: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Minima of ever longer steps; of equal ones the later."""
    return _running(self, dim, lambda now, before: now <= before)


@rewrite("aten.logcumsumexp.default")
def logcumsumexp(self: Tensor, dim: int) -> Tensor:
    """Logarithms of sums of two exponentials, over ever longer steps.

    One maximum for all would leave nothing of what lies far below it, in front of it.
    """
    out = as_float(self)
    if self.dim() == 0:
        return out.clone()
    size, step = self.shape[dim], 1
    need_numbers(size)
    while step < size:
        late, early = out.narrow(dim, step, size - step), out.narrow(dim, 0, size - step)
        out = torch.cat([out.narrow(dim, 0, step), sum_of_exponents(late, early)], dim)
        step *= 2
    return out.clone() if out is self else out


@rewrite("aten.logsumexp.default")
def logsumexp(self: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The logarithm of the sum of exponentials, below the largest."""
    values = as_float(self)
    axes = _axes(self, dim)
    if not axes or self.dim() == 0:
        return values.clone()
    high = values.amax(axes, keepdim=True)
    high = torch.where(high.abs() == math.inf, torch.zeros_like(high), high)
    out = torch.log(torch.exp(values - high).sum(axes, keepdim=True)) + high
    return out if keepdim else _squeezed(out, axes)


def _squeezed(self: Tensor, axes: Sequence[int]) -> Tensor:
    shape = [size for axis, size in enumerate(self.shape) if axis not in axes]
    return self.reshape(shape)


@rewrite("aten.prod.default", "aten.prod.dim_int")
def prod(self: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Products of the halves, again and again."""
    kind = dtype or (self.dtype if self.is_floating_point() else torch.int64)
    out = self.to(kind)
    whole = dim is None
    if whole:
        out, dim = out.reshape(-1), 0
    assert dim is not None
    if self.dim() == 0:
        return out.reshape(())
    while out.shape[dim] > 1:
        size = out.shape[dim]
        half = size // 2
        pairs = out.narrow(dim, 0, half) * out.narrow(dim, half, half)
        out = torch.cat([pairs, out.narrow(dim, size - 1, 1)], dim) if size % 2 else pairs
    if whole:
        return out.reshape(())
    return out if keepdim else out.squeeze(dim)


def _moments(self: Tensor, dim: Any, correction: Any, keepdim: bool) -> tuple[Tensor, Tensor]:
    axes = _axes(self, dim)
    count = math.prod(self.shape[axis] for axis in axes)
    mean = self.mean(axes, keepdim=True)
    centred = self - mean
    left = max(count - (1 if correction is None else correction), 0)
    if not left:
        raise NotApplicable("the variance of one value is not a number")
    total = (centred * centred).sum(axes, keepdim=True) * (1.0 / left)
    if keepdim:
        return total, mean
    return _squeezed(total, axes), _squeezed(mean, axes)


@rewrite("aten.var.correction")
def var(self: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Tensor:
    """The mean of squared distances from the mean."""
    return _moments(self, dim, correction, keepdim)[0]


@rewrite("aten.var.dim", "aten.var.default")
def var_unbiased(self: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Tensor:
    """The mean of squared distances from the mean."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return _moments(self, dim, int(unbiased), keepdim)[0]


@rewrite("aten.std.correction")
def std(self: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False) -> Tensor:
    """The square root of the mean of squared distances from the mean."""
    return torch.sqrt(_moments(self, dim, correction, keepdim)[0])


@rewrite("aten.std.dim", "aten.std.default")
def std_unbiased(self: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False) -> Tensor:
    """The square root of the mean of squared distances from the mean."""
    return torch.sqrt(var_unbiased(self, dim, unbiased, keepdim))


@rewrite("aten.var_mean.correction")
def var_mean(
    self: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """The mean, and the mean of squared distances from it."""
    return _moments(self, dim, correction, keepdim)


@rewrite("aten.std_mean.correction")
def std_mean(
    self: Tensor, dim: Any = None, *, correction: Any = None, keepdim: bool = False
) -> tuple[Tensor, Tensor]:
    """The mean, and the square root of the mean of squared distances from it."""
    variance, mean = _moments(self, dim, correction, keepdim)
    return torch.sqrt(variance), mean


@rewrite("aten.linalg_vector_norm.default", "aten.norm.ScalarOpt_dim", "aten.norm.Scalar")
def vector_norm(
    self: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm by its definition."""
    order = 2.0 if ord is None else float(ord)
    values = self.to(dtype) if dtype is not None else self
    axes = _axes(values, dim)
    size = values.abs()
    if not axes:
        return (size != 0).to(values.dtype) if order == 0 else size
    if order == math.inf:
        out = size.amax(axes, keepdim=True)
    elif order == -math.inf:
        out = size.amin(axes, keepdim=True)
    elif order == 0:
        out = (size != 0).to(values.dtype).sum(axes, keepdim=True)
    elif order == 1:
        out = size.sum(axes, keepdim=True)
    elif order == 2:
        out = _root((values * values).sum(axes, keepdim=True), 2)
    else:
        out = _root(torch.pow(size, order).sum(axes, keepdim=True), order)
    return out if keepdim else _squeezed(out, axes)


def _root(sums: Tensor, order: float) -> Tensor:
    """The root of sums of powers, with no gradient at zero, as PyTorch's norms have none there.

    The root itself has an infinite one, which times that of the powers is NaN: at once where points are
    compared with themselves.
    """
    zero = sums == 0
    some = torch.where(zero, torch.ones_like(sums), sums)
    root = torch.sqrt(some) if order == 2 else torch.pow(some, 1.0 / order)
    return torch.where(zero, sums, root)


@rewrite("aten.count_nonzero.default", "aten.count_nonzero.dim_IntList")
def count_nonzero(self: Tensor, dim: Any = None) -> Tensor:
    """A sum of comparisons with 0."""
    marked = (self != 0).to(torch.int32)
    axes = _axes(self, dim)
    return (marked.sum(axes, dtype=torch.int32) if axes else marked).to(torch.int64)


def _truth(self: Tensor) -> Tensor:
    return (self if self.dtype is torch.bool else self != 0).to(torch.int32)


@rewrite("aten.any.default", "aten.any.dim", "aten.any.dims")
def any_of(self: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether the largest of the truth values is 1."""
    axes = _axes(self, dim)
    return (_truth(self).amax(axes, keepdim) if axes else _truth(self)) > 0


@rewrite("aten.all.default", "aten.all.dim", "aten.all.dims")
def all_of(self: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether the smallest of the truth values is 1."""
    axes = _axes(self, dim)
    return (_truth(self).amin(axes, keepdim) if axes else _truth(self)) > 0


@rewrite("aten.amax.default", "aten.max.default")
def amax(self: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The largest along every axis, spelled out."""
    axes = _axes(self, dim)
    return self.amax(axes, keepdim) if axes else self.clone()


@rewrite("aten.amin.default", "aten.min.default")
def amin(self: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The smallest along every axis, spelled out."""
    axes = _axes(self, dim)
    return self.amin(axes, keepdim) if axes else self.clone()


@rewrite("aten.aminmax.default")
def aminmax(self: Tensor, *, dim: int | None = None, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The smallest and the largest, each by itself."""
    axes = _axes(self, dim)
    if not axes or self.dim() == 0:
        return self.clone(), self.clone()
    return self.amin(axes, keepdim), self.amax(axes, keepdim)


@rewrite("aten.max.dim")
def max_and_place(self: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The largest, and where it stands."""
    if self.dim() == 0:
        return self.clone(), torch.zeros_like(self, dtype=torch.int64)
    return self.amax(dim, keepdim), self.argmax(dim, keepdim)


@rewrite("aten.min.dim")
def min_and_place(self: Tensor, dim: int, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """The smallest, and where it stands."""
    if self.dim() == 0:
        return self.clone(), torch.zeros_like(self, dtype=torch.int64)
    return self.amin(dim, keepdim), self.argmin(dim, keepdim)


@rewrite("aten.mean.default", "aten.mean.dim")
def mean(self: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum divided by the count."""
    values = self.to(dtype) if dtype is not None else self
    axes = _axes(self, dim)
    if not axes:
        return values.clone()
    return values.sum(axes, keepdim) / math.prod(self.shape[axis] for axis in axes)


@rewrite("aten.sum.default", "aten.sum.dim_IntList")
def sum_of_numbers(self: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum along every axis, spelled out, of integers for booleans."""
    kind = dtype or (self.dtype if self.is_floating_point() else torch.int64)
    axes = _axes(self, dim)
    values = self.to(torch.int32) if kind is torch.int64 else self.to(kind)
    return (values.sum(axes, keepdim, dtype=values.dtype) if axes else values.clone()).to(kind)


@rewrite("aten.nansum.default")
def nansum(self: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of what is a number."""
    values = torch.where(self == self, self, torch.zeros_like(self))
    return sum_of_numbers(values, dim, keepdim, dtype=dtype)


@rewrite("aten.nanmean.default")
def nanmean(self: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of what is a number, divided by its count."""
    axes = _axes(self, dim)
    number = self == self
    values = torch.where(number, self, torch.zeros_like(self))
    return values.sum(axes, keepdim) / number.to(self.dtype).sum(axes, keepdim)


@rewrite("aten.histc.default")
def histc(self: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """Comparisons of every value with the edges of every bin, summed."""
    if min == max:
        raise NotApplicable("its range depends on the values")
    values = self.reshape(-1, 1)
    width = (max - min) / bins
    place = torch.floor((values - min) / width)
    place = torch.where(values == max, torch.full_like(place, bins - 1), place)
    numbers = torch.tensor([float(number) for number in range(bins)]).reshape(1, -1).to(self.dtype)
    return (place == numbers).to(self.dtype).sum([0])
