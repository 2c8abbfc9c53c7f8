"""Distances: norms of differences."""

from __future__ import annotations

from typing import Any

import torch

from convlint.rewrites.reduction import vector_norm
from convlint.rewrites.table import rewrite

Tensor = torch.Tensor


@rewrite("aten.dist.default")
def dist(self: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The norm of the difference."""
    return vector_norm(self - other, p)


@rewrite("aten.cdist.default", "aten._cdist_forward.default", "aten._euclidean_dist.default")
def cdist(x1: Tensor, x2: Tensor, p: float = 2, compute_mode: Any = None) -> Tensor:
    """The norm of all differences."""
    gap = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    return vector_norm(gap, p, [gap.dim() - 1])


@rewrite("aten.pairwise_distance.default")
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The norm of the difference."""
    gap = x1 - x2 + eps
    return vector_norm(gap, p, [gap.dim() - 1], keepdim)
