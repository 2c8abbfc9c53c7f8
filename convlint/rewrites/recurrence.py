"""Recurrent layers and their cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from convlint.rewrites.table import NotApplicable, need_numbers, rewrite

Tensor = torch.Tensor
_STEPS = 512
"""Time steps of a recurrence that are written out one by one."""


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
            for finals, state in zip(last, now, strict=True):
                finals.append(state)
        x = torch.cat(sides, -1) if directions == 2 else sides[0]
    out = x.transpose(0, 1) if batch_first else x
    return (out, *(torch.stack(finals, 0) for finals in last))


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
    results = _recurrent(input, hx, params, has_biases, num_layers, bidirectional, batch_first, _lstm_step)
    return results[0], results[1], results[2]


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
    results = _recurrent(input, [hx], params, has_biases, num_layers, bidirectional, batch_first, _gru_step)
    return results[0], results[1]


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
    results = _recurrent(input, [hx], params, has_biases, num_layers, bidirectional, batch_first, step)
    return results[0], results[1]


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
    results = _recurrent(input, [hx], params, has_biases, num_layers, bidirectional, batch_first, step)
    return results[0], results[1]


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
    states = _lstm_step(linear(input, w_ih, b_ih), linear(hx[0], w_hh, b_hh), hx)
    return states[0], states[1]


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
