"""Padding and output sizes of ops that slide a window: convolution and pooling.

The rules are those of coremltools' shape inference: ``same`` gives ceil(size / stride) positions, as
TensorFlow does. An odd amount of padding goes to the end, with ``same_lower`` to the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from torch import Tensor
from torch.nn import functional as F

Pads = list[tuple[int, int]]
"""Padding before and after, for each spatial axis."""


def window_pads(
    pad_type: str,
    pad: Sequence[int] | None,
    sizes: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int] | None = None,
) -> Pads:
    """The padding of each spatial axis for any ``pad_type``."""
    kind = pad_type.lower()
    if kind == "valid":
        return [(0, 0)] * len(sizes)
    if kind == "custom":
        numbers = list(pad or [0] * (2 * len(sizes)))
        return list(zip(numbers[::2], numbers[1::2], strict=True))
    spread = dilations or [1] * len(sizes)
    pads = []
    for size, width, stride, dilation in zip(sizes, kernel, strides, spread, strict=True):
        reach = (width - 1) * dilation + 1
        total = max(0, (-(-size // stride) - 1) * stride + reach - size)
        less, more = total // 2, total - total // 2
        pads.append((less, more) if kind == "same" else (more, less))
    return pads


def positions(size: int, pads: tuple[int, int], kernel: int, stride: int, ceil_mode: bool) -> int:
    """The number of windows on one axis, by the formulas in the documentation of ``avg_pool``."""
    padded = size + sum(pads) - kernel
    if not ceil_mode:
        return padded // stride + 1
    count = -(-padded // stride) + 1
    if sum(pads) > 0 and (count - 1) * stride >= size + pads[0]:
        count -= 1
    return count


def symmetric(pads: Pads) -> list[int] | None:
    """One number for each axis where padding is the same on both sides, else None."""
    return [before for before, _ in pads] if all(before == after for before, after in pads) else None


def padded(x: Tensor, pads: Pads, value: float = 0.0) -> Tensor:
    """``x`` with its trailing axes padded; negative padding crops."""
    if not any(map(any, pads)):
        return x
    return F.pad(x, list(chain.from_iterable(reversed(pads))), value=value)
