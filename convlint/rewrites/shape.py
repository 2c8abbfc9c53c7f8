"""Views, copies, padding and the order of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor


@rewrite(
    "aten.alias.default", "aten.detach.default", "aten.lift_fresh_copy.default",
)  # fmt: skip
def nothing(self: Tensor) -> Tensor:
    """The tensor itself: the op does nothing."""
    return self


@rewrite("aten.clone.default", "aten.contiguous.default")
def no_copy(self: Tensor, **kinds: Any) -> Tensor:
    """The tensor itself: a copy is no different."""
    return self


@rewrite("aten._to_copy.default")
def cast(self: Tensor, *, dtype: Any = None, **kinds: Any) -> Tensor:
    """A comparison with 0 for booleans, and by way of int32 or float32 for dtypes of other widths."""
    if dtype is None or dtype == self.dtype:
        return self
    if dtype is torch.bool:
        return self != 0
    raise NotApplicable(f"Core ML has no {dtype}")


@rewrite("aten.slice.Tensor")
def slice_by_narrow(self: Tensor, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Tensor:
    """The places of the slice, picked."""
    size = self.shape[dim]
    wanted = list(range(*slice(start, end, step).indices(size)))
    if wanted == list(range(size)):
        return self
    if not wanted:
        raise NotApplicable("the slice is empty")
    return torch.index_select(self, dim, torch.tensor(wanted))


@rewrite("aten.narrow.default", "aten.narrow_copy.default")
def narrow(self: Tensor, dim: int, start: int, length: int) -> Tensor:
    """A slice counted from the front."""
    first = start % self.shape[dim] if self.shape[dim] else 0
    if length == self.shape[dim]:
        return self
    return self[(slice(None),) * (dim % self.dim()) + (slice(first, first + length),)]


@rewrite("aten.squeeze.dim", "aten.squeeze.dims", "aten.squeeze_copy.dim", "aten.squeeze_copy.dims")
def squeeze(self: Tensor, dim: Any = None) -> Tensor:
    """A reshape, of a scalar none."""
    if self.dim() == 0:
        return self.clone()
    axes = range(self.dim()) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = {axis % self.dim() for axis in axes}
    return self.reshape([size for axis, size in enumerate(self.shape) if axis not in gone or size != 1])


@rewrite("aten.movedim.int", "aten.movedim.intlist", "aten.moveaxis.int")
def movedim(self: Tensor, source: Any, destination: Any) -> Tensor:
    """A permutation of all axes."""
    sources = [source] if isinstance(source, int) else list(source)
    targets = [destination] if isinstance(destination, int) else list(destination)
    rank = self.dim()
    order = [axis for axis in range(rank) if axis not in [s % rank for s in sources]]
    for target, origin in sorted(zip([t % rank for t in targets], [s % rank for s in sources], strict=True)):
        order.insert(target, origin)
    return self.permute(order)


@rewrite("aten.rot90.default")
def rot90(self: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Flips and a transposition."""
    one, two = dims
    turns = k % 4
    if turns == 0:
        return self.clone()
    if turns == 2:
        return self.flip([one]).flip([two])
    swapped = self.transpose(one, two)
    return swapped.flip([one]) if turns == 1 else swapped.flip([two])


@rewrite("aten.tile.default", "aten.repeat.default")
def repeat(self: Tensor, repeats: Sequence[int]) -> Tensor:
    """Copies put behind each other, axis by axis."""
    counts = [1] * (self.dim() - len(repeats)) + list(repeats)
    out = self.reshape([1] * (len(counts) - self.dim()) + list(self.shape))
    if 0 in counts:
        raise NotApplicable("it repeats nothing")
    for axis, times in enumerate(counts):
        if times != 1:
            out = torch.cat([out] * times, axis)
    return out.clone() if out is self else out


@rewrite("aten.expand.default")
def expand(self: Tensor, size: Sequence[int], *, implicit: bool = False) -> Tensor:
    """The sum with zeros of the whole shape."""
    shape = [own if wanted == -1 else wanted for own, wanted in zip(
        [1] * (len(size) - self.dim()) + list(self.shape), size, strict=True
    )]  # fmt: skip
    if self.dtype is torch.bool:
        return torch.logical_or(self, torch.full(shape, False))
    return self + torch.full(shape, 0, dtype=self.dtype)


