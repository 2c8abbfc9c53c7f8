"""Whole layers: normalisation, attention, recurrence, losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor
_STEPS = 512
"""Time steps of a recurrence that are written out one by one."""


@rewrite("aten.rms_norm.default")
def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """The product with the inverse root of the mean square."""
    axes = list(range(input.dim() - len(normalized_shape), input.dim()))
    small = torch.finfo(input.dtype).eps if eps is None else eps
    out = input * torch.rsqrt((input * input).mean(axes, keepdim=True) + small)
    return out if weight is None else out * weight


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


def _each_head(part: Tensor, times: int) -> Tensor:
    *front, heads, length, width = part.shape
    wide = part.reshape([math.prod(front), heads, 1, length * width])
    wide = wide.expand([math.prod(front), heads, times, length * width])
    return wide.reshape([*front, heads * times, length, width])


Cell = Any


def _recurrent(
    input: Tensor,
    states: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    cell: Cell,
) -> tuple[Tensor, ...]:
    """A stack of recurrent layers written out step by step: the output, and the last states."""
    x = input.transpose(0, 1) if batch_first else input
    steps = x.shape[0]
    need_numbers(steps)
    if steps > _STEPS:
        raise NotApplicable(f"the sequence is longer than {_STEPS}")
    directions = 2 if bidirectional else 1
    width = 4 if has_biases else 2
    if len(params) != width * num_layers * directions:
        raise NotApplicable("it has projections")
    last: list[list[Tensor]] = [[] for _ in states]
    for layer in range(num_layers):
        sides = []
        for direction in range(directions):
            number = layer * directions + direction
            weights = params[number * width : (number + 1) * width]
            drive = torch.nn.functional.linear(x, weights[0], weights[2] if has_biases else None)
            now = [state[number] for state in states]
            outs: list[Tensor] = []
            order = range(steps) if direction == 0 else range(steps - 1, -1, -1)
            for step in order:
                recur = torch.nn.functional.linear(now[0], weights[1], weights[3] if has_biases else None)
                now = cell(drive[step], recur, now)
                outs.append(now[0])
            sides.append(torch.stack(outs if direction == 0 else outs[::-1], 0))
            for kept, state in zip(last, now, strict=True):
                kept.append(state)
        x = torch.cat(sides, -1) if directions == 2 else sides[0]
    out = x.transpose(0, 1) if batch_first else x
    return (out, *(torch.stack(kept, 0) for kept in last))


def _lstm_step(drive: Tensor, recur: Tensor, now: Sequence[Tensor]) -> list[Tensor]:
    size = now[0].shape[-1]
    gates = drive + recur
    i, f, g, o = (gates.narrow(-1, part * size, size) for part in range(4))
    c = torch.sigmoid(f) * now[1] + torch.sigmoid(i) * torch.tanh(g)
    return [torch.sigmoid(o) * torch.tanh(c), c]


def _gru_step(drive: Tensor, recur: Tensor, now: Sequence[Tensor]) -> list[Tensor]:
    size = now[0].shape[-1]
    parts = [(drive.narrow(-1, p * size, size), recur.narrow(-1, p * size, size)) for p in range(3)]
    reset = torch.sigmoid(parts[0][0] + parts[0][1])
    keep = torch.sigmoid(parts[1][0] + parts[1][1])
    new = torch.tanh(parts[2][0] + reset * parts[2][1])
    return [new + keep * (now[0] - new)]


@rewrite("aten.lstm.input")
def lstm(
    input: Tensor,
    hx: Sequence[Tensor],
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Its steps, written out."""
    made = _recurrent(input, hx, params, has_biases, num_layers, bidirectional, batch_first, _lstm_step)
    return made[0], made[1], made[2]


@rewrite("aten.gru.input")
def gru(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor]:
    """Its steps, written out."""
    made = _recurrent(input, [hx], params, has_biases, num_layers, bidirectional, batch_first, _gru_step)
    return made[0], made[1]


def _plain(activation: Any) -> Cell:
    return lambda drive, recur, now: [activation(drive + recur)]


@rewrite("aten.rnn_tanh.input")
def rnn_tanh(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor]:
    """Its steps, written out."""
    step = _plain(torch.tanh)
    made = _recurrent(input, [hx], params, has_biases, num_layers, bidirectional, batch_first, step)
    return made[0], made[1]


@rewrite("aten.rnn_relu.input")
def rnn_relu(
    input: Tensor,
    hx: Tensor,
    params: Sequence[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor]:
    """Its steps, written out."""
    step = _plain(torch.relu)
    made = _recurrent(input, [hx], params, has_biases, num_layers, bidirectional, batch_first, step)
    return made[0], made[1]


@rewrite("aten.lstm_cell.default")
def lstm_cell(
    input: Tensor,
    hx: Sequence[Tensor],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Its gates, written out."""
    linear = torch.nn.functional.linear
    made = _lstm_step(linear(input, w_ih, b_ih), linear(hx[0], w_hh, b_hh), hx)
    return made[0], made[1]


@rewrite("aten.rnn_tanh_cell.default")
def rnn_tanh_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Both layers and their activation."""
    linear = torch.nn.functional.linear
    return torch.tanh(linear(input, w_ih, b_ih) + linear(hx, w_hh, b_hh))


@rewrite("aten.rnn_relu_cell.default")
def rnn_relu_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Both layers and their activation."""
    linear = torch.nn.functional.linear
    return torch.relu(linear(input, w_ih, b_ih) + linear(hx, w_hh, b_hh))


@rewrite("aten.gru_cell.default")
def gru_cell(
    input: Tensor,
    hx: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> Tensor:
    """Its gates, written out."""
    linear = torch.nn.functional.linear
    return _gru_step(linear(input, w_ih, b_ih), linear(hx, w_hh, b_hh), [hx])[0]


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


@rewrite("aten.linalg_cross.default", "aten.cross.default")
def cross(self: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """Products of the axes in turn, and their difference."""
    ahead, behind = torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1])
    one, two = torch.broadcast_tensors(self, other)
    pick = torch.index_select
    return pick(one, dim, ahead) * pick(two, dim, behind) - pick(one, dim, behind) * pick(two, dim, ahead)


@rewrite("aten.bilinear.default")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
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
