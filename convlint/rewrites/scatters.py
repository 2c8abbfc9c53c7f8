"""Writing by place: reductions into places, masks and diagonals."""

from __future__ import annotations

import math

import torch

from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor
_TABLE = 1 << 22
"""Elements of a comparison table beyond which a rewrite by comparison is no help."""


@rewrite("aten.scatter_reduce.two", "aten.scatter_add.default")
def scatter_reduce(
    self: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str = "sum", *, include_self: bool = True
) -> Tensor:
    """Every place compared with every index, and reduced."""
    rank = self.dim()
    if rank == 0:
        one = scatter_reduce(
            self.reshape(1), 0, index.reshape(-1), src.reshape(-1), reduce, include_self=include_self
        )
        return one.reshape(())
    need_numbers(*index.shape, *self.shape)
    if math.prod(index.shape) * self.shape[dim] > _TABLE:
        raise NotApplicable("a table of all places would be too large")
    own = self.movedim(dim, -1)
    block = index.movedim(dim, -1)
    source = src[tuple(slice(0, length) for length in index.shape)].movedim(dim, -1)
    front = own
    for axis in range(rank - 1):
        front = front.narrow(axis, 0, block.shape[axis])
    out = _reduced_into(front, block, source, reduce, include_self)
    for axis in reversed(range(rank - 1)):  # what lies beyond the index keeps its values
        whole, reached = own.shape[axis], block.shape[axis]
        if whole != reached:
            rest = own.narrow(axis, reached, whole - reached)
            for other in range(axis):
                rest = rest.narrow(other, 0, block.shape[other])
            out = torch.cat([out, rest], axis)
    return out.movedim(-1, dim)


def _reduced_into(own: Tensor, index: Tensor, source: Tensor, reduce: str, include_self: bool) -> Tensor:
    """``source`` reduced into the last axis of ``own``, at the places that ``index`` names."""
    size, rank = own.shape[-1], own.dim()
    kind = own.dtype if own.is_floating_point() else torch.int32
    numbers = torch.tensor(list(range(size)), dtype=torch.int32)
    here = index.unsqueeze(-1) == numbers.to(index.dtype)  # (..., from, to)
    values, before = source.to(kind).unsqueeze(-1), own.to(kind)
    count = here.to(kind).sum([rank - 1], dtype=kind)
    if reduce in ("sum", "mean"):
        total = torch.where(here, values, torch.zeros_like(values)).sum([rank - 1], dtype=kind)
        out = (before if include_self else torch.where(count > 0, torch.zeros_like(before), before)) + total
        if reduce == "mean":
            shares = count + 1 if include_self else torch.where(count > 0, count, torch.ones_like(count))
            out = out / shares if own.is_floating_point() else torch.floor_divide(out, shares)
    elif reduce == "prod":
        factors, left = torch.where(here, values, torch.ones_like(values)), index.shape[-1]
        while left > 1:  # products of the halves, again and again
            half = left // 2
            pairs = factors.narrow(-2, 0, half) * factors.narrow(-2, half, half)
            factors = torch.cat([pairs, factors.narrow(-2, left - 1, 1)], -2) if left % 2 else pairs
            left = half + left % 2
        out = factors.squeeze(-2)
        out = before * out if include_self else torch.where(count > 0, out, before)
    else:
        best = _extreme(torch.where(here, values, _worst(kind, reduce)), reduce)
        join = torch.maximum if reduce == "amax" else torch.minimum
        out = torch.where(count > 0, join(best, before) if include_self else best, before)
    return out != 0 if own.dtype is torch.bool else out.to(own.dtype)


def _worst(kind: torch.dtype, reduce: str) -> Tensor:
    if reduce not in ("amax", "amin"):
        raise NotApplicable(f"reduce is {reduce}")
    if kind.is_floating_point:
        value = -math.inf if reduce == "amax" else math.inf
        return torch.full((1,), value, dtype=kind).reshape(())
    limit = torch.iinfo(kind)
    return torch.full((1,), limit.min if reduce == "amax" else limit.max, dtype=kind).reshape(())


def _extreme(values: Tensor, reduce: str) -> Tensor:
    axis = values.dim() - 2
    return values.amax([axis]) if reduce == "amax" else values.amin([axis])


@rewrite("aten.index_reduce.default")
def index_reduce(
    self: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """The index spread over the source, every place compared with it, and reduced."""
    if self.dim() == 0:
        return scatter_reduce(self, 0, index, source, reduce, include_self=include_self)
    shape = [1] * source.dim()
    shape[dim] = -1
    spread = index.reshape(shape).expand(source.shape)
    return scatter_reduce(self, dim, spread, source, reduce, include_self=include_self)


@rewrite("aten.masked_scatter.default")
def masked_scatter(self: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """The source picked by how many places of the mask were set before."""
    shape = torch.broadcast_shapes(self.shape, mask.shape)
    own, wide = self.expand(shape), mask.expand(shape)
    flat = wide.reshape(-1)
    place = torch.cumsum(flat.to(torch.int32), 0, dtype=torch.int32) - 1
    place = torch.clamp(place, min=0, max=source.numel() - 1)
    picked = torch.index_select(source.reshape(-1), 0, place).reshape(shape)
    return torch.where(wide, picked, own)


def _on_diagonal(rows: int, columns: int, offset: int) -> Tensor:
    return torch.tensor([[column - row == offset for column in range(columns)] for row in range(rows)])


@rewrite("aten.diagonal_scatter.default")
def diagonal_scatter(self: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal matrix where the diagonal is, the tensor elsewhere."""
    moved = self.movedim((dim1, dim2), (-2, -1))
    rows, columns = moved.shape[-2:]
    need_numbers(rows, columns)
    first = max(-offset, 0)
    order = torch.tensor([min(max(row - first, 0), src.shape[-1] - 1) for row in range(rows)])
    spread = torch.index_select(src, src.dim() - 1, order).unsqueeze(-1).expand(moved.shape)
    out = torch.where(_on_diagonal(rows, columns, offset), spread.to(self.dtype), moved)
    return out.movedim((-2, -1), (dim1, dim2))


@rewrite("aten.diag_embed.default")
def diag_embed(self: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The values where the diagonal is, 0 elsewhere."""
    length = self.shape[-1]
    need_numbers(length)
    size, first = length + abs(offset), max(-offset, 0)
    order = torch.tensor([min(max(row - first, 0), length - 1) for row in range(size)])
    spread = torch.index_select(self, self.dim() - 1, order).unsqueeze(-1)
    zero = torch.full((1,), False if self.dtype is torch.bool else 0, dtype=self.dtype).reshape(())
    here = _on_diagonal(size, size, offset)
    out = torch.logical_and(here, spread) if self.dtype is torch.bool else torch.where(here, spread, zero)
    return out.movedim((-2, -1), (dim1, dim2))


@rewrite("aten.diagonal.default", "aten.diagonal_copy.default")
def diagonal(self: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """Every so-many-th element of the flattened matrix."""
    moved = self.movedim((dim1, dim2), (-2, -1))
    rows, columns = moved.shape[-2:]
    first = offset if offset >= 0 else -offset * columns
    count = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    flat = moved.reshape([*moved.shape[:-2], rows * columns])
    wanted = torch.tensor([first + place * (columns + 1) for place in range(count)])
    return torch.index_select(flat, flat.dim() - 1, wanted)
