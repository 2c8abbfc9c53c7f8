"""Losses that pick what belongs to a class."""

from __future__ import annotations

import torch

from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor
_TABLE = 1 << 22
"""Elements of a comparison table beyond which a rewrite by comparison is no help."""


@rewrite("aten.nll_loss_forward.default", "aten.nll_loss2d_forward.default")
def nll_loss_forward(
    self: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """What stands at the class of each target, by comparison with all classes."""
    axis = 0 if self.dim() == 1 else 1
    classes = self.shape[axis]
    if self.numel() > _TABLE:
        raise NotApplicable("a table of all classes would be too large")
    shape = [1] * self.dim()
    shape[axis] = classes
    numbers = torch.tensor(list(range(classes))).reshape(shape)
    kept = target != ignore_index
    here = torch.logical_and(target.unsqueeze(axis) == numbers, kept.unsqueeze(axis))
    zero = torch.zeros_like(self)
    picked = torch.where(here, self, zero).sum([axis])
    if weight is None:
        share = kept.to(self.dtype)
    else:
        share = torch.where(here, weight.reshape(shape).expand(self.shape), zero).sum([axis])
    loss = -picked * share
    axes = list(range(loss.dim()))
    total = share.sum(axes) if axes else share
    if reduction == 0:
        return loss, torch.zeros_like(total)
    summed = loss.sum(axes) if axes else loss
    return (summed / total if reduction == 1 else summed), total
