"""Recurrent layers: rnn, gru and lstm, step by step by their formulas.

The sequence is the first axis. With ``direction="reverse"`` the outputs are in the order of computation:
the first belongs to the last input, as in coremltools' own tests. A bidirectional lstm has both directions
in the order of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from convlint.mil.failures import UnsupportedOperation

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "linear": lambda x: x,
    # The parameters that these functions take elsewhere have fixed defaults here, so scaled_tanh is tanh:
    # https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/mil/ops/tests/iOS14/test_recurrent.py
    "hard_sigmoid": lambda x: (0.2 * x + 0.5).clamp(0, 1),
    "sigmoid_hard": lambda x: (0.2 * x + 0.5).clamp(0, 1),
    "scaled_tanh": torch.tanh,
}


def _activation(name: str) -> Callable[[Tensor], Tensor]:
    function = _ACTIVATIONS.get(name.lower())
    if function is None:
        raise UnsupportedOperation(f"{name!r} is not an activation of MIL's recurrent ops.")
    return function


def _order(length: int, direction: str) -> Sequence[int]:
    return range(length) if direction == "forward" else range(length - 1, -1, -1)


def _outputs(steps: list[Tensor], output_sequence: bool) -> Tensor:
    """The sequence output: all steps in the order of computation, or only the last computed one."""
    return torch.stack(steps) if output_sequence else steps[-1].unsqueeze(0)


def rnn(
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    activation: str = "tanh",
) -> tuple[Tensor, Tensor]:
    act = _activation(activation)
    inputs = x @ weight_ih.T + (0 if bias is None else bias)
    h, steps = initial_h, []
    for t in _order(x.shape[0], direction):
        h = act(inputs[t] + h @ weight_hh.T)
        steps.append(h)
    return _outputs(steps, output_sequence), h


def gru(
    x: Tensor,
    initial_h: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
    reset_after: bool = False,
    input_bias: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Gates in the order reset, output, update.

    The documentation's formula multiplies by the reset gate after the matrix product; coremltools' own
    tests, which ran on Core ML, and its converter apply it before, unless ``reset_after`` is set.
    """
    gate, act = _activation(recurrent_activation), _activation(activation)
    w_r, w_o, w_z = weight_hh.chunk(3)
    none = torch.zeros(len(weight_hh), dtype=x.dtype)
    b_r, b_o, b_z = (none if bias is None else bias).chunk(3)
    inputs = x @ weight_ih.T + (0 if input_bias is None else input_bias)
    h, steps = initial_h, []
    for t in _order(x.shape[0], direction):
        i_r, i_o, i_z = inputs[t].chunk(3, -1)
        r = gate(i_r + h @ w_r.T + b_r)
        z = gate(i_z + h @ w_z.T + b_z)
        hidden = r * (h @ w_o.T + b_o) if reset_after else (r * h) @ w_o.T + b_o
        h = (1 - z) * act(i_o + hidden) + z * h
        steps.append(h)
    return _outputs(steps, output_sequence), h


def _lstm_direction(
    x: Tensor,
    h: Tensor,
    c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None,
    peephole: Tensor | None,
    order: Sequence[int],
    activations: tuple[str, str, str],
    clip: float | None,
) -> tuple[list[Tensor], Tensor, Tensor]:
    """The outputs of one direction in the order of computation, and its last states."""
    gate, cell, act = map(_activation, activations)
    p_i, p_f, p_o = (None, None, None) if peephole is None else peephole.chunk(3)
    inputs = x @ weight_ih.T + (0 if bias is None else bias)
    steps = []
    for t in order:
        i, f, o, z = (inputs[t] + h @ weight_hh.T).chunk(4, -1)
        if p_i is not None and p_f is not None:
            i, f = i + p_i * c, f + p_f * c
        c = gate(f) * c + gate(i) * cell(z)
        if clip is not None:  # the memory, as the tests have it; the documentation says the cell gate
            c = c.clamp(-clip, clip)
        if p_o is not None:
            o = o + p_o * c
        h = gate(o) * act(c)
        steps.append(h)
    return steps, h, c


def lstm(
    x: Tensor,
    initial_h: Tensor,
    initial_c: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    peephole: Tensor | None = None,
    weight_ih_back: Tensor | None = None,
    weight_hh_back: Tensor | None = None,
    bias_back: Tensor | None = None,
    peephole_back: Tensor | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    clip: float | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gates in the order input, forget, output, cell."""
    names = (recurrent_activation, cell_activation, activation)
    length, size = x.shape[0], weight_hh.shape[1]
    if direction != "bidirectional":
        order = _order(length, direction)
        steps, h, c = _lstm_direction(
            x, initial_h, initial_c, weight_ih, weight_hh, bias, peephole, order, names, clip
        )
        return _outputs(steps, output_sequence), h, c
    if weight_ih_back is None or weight_hh_back is None:
        raise UnsupportedOperation("a bidirectional lstm needs weight_ih_back and weight_hh_back.")
    forth, h_forth, c_forth = _lstm_direction(
        x,
        initial_h[:, :size],
        initial_c[:, :size],
        weight_ih,
        weight_hh,
        bias,
        peephole,
        range(length),
        names,
        clip,
    )
    back, h_back, c_back = _lstm_direction(
        x,
        initial_h[:, size:],
        initial_c[:, size:],
        weight_ih_back,
        weight_hh_back,
        bias_back,
        peephole_back,
        _order(length, "reverse"),
        names,
        clip,
    )
    h, c = torch.cat([h_forth, h_back], -1), torch.cat([c_forth, c_back], -1)
    if not output_sequence:
        return h.unsqueeze(0), h, c
    return torch.cat([torch.stack(forth), torch.stack(back[::-1])], -1), h, c


OPERATIONS: dict[str, Callable[..., tuple[Tensor, ...]]] = {"gru": gru, "lstm": lstm, "rnn": rnn}
