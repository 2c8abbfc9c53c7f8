"""Convolution and its transpose in one, two and three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from convlint.mil.failures import UnsupportedOperation
from convlint.mil.windows import padded, symmetric, window_pads

_CONVOLVE: dict[int, Callable[..., Tensor]] = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
_TRANSPOSED: dict[int, Callable[..., Tensor]] = {
    3: F.conv_transpose1d,
    4: F.conv_transpose2d,
    5: F.conv_transpose3d,
}


def conv(
    x: Tensor,
    weight: Tensor,
    strides: Sequence[int],
    dilations: Sequence[int],
    pad_type: str = "valid",
    pad: Sequence[int] | None = None,
    groups: int = 1,
    bias: Tensor | None = None,
) -> Tensor:
    pads = window_pads(pad_type, pad, x.shape[2:], weight.shape[2:], strides, dilations)
    even = symmetric(pads)
    if even is None:
        x, even = padded(x, pads), [0] * len(pads)
    shift = None if bias is None else bias.to(x.dtype)
    function = _CONVOLVE[x.dim()]
    return function(x, weight.to(x.dtype), shift, list(strides), even, list(dilations), groups)


def conv_quantized(
    x: Tensor,
    weight: Tensor,
    quantization_type: str,
    quant_scale: Tensor | float,
    quant_bias: Tensor | float,
    nbits: int = 8,
    bias: Any = None,
    **window: Any,
) -> Tensor:
    """``W = W_quantized * scale + bias``, with scale and bias per output channel or one for all."""
    if quantization_type != "linear":
        raise UnsupportedOperation(
            f"conv_quantized with quantization_type {quantization_type!r} is not defined by coremltools; "
            "only 'linear' is."
        )

    def per_output(value: Tensor | float) -> Tensor:
        tensor = torch.as_tensor(value, dtype=x.dtype).reshape(-1)
        return tensor.reshape(-1, *[1] * (weight.dim() - 1))

    dense = weight.to(x.dtype) * per_output(quant_scale) + per_output(quant_bias)
    return conv(x, dense, bias=None if bias is None else torch.as_tensor(bias, dtype=x.dtype), **window)


def conv_transpose(
    x: Tensor,
    weight: Tensor,
    strides: Sequence[int],
    dilations: Sequence[int],
    pad: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pad_type: str = "valid",
    groups: int = 1,
    bias: Tensor | None = None,
) -> Tensor:
    """The whole transposed convolution, then cut (or filled) to the declared size."""
    weight = weight.to(x.dtype)
    full = [
        (size - 1) * stride + (width - 1) * dilation + 1
        for size, stride, width, dilation in zip(
            x.shape[2:], strides, weight.shape[2:], dilations, strict=True
        )
    ]
    kind = pad_type.lower()
    if output_shape is not None:
        sizes = list(output_shape[2:])
    elif kind == "same":
        sizes = [size * stride for size, stride in zip(x.shape[2:], strides, strict=True)]
    else:
        sizes = list(full)
    if kind == "custom":
        numbers = list(pad or [0] * (2 * len(full)))
        before, after = numbers[::2], numbers[1::2]
        if output_shape is None:
            sizes = [size - low - high for size, low, high in zip(full, before, after, strict=True)]
    elif kind == "same":
        before = [max(0, size - length) // 2 for size, length in zip(full, sizes, strict=True)]
    elif kind == "same_lower":
        before = [-(-max(0, size - length) // 2) for size, length in zip(full, sizes, strict=True)]
    else:
        before = [0] * len(full)
    crops = [(-low, low + length - size) for size, length, low in zip(full, sizes, before, strict=True)]
    shift = None if bias is None else bias.to(x.dtype)
    function = _TRANSPOSED[x.dim()]
    even = symmetric(crops)
    if even is not None and all(pad <= 0 for pad in even):  # torch cuts symmetric padding by itself
        cut = [-pad for pad in even]
        return function(x, weight, shift, list(strides), cut, 0, groups, list(dilations))
    out = padded(function(x, weight, None, list(strides), 0, 0, groups, list(dilations)), crops)
    return out if shift is None else out + shift.reshape(1, -1, *[1] * len(full))


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "conv": conv,
    "conv_quantized": conv_quantized,
    "conv_transpose": conv_transpose,
}
