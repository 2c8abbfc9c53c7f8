"""Ops that only move elements: reshape, transpose, concat, space to depth and the like."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from convlint.mil.failures import ExecutionError


def resolved_shape(current: Sequence[int], requested: Sequence[int]) -> list[int]:
    """The shape that ``reshape`` means.

    A zero copies the size of the input, counted from the right (iOS17; before, the ranks had to be equal,
    where that is the same), or is 1 where the input has no such axis; -1 is the remaining size.
    """
    shape = [int(size) for size in requested]
    offset = len(current) - len(shape)
    for axis, size in enumerate(shape):
        if size == 0:
            shape[axis] = current[axis + offset] if axis + offset >= 0 else 1
    if -1 in shape:
        rest = math.prod(size for size in shape if size != -1)
        shape[shape.index(-1)] = math.prod(current) // rest if rest else 0
    if math.prod(shape) != math.prod(current):
        raise ExecutionError(
            f"reshape from {tuple(current)} to {tuple(int(size) for size in requested)} changes the number of"
            " elements. The program was made for another input size; run it with the size of its declaration."
        )
    return shape


def reshape(x: Tensor, shape: Tensor | Sequence[int]) -> Tensor:
    return x.reshape(resolved_shape(x.shape, torch.as_tensor(shape).tolist()))


def reshape_like(
    x: Tensor,
    ref_tensors: Sequence[Tensor],
    begins: Sequence[Any],
    ends: Sequence[Any],
    end_masks: Sequence[Any],
) -> Tensor:
    shape: list[int] = []
    for reference, begin, end, whole in zip(ref_tensors, begins, ends, end_masks, strict=True):
        shape += reference.shape[int(begin) :] if whole else reference.shape[int(begin) : int(end)]
    return x.reshape(shape)


def expand_dims(x: Tensor, axes: Sequence[int]) -> Tensor:
    rank = x.dim() + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


def squeeze(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """``x`` without the axes of size one; other axes stay, as in PyTorch."""
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def transpose(x: Tensor, perm: Sequence[int]) -> Tensor:
    return x.permute(*perm) if x.dim() else x


def reverse(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    return x.flip(list(range(x.dim())) if axes is None else list(axes))


def reverse_sequence(x: Tensor, lengths: Tensor, seq_axis: int = 0, batch_axis: int = 0) -> Tensor:
    """``x`` with the first ``lengths[i]`` elements of each sequence reversed."""
    out = x.clone()
    # The number of the sequence axis once the batch axis is removed.
    axis = seq_axis % x.dim() - (seq_axis % x.dim() > batch_axis % x.dim())
    for index, length in enumerate(lengths.tolist()):
        row = x.select(batch_axis, index)
        out.select(batch_axis, index).narrow(axis, 0, length).copy_(row.narrow(axis, 0, length).flip(axis))
    return out


def flatten2d(x: Tensor, axis: int = 1) -> Tensor:
    cut = axis + x.dim() if axis < 0 else axis
    return x.reshape(math.prod(x.shape[:cut]), math.prod(x.shape[cut:]))


def concat(values: Sequence[Tensor], axis: int, interleave: bool = False) -> Tensor:
    if values[0].dim() == 0:
        return torch.stack(list(values))
    if interleave:
        axis %= values[0].dim()
        return torch.stack(list(values), axis + 1).flatten(axis, axis + 1)
    return torch.cat(list(values), axis)


def split(
    x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Sequence[int] | None = None
) -> tuple[Tensor, ...]:
    if split_sizes is not None:
        return torch.split_with_sizes(x, [int(size) for size in split_sizes], axis)
    if num_splits is None:
        raise ExecutionError("split has neither num_splits nor split_sizes. The program is not valid.")
    return torch.split_with_sizes(x, [x.shape[axis] // num_splits] * num_splits, axis)


def stack(values: Sequence[Tensor], axis: int) -> Tensor:
    return torch.stack(list(values), axis)


def identity(x: Any) -> Any:
    return x


def shape(x: Tensor) -> Tensor:
    return torch.tensor(x.shape, dtype=torch.int32)


def tile(x: Tensor, reps: Tensor | Sequence[int]) -> Tensor:
    return x.tile(torch.as_tensor(reps).tolist())


def depth_to_space(x: Tensor, block_size: int) -> Tensor:
    """Blocks from channels; the position in the block is the slowest channel index, as in TensorFlow."""
    n, c, h, w = x.shape
    b = block_size
    blocks = x.reshape(n, b, b, c // (b * b), h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


def space_to_depth(x: Tensor, block_size: int) -> Tensor:
    n, c, h, w = x.shape
    b = block_size
    blocks = x.reshape(n, c, h // b, b, w // b, b)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    return F.pixel_shuffle(x, upscale_factor)


def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Tensor:
    return F.pixel_unshuffle(x, downscale_factor)


def _pairs(values: Tensor | Sequence[Sequence[int]]) -> list[list[int]]:
    return [[int(a), int(b)] for a, b in torch.as_tensor(values).tolist()]


def space_to_batch(x: Tensor, block_shape: Sequence[int], paddings: Tensor) -> Tensor:
    (top, bottom), (left, right) = _pairs(paddings)
    x = F.pad(x, (left, right, top, bottom))
    n, c, h, w = x.shape
    a, b = block_shape
    blocks = x.reshape(n, c, h // a, a, w // b, b)
    return blocks.permute(3, 5, 0, 1, 2, 4).reshape(n * a * b, c, h // a, w // b)


def batch_to_space(x: Tensor, block_shape: Sequence[int], crops: Tensor) -> Tensor:
    (top, bottom), (left, right) = _pairs(crops)
    n, c, h, w = x.shape
    a, b = block_shape
    blocks = x.reshape(a, b, n // (a * b), c, h, w)
    whole = blocks.permute(2, 3, 4, 0, 5, 1).reshape(n // (a * b), c, h * a, w * b)
    return whole[:, :, top : h * a - bottom, left : w * b - right]


OPERATIONS: dict[str, Callable[..., Any]] = {
    "batch_to_space": batch_to_space,
    "concat": concat,
    "depth_to_space": depth_to_space,
    "expand_dims": expand_dims,
    "flatten2d": flatten2d,
    "identity": identity,
    "pixel_shuffle": pixel_shuffle,
    "pixel_unshuffle": pixel_unshuffle,
    "reshape": reshape,
    "reshape_like": reshape_like,
    "reverse": reverse,
    "reverse_sequence": reverse_sequence,
    "shape": shape,
    "space_to_batch": space_to_batch,
    "space_to_depth": space_to_depth,
    "split": split,
    "squeeze": squeeze,
    "stack": stack,
    "tile": tile,
    "transpose": transpose,
}
