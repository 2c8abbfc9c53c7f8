"""Reads and writes slices, and windows over an axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Bools = Sequence[bool] | None
Numbers = Tensor | Sequence[int]


def _numbers(values: Numbers) -> list[int]:
    return [int(v) for v in (values.tolist() if isinstance(values, Tensor) else values)]


def _ranges(
    shape: Sequence[int],
    begin: Numbers,
    end: Numbers,
    stride: Numbers | None,
    begin_mask: Bools,
    end_mask: Bools,
    squeeze_mask: Bools,
) -> list[range]:
    """The positions that a slice selects on each axis, by Python's rules for slices."""
    rank = len(shape)
    firsts, lasts = _numbers(begin), _numbers(end)
    steps = _numbers(stride) if stride is not None else [1] * rank
    ranges = []
    for axis, size in enumerate(shape):
        first = None if begin_mask is not None and begin_mask[axis] else firsts[axis]
        if squeeze_mask is not None and squeeze_mask[axis]:
            index = first or 0
            index += size if index < 0 else 0
            ranges.append(range(index, index + 1))
            continue
        last = None if end_mask is not None and end_mask[axis] else lasts[axis]
        ranges.append(range(*slice(first, last, steps[axis]).indices(size)))
    return ranges


def _taken(x: Tensor, axis: int, chosen: range) -> Tensor:
    if len(chosen) == x.shape[axis] and chosen.step == 1:
        return x
    if chosen.step > 0:
        return x[(slice(None),) * axis + (slice(chosen.start, chosen.stop, chosen.step),)]
    return x.index_select(axis, torch.tensor(list(chosen), dtype=torch.long))


def slice_by_index(
    x: Tensor,
    begin: Numbers,
    end: Numbers,
    stride: Numbers | None = None,
    begin_mask: Bools = None,
    end_mask: Bools = None,
    squeeze_mask: Bools = None,
) -> Tensor:
    ranges = _ranges(x.shape, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    for axis, chosen in enumerate(ranges):
        x = _taken(x, axis, chosen)
    dropped = [axis for axis in range(x.dim()) if squeeze_mask is not None and squeeze_mask[axis]]
    return x.reshape([size for axis, size in enumerate(x.shape) if axis not in dropped]) if dropped else x


def slice_update(
    x: Tensor,
    update: Tensor,
    begin: Numbers,
    end: Numbers,
    stride: Numbers | None = None,
    begin_mask: Bools = None,
    end_mask: Bools = None,
    squeeze_mask: Bools = None,
) -> Tensor:
    """A copy of ``x`` with a slice replaced."""
    ranges = _ranges(x.shape, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    out = x.clone(memory_format=torch.contiguous_format)
    target = update.reshape([len(chosen) for chosen in ranges]).to(x.dtype)
    if all(chosen.step > 0 for chosen in ranges):
        out[tuple(slice(chosen.start, chosen.stop, chosen.step) for chosen in ranges)] = target
    else:
        places = torch.meshgrid(*(torch.tensor(list(c), dtype=torch.long) for c in ranges), indexing="ij")
        out[places] = target
    return out


def slice_by_size(x: Tensor, begin: Numbers, size: Numbers) -> Tensor:
    """``size`` elements of each axis from ``begin`` on; -1 takes all that remain."""
    for axis, (first, count) in enumerate(zip(_numbers(begin), _numbers(size), strict=True)):
        start = first + x.shape[axis] if first < 0 else first
        x = x.narrow(axis, start, x.shape[axis] - start if count == -1 else count)
    return x


def sliding_windows(x: Tensor, axis: int, size: int, stride: int = 1) -> Tensor:
    axis %= x.dim()
    return x.unfold(axis, size, stride).movedim(-1, axis + 1)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "slice_update": slice_update,
    "sliding_windows": sliding_windows,
}
