"""Layers that shift and scale by means and mean squares."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from convlint.rewrites.table import rewrite

Tensor = torch.Tensor


@rewrite("aten.rms_norm.default")
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """The product with the inverse root of the mean square."""
    axes = list(range(input.dim() - len(normalized_shape), input.dim()))
    small = torch.finfo(input.dtype).eps if eps is None else eps
    out = input * torch.rsqrt((input * input).mean(axes, keepdim=True) + small)
    return out if weight is None else out * weight


@rewrite("aten._safe_softmax.default")
def safe_softmax(self: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """torch.softmax where something is not hidden, zeros elsewhere."""
    values = self if dtype is None else self.to(dtype)
    hidden = values.amax([dim], keepdim=True) == -math.inf
    open_rows = torch.where(hidden, torch.zeros_like(values), values)
    return torch.where(hidden, torch.zeros_like(values), torch.softmax(open_rows, dim))


@rewrite("aten.layer_norm.default")
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """The distance from the mean over the root of the mean square distance."""
    axes = list(range(input.dim() - len(normalized_shape), input.dim()))
    return _normalised(input, axes, weight, bias, eps)


def _normalised(x: Tensor, axes: list[int], weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    out = centred * torch.rsqrt((centred * centred).mean(axes, keepdim=True) + eps)
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias


@rewrite("aten.group_norm.default")
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Each group's distance from its mean over the root of its mean square distance."""
    batch, channels = input.shape[:2]
    rest = list(input.shape[2:])
    groups = input.reshape([batch, num_groups, (channels // num_groups) * math.prod(rest)])
    out = _normalised(groups, [2], None, None, eps).reshape(list(input.shape))
    shape = [1, channels, *[1] * len(rest)]
    if weight is not None:
        out = out * weight.reshape(shape)
    return out if bias is None else out + bias.reshape(shape)


@rewrite("aten.native_group_norm.default")
def native_group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Each group's distance from its mean over the root of its mean square distance."""
    groups = input.reshape([N, group, -1])
    mean = groups.mean([2])
    centred = groups - mean.unsqueeze(-1)
    inverse = torch.rsqrt((centred * centred).mean([2]) + eps)
    return group_norm(input, group, weight, bias, eps), mean, inverse


@rewrite("aten.native_layer_norm.default")
def native_layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The distance from the mean over the root of the mean square distance."""
    axes = list(range(input.dim() - len(normalized_shape), input.dim()))
    mean = input.mean(axes, keepdim=True)
    inverse = torch.rsqrt(((input - mean) * (input - mean)).mean(axes, keepdim=True) + eps)
    return _normalised(input, axes, weight, bias, eps), mean, inverse


@rewrite("aten.instance_norm.default")
def instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Each channel's distance from its mean over the root of its mean square distance."""
    shape = [1, -1, *[1] * (input.dim() - 2)]
    if use_input_stats:
        axes = list(range(2, input.dim()))
        return _normalised(
            input,
            axes,
            None if weight is None else weight.reshape(shape),
            None if bias is None else bias.reshape(shape),
            eps,
        )
    assert running_mean is not None
    assert running_var is not None
    return _frozen(input, weight, bias, running_mean, running_var, eps)


def _frozen(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float
) -> Tensor:
    shape = [1, -1, *[1] * (x.dim() - 2)]
    scale = torch.rsqrt(var + eps)
    if weight is not None:
        scale = scale * weight
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias
    return x * scale.reshape(shape) + shift.reshape(shape)


@rewrite("aten._native_batch_norm_legit_no_training.default")
def batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """A scale and a shift for each channel."""
    out = _frozen(input, weight, bias, running_mean, running_var, eps)
    return out, running_mean.new_zeros(0), running_mean.new_zeros(0)
