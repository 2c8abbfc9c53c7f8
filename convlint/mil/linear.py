"""Matrix products: linear, matmul, einsum and attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def linear(x: Tensor, weight: Tensor, bias: Tensor | Sequence[int] | None = None) -> Tensor:
    shift = bias if bias is None or isinstance(bias, Tensor) else torch.tensor(bias)
    if x.dtype.is_floating_point:
        return F.linear(x, weight.to(x.dtype), None if shift is None else shift.to(x.dtype))
    product = x.long() @ weight.long().T
    return product if shift is None else product + shift


def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """With NumPy's broadcasting of batches; transposing a vector does nothing."""
    if transpose_x and x.dim() > 1:
        x = x.transpose(-1, -2)
    if transpose_y and y.dim() > 1:
        y = y.transpose(-1, -2)
    if x.dtype.is_floating_point or y.dtype.is_floating_point:
        return torch.matmul(x.float(), y.float())
    return torch.matmul(x.long(), y.long())


def einsum(values: Sequence[Tensor], equation: str) -> Tensor:
    return torch.einsum(equation.replace(" ", ""), *values)


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
) -> Tensor:
    """Attention by the formula of the op's documentation: a row whose mask hides everything is NaN.

    PyTorch's own function returns zeros for such a row: its note on ``attn_mask`` and
    https://github.com/pytorch/pytorch/pull/131060.
    """
    scores = query @ key.transpose(-1, -2)
    scores /= math.sqrt(query.shape[-1])
    if attn_mask is not None:
        if attn_mask.dtype is torch.bool:
            scores.masked_fill_(~attn_mask, -math.inf)
        else:
            scores = scores + attn_mask
    return scores.softmax(-1) @ value


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "einsum": einsum,
    "linear": linear,
    "matmul": matmul,
    "scaled_dot_product_attention": scaled_dot_product_attention,
}
