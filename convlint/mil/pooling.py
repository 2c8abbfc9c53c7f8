"""Maximum, average and L2 pooling in one, two and three dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from convlint.mil.windows import Pads, padded, positions, window_pads

_MAXIMUM: dict[int, Callable[..., Tensor]] = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}


def _window(
    x: Tensor,
    kernel: Sequence[int],
    strides: Sequence[int] | None,
    pad_type: str,
    pad: Sequence[int] | None,
    ceil_mode: bool,
) -> tuple[list[int], Pads, Pads]:
    """The strides, the padding of the op, and how far the last window reaches beyond it."""
    steps = list(strides) if strides is not None else [1] * len(kernel)
    pads = window_pads(pad_type, pad, x.shape[2:], kernel, steps)
    overhang = []
    for size, ends, width, step in zip(x.shape[2:], pads, kernel, steps, strict=True):
        count = positions(size, ends, width, step, ceil_mode)
        overhang.append((0, max(0, (count - 1) * step + width - size - sum(ends))))
    return steps, pads, overhang


def max_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    pad_type: str,
    strides: Sequence[int] | None = None,
    pad: Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    steps, pads, overhang = _window(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    x = padded(padded(x, pads, -math.inf), overhang, -math.inf)
    return _MAXIMUM[x.dim()](x, list(kernel_sizes), steps)


def _sum_pool(x: Tensor, kernel: Sequence[int], steps: Sequence[int]) -> Tensor:
    if x.dim() == 3:
        return _sum_pool(x.unsqueeze(2), [1, *kernel], [1, *steps]).squeeze(2)
    pool: Callable[..., Tensor] = F.avg_pool2d if x.dim() == 4 else F.avg_pool3d
    return pool(x, list(kernel), list(steps), divisor_override=1)


def avg_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    pad_type: str,
    strides: Sequence[int] | None = None,
    pad: Sequence[int] | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> Tensor:
    """The mean of each window; elements beyond the padding never count."""
    steps, pads, overhang = _window(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    total = _sum_pool(padded(padded(x, pads), overhang), kernel_sizes, steps)
    excluded = exclude_padding_from_average and any(map(any, pads))
    if not excluded and not any(map(any, overhang)):
        return total / math.prod(kernel_sizes)
    counted = torch.ones(1, 1, *x.shape[2:], dtype=x.dtype)
    counted = padded(padded(counted, pads, 0.0 if exclude_padding_from_average else 1.0), overhang)
    return total / _sum_pool(counted, kernel_sizes, steps)


def l2_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    pad_type: str,
    strides: Sequence[int] | None = None,
    pad: Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """The square root of the sum of squares in each window."""
    steps, pads, overhang = _window(x, kernel_sizes, strides, pad_type, pad, ceil_mode)
    return _sum_pool(padded(padded(x.square(), pads), overhang), kernel_sizes, steps).sqrt()


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "avg_pool": avg_pool,
    "l2_pool": l2_pool,
    "max_pool": max_pool,
}
