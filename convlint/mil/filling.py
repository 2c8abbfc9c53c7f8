"""Tensors made from a shape or a range (fill, range_1d, one_hot), padded, banded and summed up."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from convlint.mil.failures import UnsupportedOperation

Number = float | int | bool


def fill(shape: Tensor | Sequence[int], value: Number = 0.0) -> Tensor:
    return torch.full([int(size) for size in torch.as_tensor(shape).tolist()], value)


def fill_like(ref_tensor: Tensor, value: Number = 0.0) -> Tensor:
    return torch.full(ref_tensor.shape, value)


def range_1d(end: Tensor, start: Tensor, step: Tensor) -> Tensor:
    first, last, stride = start.item(), end.item(), step.item()
    count = max(0, math.ceil((last - first) / stride))
    steps = torch.arange(count, dtype=torch.float64 if start.dtype.is_floating_point else torch.int64)
    return first + steps * stride


def band_part(x: Tensor, lower: int = -1, upper: int = -1) -> Tensor:
    """``x`` with zeros outside the band, even where it is infinite there."""
    row = torch.arange(x.shape[-2]).unsqueeze(1)
    column = torch.arange(x.shape[-1]).unsqueeze(0)
    band = torch.ones(x.shape[-2:], dtype=torch.bool)
    if lower >= 0:
        band &= row - column <= lower
    if upper >= 0:
        band &= column - row <= upper
    return torch.where(band, x, torch.zeros((), dtype=x.dtype))


def cumsum(x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    if reverse:
        x = x.flip(axis)
    out = x.cumsum(axis)
    if exclusive:
        out = torch.cat(
            [torch.zeros_like(out.narrow(axis, 0, 1)), out.narrow(axis, 0, x.shape[axis] - 1)], axis
        )
    return out.flip(axis) if reverse else out


def one_hot(
    indices: Tensor,
    one_hot_vector_size: Tensor,
    axis: int = -1,
    on_value: Number = 1,
    off_value: Number = 0,
) -> Tensor:
    """One-hot vectors; an index outside the vector gives zeros only."""
    places = torch.arange(int(one_hot_vector_size))
    hot = indices.long().unsqueeze(-1) == places
    chosen = torch.where(hot, torch.tensor(on_value), torch.tensor(off_value))
    return chosen.movedim(-1, axis + indices.dim() + 1 if axis < 0 else axis)


def pad(x: Tensor, pad: Tensor, mode: str = "constant", constant_val: Number = 0.0) -> Tensor:
    """``x`` with its last axes padded; ``pad`` has the width before and after for each axis."""
    amounts = [int(amount) for amount in torch.as_tensor(pad).tolist()]
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    if mode == "constant":
        flat = [amount for pair in reversed(pairs) for amount in pair]
        return F.pad(x, flat, value=constant_val)
    for axis, (before, after) in enumerate(pairs, x.dim() - len(pairs)):
        if before or after:
            x = x.index_select(axis, _outside(x.shape[axis], before, after, mode))
    return x


def _outside(size: int, before: int, after: int, mode: str) -> Tensor:
    """The positions of an axis that the padded axis repeats."""
    places = torch.arange(-before, size + after)
    if mode == "replicate":
        return places.clamp(0, size - 1)
    if mode == "reflect":
        period = max(1, 2 * (size - 1))
        turned = places.remainder(period)
        return torch.minimum(turned, period - turned) if size > 1 else torch.zeros_like(places)
    raise UnsupportedOperation(f"{mode!r} is not a padding mode of MIL.")


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "band_part": band_part,
    "cumsum": cumsum,
    "fill": fill,
    "fill_like": fill_like,
    "one_hot": one_hot,
    "pad": pad,
    "range_1d": range_1d,
}
