"""Attention, losses and what else is a layer of its own."""

from __future__ import annotations

import math
from typing import Any

import torch

from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor


@rewrite("aten.scaled_dot_product_attention.default")
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Two matrix products with a softmax between them, the mask added."""
    if dropout_p:
        raise NotApplicable("it has dropout")
    if enable_gqa and key.shape[-3] != query.shape[-3]:
        times = query.shape[-3] // key.shape[-3]
        key, value = (_each_head(part, times) for part in (key, value))
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query * factor, key.transpose(-2, -1))
    if is_causal:
        rows, columns = query.shape[-2], key.shape[-2]
        beyond = [[-math.inf if column > row else 0.0 for column in range(columns)] for row in range(rows)]
        scores = scores + torch.tensor(beyond).to(scores.dtype)
    if attn_mask is not None:
        if attn_mask.dtype is torch.bool:
            low = torch.full((1,), -math.inf, dtype=scores.dtype).reshape(())
            scores = torch.where(attn_mask, scores, low)
        else:
            scores = scores + attn_mask
    weights = torch.softmax(scores, -1)
    return torch.matmul(weights, value)


@rewrite("aten._scaled_dot_product_flash_attention_for_cpu.default")
def flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Two matrix products with a softmax between them, and the logarithm of what that divides by."""
    if dropout_p:
        raise NotApplicable("it has dropout")
    factor = 1.0 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = torch.matmul(query * factor, key.transpose(-2, -1))
    if is_causal:
        rows, columns = query.shape[-2], key.shape[-2]
        beyond = [[-math.inf if column > row else 0.0 for column in range(columns)] for row in range(rows)]
        scores = scores + torch.tensor(beyond).to(scores.dtype)
    if attn_mask is not None:
        scores = scores + attn_mask
    high = scores.amax([-1], keepdim=True)
    total = torch.exp(scores - high).sum([-1], keepdim=True)
    out = torch.matmul(torch.softmax(scores, -1), value)
    return out, (torch.log(total) + high).squeeze(-1).detach()  # PyTorch passes no gradient through it


def _each_head(part: Tensor, times: int) -> Tensor:
    *front, heads, length, width = part.shape
    wide = part.reshape([math.prod(front), heads, 1, length * width])
    wide = wide.expand([math.prod(front), heads, times, length * width])
    return wide.reshape([*front, heads * times, length, width])


@rewrite("aten.cosine_similarity.default")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The product of both, each divided by its length."""
    one, two = torch.broadcast_tensors(x1, x2)
    lengths = [
        torch.clamp(torch.sqrt((part * part).sum([dim], keepdim=True)), min=eps) for part in (one, two)
    ]
    return (one / lengths[0] * (two / lengths[1])).sum([dim])


def _reduced(loss: Tensor, reduction: int) -> Tensor:
    if reduction == 0:
        return loss
    axes = list(range(loss.dim()))
    if not axes:
        return loss
    return loss.mean(axes) if reduction == 1 else loss.sum(axes)


@rewrite("aten.mse_loss.default")
def mse_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    """The mean of squared differences."""
    gap = self - target
    return _reduced(gap * gap, reduction)


@rewrite("aten.l1_loss.default")
def l1_loss(self: Tensor, target: Tensor, reduction: int = 1) -> Tensor:
    """The mean of the magnitudes of differences."""
    return _reduced((self - target).abs(), reduction)


@rewrite("aten.glu.default")
def glu(self: Tensor, dim: int = -1) -> Tensor:
    """One half times the sigmoid of the other."""
    half = self.shape[dim] // 2
    return self.narrow(dim, 0, half) * torch.sigmoid(self.narrow(dim, half, half))


@rewrite("aten.linalg_cross.default")
def cross(self: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Products of the axes in turn, and their difference."""
    ahead, behind = torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1])
    one, two = torch.broadcast_tensors(self, other)
    pick = torch.index_select
    return pick(one, dim, ahead) * pick(two, dim, behind) - pick(one, dim, behind) * pick(two, dim, ahead)


@rewrite("aten.cross.default")
def cross_of_three(self: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """Products of the axes in turn, and their difference, along the first axis of three."""
    shape = torch.broadcast_shapes(self.shape, other.shape)
    return cross(self, other, dim=list(shape).index(3) if dim is None else dim)


@rewrite("aten.bilinear.default")
def bilinear_product(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A product of the first with all weights, then with the second."""
    outs, ins, _ = weight.shape
    table = torch.matmul(input1.reshape(-1, ins), weight.permute(1, 0, 2).reshape(ins, -1))
    parts = table.reshape(-1, outs, weight.shape[2]) * input2.reshape(-1, 1, weight.shape[2])
    out = parts.sum([2]).reshape([*input1.shape[:-1], outs])
    return out if bias is None else out + bias


@rewrite("transformers.grouped_mm_fallback.default", "aten._grouped_mm.default")
def grouped_product(input: Tensor, weight: Tensor, offs: Tensor | None = None, *rest: Any) -> Tensor:
    """Every row times the matrices of all groups, and of these the one of the row's own group."""
    if offs is None or input.dim() != 2 or weight.dim() != 3 or any(one is not None for one in rest):
        raise NotApplicable("it is not rows sorted by group")
    rows, groups = input.shape[0], weight.shape[0]
    place = torch.tensor(list(range(rows)), dtype=torch.int32).reshape(1, rows)
    ends = offs.to(torch.int32).reshape(groups, 1)
    starts = torch.cat([torch.full((1, 1), 0, dtype=torch.int32), ends[:-1]], 0)
    mine = torch.logical_and(place >= starts, place < ends).to(input.dtype).unsqueeze(-1)
    return torch.bmm(input.unsqueeze(0) * mine, weight).sum([0])
