"""Convolutions whose kernel is computed while the model runs."""

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
