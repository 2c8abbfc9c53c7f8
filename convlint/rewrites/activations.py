"""Activations and bounds, one element at a time."""

from __future__ import annotations

from typing import Any

import torch

from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor


@rewrite("aten.hardshrink.default")
def hardshrink(self: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where the magnitude is small."""
    return torch.where(self.abs() > lambd, self, torch.zeros_like(self))


@rewrite("aten.softshrink.default")
def softshrink(self: Tensor, lambd: float = 0.5) -> Tensor:
    """What both ReLUs leave beyond the threshold."""
    return torch.relu(self - lambd) - torch.relu(-self - lambd)


@rewrite("aten.threshold.default")
def threshold(self: Tensor, threshold: float, value: float) -> Tensor:
    """A value where the tensor is not above the threshold."""
    return torch.where(self > threshold, self, torch.full_like(self, value))


@rewrite("aten.elu.default")
def elu(self: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    """Its two halves, with their scales."""
    low = alpha * (torch.exp(torch.clamp(self, max=0.0) * input_scale) - 1)
    return scale * (torch.relu(self) + low)


@rewrite("aten.celu.default")
def celu(self: Tensor, alpha: float = 1.0) -> Tensor:
    """Its two halves."""
    return torch.relu(self) + alpha * (torch.exp(torch.clamp(self, max=0.0) / alpha) - 1)


@rewrite("aten.mish.default")
def mish(self: Tensor) -> Tensor:
    """The product with tanh of softplus."""
    return self * torch.tanh(torch.nn.functional.softplus(self))


@rewrite("aten.log_sigmoid.default")
def log_sigmoid(self: Tensor) -> Tensor:
    """The negative softplus of the negative, without overflow."""
    return torch.clamp(self, max=0.0) - torch.log(1 + torch.exp(-self.abs()))


@rewrite("aten.log_sigmoid_forward.default")
def log_sigmoid_forward(self: Tensor) -> tuple[Tensor, Tensor]:
    """The negative softplus of the negative, and what PyTorch keeps for the gradient."""
    kept = torch.exp(-self.abs())
    return torch.clamp(self, max=0.0) - torch.log(1 + kept), kept


@rewrite("aten.logit.default")
def logit(self: Tensor, eps: float | None = None) -> Tensor:
    """The logarithm of the odds."""
    if eps is not None and eps > 0.5:
        raise NotApplicable("its bounds are crossed")
    inside = self if eps is None else torch.clamp(self, eps, 1 - eps)
    return torch.log(inside / (1 - inside))


@rewrite("aten.hardtanh.default")
def hardtanh(self: Tensor, min_val: float = -1, max_val: float = 1) -> Tensor:
    """torch.maximum and torch.minimum with the bounds."""
    return clamp(self, min_val, max_val)


@rewrite("aten.clamp.default", "aten.clamp.Tensor")
def clamp(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """torch.maximum and torch.minimum with the bounds."""
    out = self
    for bound, choose in ((min, torch.maximum), (max, torch.minimum)):
        if bound is not None:
            limit = bound if isinstance(bound, Tensor) else torch.full((1,), bound).reshape(())
            out = choose(out, limit.to(self.dtype))
    return out


@rewrite("aten.clamp_min.default", "aten.clamp_min.Tensor")
def clamp_min(self: Tensor, min: Any) -> Tensor:
    """torch.maximum with the bound."""
    return clamp(self, min, None)


@rewrite("aten.clamp_max.default", "aten.clamp_max.Tensor")
def clamp_max(self: Tensor, max: Any) -> Tensor:
    """torch.minimum with the bound."""
    return clamp(self, None, max)


@rewrite("aten.prelu.default", "aten._prelu_kernel.default")
def prelu(self: Tensor, weight: Tensor) -> Tensor:
    """Two ReLUs, the negative one scaled by the slope."""
    shape = [1] * self.dim()
    if weight.numel() > 1 and self.dim() > 1:
        shape[1] = -1
    slope = weight.reshape(shape) if self.dim() else weight.reshape(())
    return torch.relu(self) - slope * torch.relu(-self)
