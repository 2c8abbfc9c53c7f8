"""Reading and writing by place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor
_TABLE = 1 << 22
"""Elements of a comparison table beyond which a rewrite by comparison is no help."""


def _places(size: int, rank: int, dim: int) -> Tensor:
    shape = [1] * rank
    shape[dim] = size
    return torch.tensor(list(range(size)), dtype=torch.int32).reshape(shape)


def _chosen(self: Tensor, dim: int, wanted: Sequence[int]) -> Tensor:
    """1.0 at the places along ``dim`` that are wanted, as booleans that broadcast."""
    shape = [1] * self.dim()
    shape[dim] = self.shape[dim]
    marks = set(wanted)
    return torch.tensor([place in marks for place in range(self.shape[dim])]).reshape(shape)


@rewrite("aten.select_scatter.default")
def select_scatter(self: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """What lies before, the new slice, and what lies behind, put together."""
    place = index % self.shape[dim]
    return slice_scatter(self, src.unsqueeze(dim), dim, place, place + 1)


@rewrite("aten.slice_scatter.default")
def slice_scatter(
    self: Tensor, src: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Tensor:
    """What lies before, the new slice, and what lies behind, put together."""
    if any(isinstance(size, int) and size == 0 for size in (*self.shape, *src.shape)):
        return self.clone()  # nothing is written
    size = self.shape[dim]
    first, last, _ = slice(start, end, 1).indices(size)
    src = src.to(self.dtype)
    if step == 1:
        parts = [self.narrow(dim, 0, first), src, self.narrow(dim, max(first, last), size - max(first, last))]
        parts = [part for part in parts if part.shape[dim] > 0]
        return torch.cat(parts, dim) if len(parts) > 1 else parts[0].clone()
    wanted = list(range(first, last, step))
    order = [wanted.index(place) if place in wanted else 0 for place in range(size)]
    spread = torch.index_select(src, dim, torch.tensor(order))
    return torch.where(_chosen(self, dim, wanted), spread, self)


def one_hot_of(index: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """1 at (n, index[n]) for a list of indices, 0 elsewhere: (N, size)."""
    if index.numel() * size > _TABLE:
        raise NotApplicable("a table of all places would be too large")
    at = index.reshape(-1, 1)
    at = torch.where(at < 0, at + size, at)
    return (at == _places(size, 2, 1).to(at.dtype)).to(dtype)


@rewrite("aten.index_add.default")
def index_add(self: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: float = 1) -> Tensor:
    """A matrix product that adds up what goes to the same place."""
    if not self.dim():
        return self + source.reshape(()) * alpha
    kind = self.dtype if self.is_floating_point() else torch.int32
    marks = one_hot_of(index, self.shape[dim], kind)
    added = torch.matmul(source.to(kind).movedim(dim, -1), marks).movedim(-1, dim).to(self.dtype)
    return self + (added if alpha == 1 else added * alpha)


@rewrite("aten.index_copy.default")
def index_copy(self: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """A matrix product where something is copied to, the tensor elsewhere."""
    if not self.dim():
        return source.reshape(()).to(self.dtype)
    kind = self.dtype if self.is_floating_point() else torch.int32
    marks = one_hot_of(index, self.shape[dim], kind)
    spread = torch.matmul(source.to(kind).movedim(dim, -1), marks).movedim(-1, dim)
    spread = spread != 0 if self.dtype is torch.bool else spread.to(self.dtype)
    shape = [1] * self.dim()
    shape[dim] = self.shape[dim]
    touched = marks.sum([0]).reshape(shape) > 0
    return torch.where(touched, spread, self)


@rewrite("aten.index_fill.int_Scalar", "aten.index_fill.int_Tensor")
def index_fill(self: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """The value where an index points to, the tensor elsewhere."""
    shape = [1] * self.dim()
    shape[dim] = self.shape[dim]
    touched = one_hot_of(index, self.shape[dim], torch.float32).sum([0]).reshape(shape) > 0
    filled = value.to(self.dtype) if isinstance(value, Tensor) else torch.full((1,), value, dtype=self.dtype)
    return torch.where(touched, filled.reshape(()), self)


@rewrite("aten.scatter.value")
def scatter_value(self: Tensor, dim: int, index: Tensor, value: complex) -> Tensor:
    """The number written as a float, as the tensor has floats."""
    if not self.is_floating_point() or not isinstance(value, int):
        raise NotApplicable("the number is of the kind of the tensor")
    return torch.scatter(self, dim, index, float(value))


@rewrite("aten.take_along_dim.default")
def take_along_dim(self: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """torch.gather of expanded tensors."""
    if dim is None:
        return take_along_dim(self.reshape(-1), indices.reshape(-1), 0)
    indices = torch.where(indices < 0, indices + self.shape[dim], indices)
    shape = [max(one, two) for one, two in zip(self.shape, indices.shape, strict=True)]
    one, two = list(shape), list(shape)
    one[dim], two[dim] = self.shape[dim], indices.shape[dim]
    return torch.gather(self.expand(one), dim, indices.expand(two))


@rewrite("aten.take.default")
def take(self: Tensor, index: Tensor) -> Tensor:
    """torch.index_select of the flattened tensor."""
    index = torch.where(index < 0, index + self.numel(), index)
    return torch.index_select(self.reshape(-1), 0, index.reshape(-1)).reshape(index.shape)


def _count_below(values: Any, edges: Tensor, right: bool, int32: bool) -> Tensor:
    wanted = values if isinstance(values, Tensor) else torch.full((1,), values, dtype=edges.dtype).reshape(())
    below = (edges <= wanted.unsqueeze(-1)) if right else (edges < wanted.unsqueeze(-1))
    total = below.to(torch.int32).sum([-1], dtype=torch.int32)
    return total if int32 else total.to(torch.int64)


@rewrite("aten.bucketize.Tensor", "aten.bucketize.Scalar")
def bucketize(self: Any, boundaries: Tensor, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """How many boundaries lie below, by comparing with each."""
    return _count_below(self, boundaries, right, out_int32)


@rewrite("aten.searchsorted.Tensor", "aten.searchsorted.Scalar")
def searchsorted_by_comparison(
    sorted_sequence: Tensor,
    self: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """How many elements of the sequence lie below, by comparing with each."""
    if sorter is not None:
        raise NotApplicable("it is given a sorter")
    edges = sorted_sequence if sorted_sequence.dim() == 1 else sorted_sequence.unsqueeze(-2)
    return _count_below(self, edges, right or side == "right", out_int32)


@rewrite("aten.roll.default")
def roll(self: Tensor, shifts: Sequence[int], dims: Sequence[int] = ()) -> Tensor:
    """The end of an axis put before its beginning."""
    if not dims:
        flat = self.reshape(-1)
        return roll(flat, shifts, [0]).reshape(self.shape)
    out = self
    for shift, dim in zip(shifts, dims, strict=True):
        size = out.shape[dim]
        gone = shift % size if size else 0
        if gone:
            out = torch.cat([out.narrow(dim, size - gone, gone), out.narrow(dim, 0, size - gone)], dim)
    return out.clone() if out is self else out


@rewrite("aten.flip.default")
def flip(self: Tensor, dims: Sequence[int]) -> Tensor:
    """The elements of the axes picked in reverse."""
    out = self
    for dim in dims:
        size = out.shape[dim]
        out = torch.index_select(out, dim, torch.tensor(list(range(size - 1, -1, -1))))
    return out.clone() if out is self else out


@rewrite("aten.repeat_interleave.self_int")
def repeat_interleave(
    self: Tensor, repeats: int, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """A new axis of copies, merged into its neighbour."""
    if dim is None:
        return repeat_interleave(self.reshape(-1), repeats, 0)
    axis = dim % self.dim()
    shape = list(self.shape)
    wide = self.unsqueeze(axis + 1).expand([*shape[: axis + 1], repeats, *shape[axis + 1 :]])
    return wide.reshape([*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :]])


def _triangle(self: Tensor, keeps: Any) -> Tensor:
    rows, columns = self.shape[-2], self.shape[-1]
    need_numbers(rows, columns)
    if rows * columns > _TABLE:
        raise NotApplicable("the matrix is too large")
    row = torch.tensor(list(range(rows)), dtype=torch.int32).reshape(rows, 1)
    column = torch.tensor(list(range(columns)), dtype=torch.int32).reshape(1, columns)
    inside = keeps(column - row)
    zero = torch.full((1,), False if self.dtype is torch.bool else 0, dtype=self.dtype).reshape(())
    if self.dtype is torch.bool:
        return torch.logical_and(self, inside)
    return torch.where(inside, self, zero)


@rewrite("aten.tril.default")
def tril(self: Tensor, diagonal: int = 0) -> Tensor:
    """0 where the column lies beyond the row."""
    return _triangle(self, lambda beyond: beyond <= diagonal)


@rewrite("aten.triu.default")
def triu(self: Tensor, diagonal: int = 0) -> Tensor:
    """0 where the row lies beyond the column."""
    return _triangle(self, lambda beyond: beyond >= diagonal)


@rewrite("aten.trace.default")
def trace(self: Tensor) -> Tensor:
    """The sum of the diagonal."""
    here = torch.tensor([[row == column for column in range(self.shape[1])] for row in range(self.shape[0])])
    return torch.where(here, self, torch.zeros_like(self)).sum([0, 1])


@rewrite("aten.as_strided.default")
def as_strided(
    self: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """The elements picked from the flattened tensor, in the longest runs that all places share."""
    flat = _as_it_lies(self)
    offset, dense, outer = storage_offset or 0, 1, list(zip(size, stride, strict=True))
    while outer and (outer[-1][1] == dense or outer[-1][0] == 1):
        dense *= outer.pop()[0]
    grain = math.gcd(dense, offset, flat.numel(), *(step for length, step in outer if length > 1)) or 1
    if math.prod(size) > grain * _TABLE:
        raise NotApplicable("it picks too many elements one by one")
    picked = [offset // grain]
    for length, step in [*((length, step // grain) for length, step in outer), (dense // grain, 1)]:
        picked = [start + step * place for start in picked for place in range(length)]
    if picked == list(range(flat.numel() // grain)):
        return flat.reshape(list(size))
    return torch.index_select(flat.reshape(-1, grain), 0, torch.tensor(picked)).reshape(list(size))


def _as_it_lies(tensor: Tensor) -> Tensor:
    """The elements in the order of memory, where they lie there without a gap."""
    steps = tensor.stride()
    order = sorted(range(tensor.dim()), key=lambda axis: (-steps[axis], axis))
    lying = tensor.permute(order)
    if not lying.is_contiguous() or tensor.storage_offset():
        raise NotApplicable("the tensor has gaps in memory, or does not begin where its memory does")
    return lying.reshape(-1)


@rewrite("aten.unfold.default")
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """The elements of all windows picked, and the window axis moved to the end."""
    if self.dim() == 0:
        return self.reshape(1).narrow(0, 0, size)
    axis = dimension % self.dim()
    count = (self.shape[axis] - size) // step + 1
    wanted = torch.tensor([window * step + place for window in range(count) for place in range(size)])
    picked = torch.index_select(self, axis, wanted)
    shape = list(self.shape)
    wide = picked.reshape([*shape[:axis], count, size, *shape[axis + 1 :]])
    return wide.movedim(axis + 1, -1)


@rewrite("aten.index_select.default")
def index_select(self: Tensor, dim: int, index: Tensor) -> Tensor:
    """torch.gather-free picking by embedding, for a tensor without axes."""
    if self.dim():
        raise NotApplicable("it has axes")
    return self.reshape(1).expand(index.shape).reshape(())


@rewrite("aten.one_hot.default")
def one_hot(self: Tensor, num_classes: int = -1) -> Tensor:
    """Comparisons with every class."""
    if num_classes <= 0:
        raise NotApplicable("the number of classes depends on the values")
    numbers = torch.tensor(list(range(num_classes)))
    return (self.unsqueeze(-1) == numbers).to(torch.int64)


@rewrite("aten.index.Tensor", "aten._unsafe_index.Tensor")
def index_one_axis(self: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """torch.index_select, where integers index a single axis."""
    present = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    if len(present) != 1 or present[0][1].dtype is torch.bool:
        raise NotApplicable("several axes are indexed at once")
    axis, index = present[0]
    picked = torch.index_select(self, axis, index.reshape(-1))
    return picked.reshape([*self.shape[:axis], *index.shape, *self.shape[axis + 1 :]])


@rewrite("aten.index.Tensor", "aten._unsafe_index.Tensor")
def index_flattened(self: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """torch.index_select of the axes that are indexed together, flattened."""
    present = [(axis, index) for axis, index in enumerate(indices) if index is not None]
    axes = [axis for axis, _ in present]
    if any(index.dtype is torch.bool for _, index in present) or axes != list(range(axes[0], axes[-1] + 1)):
        raise NotApplicable("it indexes by booleans, or axes apart from each other")
    shape = torch.broadcast_shapes(*(index.shape for _, index in present))
    place: Any = 0
    for axis, index in present:
        size = self.shape[axis]
        place = place * size + torch.where(index < 0, index + size, index)
    front, back = list(self.shape[: axes[0]]), list(self.shape[axes[-1] + 1 :])
    flat = self.reshape([*front, math.prod(self.shape[axis] for axis in axes), *back])
    picked = torch.index_select(flat, axes[0], place.expand(shape).reshape(-1))
    return picked.reshape([*front, *shape, *back])


@rewrite("aten.index_put.default")
def index_put_mask(
    self: Tensor, indices: Sequence[Tensor | None], values: Tensor, accumulate: bool = False
) -> Tensor:
    """torch.where, where one mask says which elements get one value."""
    present = [index for index in indices if index is not None]
    if len(present) != 1 or present[0].dtype is not torch.bool or values.numel() != 1 or indices[0] is None:
        raise NotApplicable("it is not one value at the places of one mask")
    mask = present[0]
    wide = mask.reshape([*mask.shape, *[1] * (self.dim() - mask.dim())])
    value = values.reshape(()).to(self.dtype)
    return torch.where(wide, self + value if accumulate else value, self)


@rewrite(
    "aten.embedding_bag.default",
    "aten.embedding_bag.padding_idx",
    "aten._embedding_bag.default",
    "aten._embedding_bag_forward_only.default",
)
def embedding_bag(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = -1,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The rows picked, and which of them belong to a bag by comparing places; only the values are told."""
    count = indices.shape[0]
    bags = offsets.shape[0] - (1 if include_last_offset else 0)
    need_numbers(count, bags)
    if count * bags > _TABLE:
        raise NotApplicable("a table of all places would be too large")
    starts = offsets[:bags].to(torch.int32).reshape(bags, 1)
    ends = torch.cat([starts[1:], torch.full((1, 1), count, dtype=torch.int32)], 0)
    place = torch.tensor(list(range(count)), dtype=torch.int32).reshape(1, count)
    mine = torch.logical_and(place >= starts, place < ends)
    if padding_idx is not None and padding_idx >= 0:
        mine = torch.logical_and(mine, (indices != padding_idx).reshape(1, count))
    rows = torch.index_select(weight, 0, indices)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(count, 1)
    share = mine.to(weight.dtype)
    members = share.sum([1], keepdim=True)
    if mode == 2:
        low = torch.full((1,), -math.inf, dtype=weight.dtype).reshape(())
        best = torch.where(mine.unsqueeze(-1), rows.unsqueeze(0), low).amax([1])
        out = torch.where(members > 0, best, torch.zeros_like(best))
    else:
        out = torch.matmul(share, rows)
        out = out / torch.clamp(members, min=1.0) if mode == 1 else out
    return out, indices, offsets, offsets
