"""Normalisations. Statistics and parameters are float32, whatever the precision of the input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from convlint.mil.activation import per_channel


def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    scale, shift = (None if p is None else p.to(x.dtype) for p in (gamma, beta))
    return F.batch_norm(x, mean.to(x.dtype), variance.to(x.dtype), scale, shift, training=False, eps=epsilon)


def instance_norm(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5
) -> Tensor:
    axes = list(range(2, x.dim()))
    variance, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
    out = (x - mean) * torch.rsqrt(variance + epsilon)
    if gamma is not None:
        out = out * per_channel(gamma.to(x.dtype), x)
    return out if beta is None else out + per_channel(beta.to(x.dtype), x)


def l2_norm(x: Tensor, epsilon: float = 1e-6) -> Tensor:
    """``x`` divided by its norm over the last three axes; earlier axes are batch."""
    return x / torch.sqrt(x.square().sum([-3, -2, -1], keepdim=True) + epsilon)


def layer_norm(
    x: Tensor,
    axes: Sequence[int] | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    rank = x.dim()
    chosen = sorted(axis % rank for axis in (range(rank) if axes is None else axes))
    if chosen == list(range(rank - len(chosen), rank)):
        sizes = list(x.shape[rank - len(chosen) :])
        scale, shift = (None if p is None else p.to(x.dtype).reshape(sizes) for p in (gamma, beta))
        return F.layer_norm(x, sizes, scale, shift, epsilon)
    variance, mean = torch.var_mean(x, chosen, correction=0, keepdim=True)
    out = (x - mean) * torch.rsqrt(variance + epsilon)
    broadcast = [size if axis in chosen else 1 for axis, size in enumerate(x.shape)]
    if gamma is not None:
        out = out * gamma.to(x.dtype).reshape(broadcast)
    return out if beta is None else out + beta.to(x.dtype).reshape(broadcast)


def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Normalise over ``size`` neighbouring channels; an even size reaches one channel further back."""
    squares = F.pad(x.square().flatten(2).transpose(1, 2), (size // 2, (size - 1) // 2))
    total = squares.unfold(-1, size, 1).sum(-1).transpose(1, 2).reshape(x.shape)
    return x / (k + alpha / size * total) ** beta


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "batch_norm": batch_norm,
    "instance_norm": instance_norm,
    "l2_norm": l2_norm,
    "layer_norm": layer_norm,
    "local_response_norm": local_response_norm,
}