@rewrite("aten.constant_pad_nd.default")
def constant_pad(self: Tensor, pad: Sequence[int], value: float = 0) -> Tensor:
    """Slices where the padding is negative, constants put before and behind elsewhere."""
    out = self
    for number in range(len(pad) // 2):
        axis = self.dim() - 1 - number
        before, behind = pad[2 * number], pad[2 * number + 1]
        size = out.shape[axis]
        first, last = max(0, -before), size - max(0, -behind)
        if (first, last) != (0, size):
            out = out.narrow(axis, first, last - first)
        parts = [out]
        for length, front in ((before, True), (behind, False)):
            if length > 0:
                shape = [*out.shape[:axis], length, *out.shape[axis + 1 :]]
                filled = torch.full(shape, value, dtype=self.dtype)
                parts = [filled, *parts] if front else [*parts, filled]
        out = torch.cat(parts, axis) if len(parts) > 1 else out
    return out.clone() if out is self else out


def _picked(self: Tensor, pad: Sequence[int], place: Any) -> Tensor:
    out = self
    for number in range(len(pad) // 2):
        axis = self.dim() - 1 - number
        before, behind = pad[2 * number], pad[2 * number + 1]
        size = out.shape[axis]
        wanted = [place(index, size) for index in range(-before, size + behind)]
        if wanted != list(range(size)):
            out = torch.index_select(out, axis, torch.tensor(wanted))
    return out


def _reflected(index: int, size: int) -> int:
    period = max(2 * (size - 1), 1)
    index %= period
    return index if index < size else period - index


@rewrite("aten.reflection_pad1d.default", "aten.reflection_pad2d.default", "aten.reflection_pad3d.default")
def reflection_pad(self: Tensor, padding: Sequence[int]) -> Tensor:
    """The mirrored places, picked."""
    return _picked(self, padding, _reflected)


@rewrite("aten.replication_pad1d.default", "aten.replication_pad2d.default", "aten.replication_pad3d.default")
def replication_pad(self: Tensor, padding: Sequence[int]) -> Tensor:
    """The nearest places, picked."""
    return _picked(self, padding, lambda index, size: min(max(index, 0), size - 1))


@rewrite("aten._pad_circular.default")
def circular_pad(self: Tensor, pad: Sequence[int]) -> Tensor:
    """The places counted round, picked."""
    if any(length < 0 for length in pad):
        raise NotApplicable("the padding is negative")
    return _picked(self, pad, lambda index, size: index % size)


@rewrite("aten.pad.default")
def pad_by_mode(
    self: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """What the mode says, by its own rewrite."""
    if mode == "constant":
        return constant_pad(self, pad, 0 if value is None else value)
    return {"reflect": reflection_pad, "replicate": replication_pad, "circular": circular_pad}[mode](
        self, pad
    )


@rewrite("aten.pixel_unshuffle.default")
def pixel_unshuffle(self: Tensor, downscale_factor: int) -> Tensor:
    """A reshape, a permutation and a reshape, of rank 5 at most."""
    *batch, channels, height, width = self.shape
    f = downscale_factor
    rows = self.reshape([math.prod(batch) * channels, height // f, f, width // f, f])
    moved = rows.permute(0, 2, 4, 1, 3)
    return moved.reshape([*batch, channels * f * f, height // f, width // f])


@rewrite("aten.pixel_shuffle.default")
def pixel_shuffle(self: Tensor, upscale_factor: int) -> Tensor:
    """A reshape, a permutation and a reshape, of rank 5 at most."""
    *batch, channels, height, width = self.shape
    f = upscale_factor
    parts = self.reshape([math.prod(batch) * (channels // (f * f)), f, f, height, width])
    moved = parts.permute(0, 3, 1, 4, 2)
    return moved.reshape([*batch, channels // (f * f), height * f, width * f])


@rewrite("aten.channel_shuffle.default", "aten.native_channel_shuffle.default")
def channel_shuffle(self: Tensor, groups: int) -> Tensor:
    """A reshape, a transposition and a reshape."""
    batch, channels, *rest = self.shape
    parts = self.reshape([batch, groups, channels // groups, math.prod(rest)])
    return parts.transpose(1, 2).reshape(list(self.shape))


@rewrite("aten.view.dtype")
def view_as_dtype(self: Tensor, dtype: Any) -> Tensor:
    """The tensor itself, where the dtype is its own."""
    if dtype != self.dtype:
        raise NotApplicable("the bits are read as another dtype")
    return self


@rewrite("aten.im2col.default")
def im2col(
    self: Tensor,
    kernel_size: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Tensor:
    """A convolution whose kernels are one each."""
    batched = self if self.dim() == 4 else self.unsqueeze(0)
    batch, channels = batched.shape[:2]
    rows, columns = kernel_size
    weight = torch.eye(rows * columns).reshape(rows * columns, 1, rows, columns).to(self.dtype)
    weight = weight.repeat(channels, 1, 1, 1)
    out = torch.conv2d(batched, weight, None, list(stride), list(padding), list(dilation), groups=channels)
    out = out.reshape(batch, channels * rows * columns, -1)
    return out if self.dim() == 4 else out.squeeze(0)


@rewrite("aten.col2im.default")
def col2im(
    self: Tensor,
    output_size: Sequence[int],
    kernel_size: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Tensor:
    """A transposed convolution whose kernels are one each."""
    batched = self if self.dim() == 3 else self.unsqueeze(0)
    rows, columns = kernel_size
    batch, channels = batched.shape[0], batched.shape[1] // (rows * columns)
    sizes = [
        (output_size[axis] + 2 * padding[axis] - dilation[axis] * (kernel_size[axis] - 1) - 1) // stride[axis]
        + 1
        for axis in (0, 1)
    ]
    spare = [
        output_size[axis]
        - (
            (sizes[axis] - 1) * stride[axis]
            - 2 * padding[axis]
            + dilation[axis] * (kernel_size[axis] - 1)
            + 1
        )
        for axis in (0, 1)
    ]
    weight = torch.eye(rows * columns).reshape(rows * columns, 1, rows, columns).to(self.dtype)
    grid = batched.reshape(batch * channels, rows * columns, sizes[0], sizes[1])
    out = torch.conv_transpose2d(grid, weight, None, list(stride), list(padding), spare, 1, list(dilation))
    out = out.reshape(batch, channels, *output_size)
    return out if self.dim() == 3 else out.squeeze(0)


@rewrite("aten.copy.default")
def copy(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """The source, cast and expanded."""
    return src.to(self.dtype).expand(self.shape).clone()
