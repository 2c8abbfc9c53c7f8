"""Pooling: windows of any ratio, adaptive or not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from convlint import torch_adapter
from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor


def _static(self: Tensor, axes: int) -> list[int]:
    sizes = list(self.shape[self.dim() - axes :])
    need_numbers(*sizes)
    return sizes


def _means(self: Tensor, output_size: Sequence[int]) -> Tensor:
    """Adaptive means: one product with a constant matrix for each axis that is not summed whole."""
    axes = len(output_size)
    sizes = _static(self, axes)
    if all(wanted == 1 for wanted in output_size):
        return self.mean(list(range(self.dim() - axes, self.dim())), keepdim=True)
    out = self
    for number, wanted in reversed(list(enumerate(output_size))):
        axis = self.dim() - axes + number
        size = sizes[number]
        if size == wanted:
            continue
        with torch_adapter.real_tensors():
            matrix = functional.adaptive_avg_pool1d(torch.eye(size).unsqueeze(0), wanted)[0]
        matrix = matrix.to(self.dtype)
        if axis == self.dim() - 1:
            out = torch.matmul(out, matrix)
        elif axis == self.dim() - 2:
            out = torch.matmul(matrix.T.contiguous(), out)
        else:
            out = torch.matmul(matrix.T.contiguous(), out.flatten(axis + 1)).unflatten(
                -1, out.shape[axis + 1 :]
            )
    return out.clone() if out is self else out


def _whole(self: Tensor, output_size: Sequence[int | None], axes: int) -> list[int]:
    sizes = _static(self, axes)
    return [size if wanted is None else wanted for size, wanted in zip(sizes, output_size, strict=True)]


@rewrite("aten.adaptive_avg_pool1d.default")
def adaptive_avg_pool1d(self: Tensor, output_size: Sequence[int]) -> Tensor:
    """The mean, or a product with a constant matrix."""
    return _means(self, _whole(self, output_size, 1))


@rewrite("aten.adaptive_avg_pool2d.default", "aten._adaptive_avg_pool2d.default")
def adaptive_avg_pool2d(self: Tensor, output_size: Sequence[int]) -> Tensor:
    """The mean over both axes, or two products with constant matrices."""
    return _means(self, _whole(self, output_size, 2))


@rewrite("aten.adaptive_avg_pool3d.default", "aten._adaptive_avg_pool3d.default")
def adaptive_avg_pool3d(self: Tensor, output_size: Sequence[int]) -> Tensor:
    """The mean over three axes, or three products with constant matrices."""
    return _means(self, _whole(self, output_size, 3))


def _window(place: int, size: int, wanted: int) -> tuple[int, int]:
    return place * size // wanted, -(-(place + 1) * size // wanted)


def _largest(self: Tensor, windows: Sequence[Sequence[Sequence[int]]]) -> tuple[Tensor, Tensor]:
    """The largest of each window, and its place in the flattened axes: of equal ones the first.

    ``windows`` has for each of the last axes, and each window along it, the positions that it sees. The last
    axis comes first, so that of equal values the one in the earlier row stays.
    """
    axes = len(windows)
    sizes = _static(self, axes)
    values, places = self, torch.zeros_like(self, dtype=torch.int32)
    for number in reversed(range(axes)):
        axis, stride = self.dim() - axes + number, math.prod(sizes[number + 1 :])
        if [list(seen) for seen in windows[number]] == [[place] for place in range(sizes[number])]:
            line = torch.tensor([place * stride for place in range(sizes[number])], dtype=torch.int32)
            places = places + line.reshape([-1, *[1] * (axes - 1 - number)])
            continue
        best = spots = None
        for step in range(max(len(seen) for seen in windows[number])):
            order = [seen[min(step, len(seen) - 1)] for seen in windows[number]]
            slices = torch.index_select(values, axis, torch.tensor(order))
            line = torch.tensor([place * stride for place in order], dtype=torch.int32)
            found = torch.index_select(places, axis, torch.tensor(order))
            found = found + line.reshape([-1, *[1] * (axes - 1 - number)])
            if best is None or spots is None:
                best, spots = slices, found
            else:
                spots = torch.where(slices > best, found, spots)
                best = torch.maximum(best, slices)
        assert best is not None
        assert spots is not None
        values, places = best, spots
    return (values.clone() if values is self else values), places.to(torch.int64)


@rewrite(
    "aten.adaptive_max_pool1d.default", "aten.adaptive_max_pool2d.default", "aten.adaptive_max_pool3d.default"
)
def adaptive_max_pool(self: Tensor, output_size: Any) -> tuple[Tensor, Tensor]:
    """The largest of the slices of each window, axis by axis, and its place."""
    asked = [output_size] if isinstance(output_size, int) else list(output_size)
    sizes = _static(self, len(asked))
    windows = []
    for size, wanted in zip(sizes, _whole(self, asked, len(asked)), strict=True):
        edges = [(place * size // wanted, -(-(place + 1) * size // wanted)) for place in range(wanted)]
        windows.append([list(range(first, last)) for first, last in edges])
    return _largest(self, windows)


def _spelled(
    self: Tensor, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], axes: int
) -> tuple[list[int], list[int], list[int]]:
    size = list(kernel) * (axes if len(kernel) == 1 else 1)
    step = list(stride) * (axes if len(stride) == 1 else 1) or size
    edge = list(padding) * (axes if len(padding) == 1 else 1)
    return size, step, edge


@rewrite("aten.avg_pool1d.default", "aten.avg_pool2d.default", "aten.avg_pool3d.default")
def avg_pool(
    self: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """A convolution of equal weights, one group a channel, divided by what each window counts."""
    axes = len(kernel_size)
    if (axes == 1 and self.dim() > 3) or axes > 3:
        raise NotApplicable("its axes are not told")
    size, step, edge = _spelled(self, kernel_size, stride, padding, axes)
    batched = self if self.dim() == axes + 2 else self.unsqueeze(0)
    extent = _static(batched, axes)
    wanted = []
    for number in range(axes):
        room = extent[number] + 2 * edge[number] - size[number]
        count = (-(-room // step[number]) if ceil_mode else room // step[number]) + 1
        if ceil_mode and (count - 1) * step[number] >= extent[number] + edge[number]:
            count -= 1
        wanted.append(count)
    with torch_adapter.real_tensors():
        line = []
        for number in range(axes):
            sums, counts = [], []
            for place in range(wanted[number]):
                first = place * step[number] - edge[number]
                last = min(first + size[number], extent[number] + edge[number])
                inside = list(range(max(first, 0), min(last, extent[number])))
                sums.append([float(i in set(inside)) for i in range(extent[number])])
                counts.append(float(last - first if count_include_pad else len(inside)))
            line.append((torch.tensor(sums), torch.tensor(counts)))
        divisor = line[0][1]
        for _, counts_of_axis in line[1:]:
            divisor = divisor.unsqueeze(-1) * counts_of_axis
        if divisor_override:
            divisor = torch.full_like(divisor, float(divisor_override))
    out = batched
    for number, (matrix, _) in enumerate(line):
        axis = 2 + number
        moved = out.movedim(axis, -1)
        out = torch.matmul(moved, matrix.T.contiguous().to(self.dtype)).movedim(-1, axis)
    out = out / divisor.to(self.dtype)
    return out if self.dim() == axes + 2 else out.squeeze(0)


@rewrite(
    "aten.max_pool1d.default", "aten.max_pool2d.default", "aten.max_pool3d.default",
)  # fmt: skip
def max_pool(
    self: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Tensor:
    """The largest of the slices of each window, axis by axis."""
    return max_pool_and_places(self, kernel_size, stride, padding, dilation, ceil_mode)[0]


@rewrite("aten.max_pool2d_with_indices.default", "aten.max_pool3d_with_indices.default")
def max_pool_and_places(
    self: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor]:
    """The largest of the slices of each window, axis by axis, and its place."""
    axes = len(kernel_size)
    size, step, edge = _spelled(self, kernel_size, stride, padding, axes)
    spread = list(dilation) * (axes if len(dilation) == 1 else 1)
    windows = []
    for number, extent in enumerate(_static(self, axes)):
        reach = spread[number] * (size[number] - 1) + 1
        room = extent + 2 * edge[number] - reach
        count = (-(-room // step[number]) if ceil_mode else room // step[number]) + 1
        if ceil_mode and (count - 1) * step[number] >= extent + edge[number]:
            count -= 1
        starts = [window * step[number] - edge[number] for window in range(count)]
        reaches = [[first + k * spread[number] for k in range(size[number])] for first in starts]
        windows.append([[place for place in seen if 0 <= place < extent] for seen in reaches])
    return _largest(self, windows)
