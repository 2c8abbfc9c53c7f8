"""Convolutions whose kernel, or whose places, are computed while the model runs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor


def _with_gaps(self: Tensor, axes: int, steps: Sequence[int]) -> Tensor:
    """Zeros put between neighbours of the last axes, so that they are so many steps apart."""
    out = self
    for number, step in enumerate(steps):
        axis = self.dim() - axes + number
        size = out.shape[axis]
        need_numbers(*out.shape)
        if step == 1 or size == 1:
            continue
        front, back = list(out.shape[:axis]), list(out.shape[axis + 1 :])
        before, behind = math.prod(front), math.prod(back)  # rank 4, whatever the rank is
        zeros = torch.full([before, size, step - 1, behind], 0, dtype=self.dtype)
        wide = torch.cat([out.reshape([before, size, 1, behind]), zeros], 2)
        wide = wide.reshape([before, size * step, behind]).narrow(1, 0, (size - 1) * step + 1)
        out = wide.reshape([*front, (size - 1) * step + 1, *back])
    return out


@rewrite("aten.convolution.default")
def convolution_of_computed_kernel(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor:
    """Zeros put into the kernel for its dilation, and into the input for a transposed stride."""
    axes = weight.dim() - 2
    if not input.is_floating_point() or input.is_complex() or input.dim() != weight.dim():
        raise NotApplicable("it is no batch of floats")
    strides, edges, gaps, spare = (
        list(values) * (axes if len(values) == 1 else 1)
        for values in (stride, padding, dilation, output_padding)
    )
    if not transposed and all(gap == 1 for gap in gaps):
        raise NotApplicable("its kernel has no gaps")
    kernel = _with_gaps(weight, axes, gaps)
    if not transposed:
        return torch.ops.aten.convolution.default(
            input, kernel, bias, strides, edges, [1] * axes, False, [0] * axes, groups
        )
    ins, outs = weight.shape[:2]
    reach = list(kernel.shape[2:])
    for axis in range(2, 2 + axes):
        size = kernel.shape[axis]
        if size > 1:
            kernel = torch.index_select(kernel, axis, torch.tensor(list(range(size - 1, -1, -1))))
    turned = kernel.reshape([groups, ins // groups, outs, math.prod(reach)]).transpose(1, 2)
    turned = turned.reshape([groups * outs, ins // groups, *reach])
    wide = _with_gaps(input, axes, strides)
    pads: list[int] = []
    for axis in reversed(range(axes)):
        before = reach[axis] - 1 - edges[axis]
        pads += [before, before + spare[axis]]
    if any(pads):
        wide = torch.constant_pad_nd(wide, pads, 0.0)
    one = [1] * axes
    return torch.ops.aten.convolution.default(
        wide, turned, bias, one, [0] * axes, one, False, [0] * axes, groups
    )


@rewrite("torchvision.deform_conv2d.default")
def deformable_convolution(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    bias: Tensor,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Tensor:
    """All taps sampled at their places at once, and a convolution of one pixel over what they are.

    https://docs.pytorch.org/vision/stable/generated/torchvision.ops.deform_conv2d.html
    """
    batch, channels, height, width = input.shape
    outs, _, kernel_h, kernel_w = weight.shape
    rows, columns = offset.shape[2:]
    need_numbers(batch, channels, height, width, rows, columns)
    if height < 2 or width < 2:
        raise NotApplicable("a picture of one row or column has no scale to sample at")
    taps, places = kernel_h * kernel_w, rows * columns
    moved = offset.reshape([batch * offset_groups, taps, 2, places])
    at = [
        [tap_y * dilation_h + row * stride_h - pad_h, tap_x * dilation_w + column * stride_w - pad_w]
        for tap_y in range(kernel_h)
        for tap_x in range(kernel_w)
        for row in range(rows)
        for column in range(columns)
    ]
    still = torch.tensor(at, dtype=input.dtype).reshape([taps, places, 2])
    # grid_sample has the corners of a picture at -1 and 1, the column before the row.
    x = (moved[:, :, 1] + still[:, :, 1]) * (2 / (width - 1)) - 1
    y = (moved[:, :, 0] + still[:, :, 0]) * (2 / (height - 1)) - 1
    grid = torch.stack([x, y], 3).reshape([batch * offset_groups, taps * rows, columns, 2])
    pictures = input.reshape([batch * offset_groups, channels // offset_groups, height, width])
    sampled = torch.ops.aten.grid_sampler.default(pictures, grid, 0, 0, True)
    sampled = sampled.reshape([batch * offset_groups, channels // offset_groups, taps, places])
    if use_mask:
        sampled = sampled * mask.reshape([batch * offset_groups, 1, taps, places])
    sampled = sampled.reshape([batch, channels * taps, rows, columns])
    kernel = weight.reshape([outs, channels // groups * taps, 1, 1])
    return torch.conv2d(sampled, kernel, bias, groups=groups)
