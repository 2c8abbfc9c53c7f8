"""Linear layers, norms and reductions over data kept channels-first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from convlint.repair.layout.axes import CHANNELS, DATA_AXIS, Atom, Run
from convlint.repair.layout.views import Carrier, argument, sliced
from convlint.repair.layout.walk import Relay
from convlint.repair.layout.writer import Writer, shape_of
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    from torch.fx import Node

LARGEST_AXIS = 16384
"""Outputs of one convolution: an axis beyond that leaves the engine of older chips (rule CL219)."""


def convolved(
    relay: Relay, node: Any, weight: Any, bias: Any, write: Writer, *, turned: bool = False
) -> Carrier:
    """The linear layer as 1x1 convolutions; ``turned`` where the weight is (in, out)."""
    weights = relay.weights
    if weight not in weights or (bias is not None and bias not in weights) or len(shape_of(weight)) != 2:
        raise NotApplicable("its weight is computed from an input")
    if bias is not None and len(shape_of(bias)) != 1:
        raise NotApplicable("its bias is not one number for each channel")
    aten = torch.ops.aten
    held = relay.channels_last(node, write)
    if turned:
        weight = write(aten.permute.default, weight, [1, 0])
    outs, ins = shape_of(weight)
    slices = []
    for start in range(0, outs, LARGEST_AXIS):
        length = min(LARGEST_AXIS, outs - start)
        kernel = write.reshaped(sliced(weight, 0, start, length, write), [length, ins, 1, 1])
        shift = None if bias is None else sliced(bias, 0, start, length, write)
        slices.append(write(aten.conv2d.default, held.parts[0], kernel, shift))
    data = slices[0] if len(slices) == 1 else write(aten.cat.default, slices, 1)
    new: Run = (Atom(outs),) if outs > 1 else ()
    layout = held.layout.with_axes((*held.layout.axes[:-1], new)).with_group(CHANNELS, new)
    return Carrier(layout, (data,))


def linear(relay: Relay, node: Any, write: Writer) -> Carrier:
    return convolved(relay, node.args[0], node.args[1], argument(node, 2, "bias", None), write)


def addmm(relay: Relay, node: Any, write: Writer) -> Carrier:
    if node.kwargs or len(node.args) > 3:
        raise NotApplicable("it scales its operands")
    return convolved(relay, node.args[1], node.args[2], node.args[0], write, turned=True)


def layer_norm(relay: Relay, node: Any, write: Writer) -> Carrier:
    weight, bias = argument(node, 2, "weight", None), argument(node, 3, "bias", None)
    eps = argument(node, 4, "eps", 1e-5)
    held = _normalised_axis(relay, node, write)
    aten = torch.ops.aten
    parts = []
    for part in held.parts:
        centred = write(aten.sub.Tensor, part, write(aten.mean.dim, part, [1], True))
        parts.append(_divided(centred, centred, eps, write))
    return _scaled(Carrier(held.layout, tuple(parts)), weight, bias, write)


def rms_norm(relay: Relay, node: Any, write: Writer) -> Carrier:
    eps = argument(node, 3, "eps", None)
    if eps is None:
        eps = torch.finfo(node.meta["val"].dtype).eps
    held = _normalised_axis(relay, node, write)
    parts = tuple(_divided(part, part, eps, write) for part in held.parts)
    return _scaled(Carrier(held.layout, parts), argument(node, 2, "weight", None), None, write)


def _normalised_axis(relay: Relay, node: Any, write: Writer) -> Carrier:
    if len(node.args[1]) != 1:
        raise NotApplicable("it normalises over several axes")
    source = node.args[0]
    held = relay.exposed(relay.carry(source, write), -1, write)
    if held.layout.whole_group(-1) != CHANNELS:
        held = relay.channels_last(source, write)
    return held


def _divided(x: Node, over: Node, eps: float, write: Writer) -> Node:
    """``x`` by the root of the mean square of ``over``, along the channels."""
    aten = torch.ops.aten
    square = write(aten.mean.dim, write(aten.mul.Tensor, over, over), [1], True)
    return write(aten.mul.Tensor, x, write(aten.rsqrt.default, write(aten.add.Tensor, square, eps)))


def _scaled(held: Carrier, weight: Any, bias: Any, write: Writer) -> Carrier:
    aten = torch.ops.aten
    parts = list(held.parts)
    for op, operand in ((aten.mul.Tensor, weight), (aten.add.Tensor, bias)):
        if operand is not None:
            column = write.reshaped(operand, [1, shape_of(operand)[0], 1, 1])
            parts = [write(op, part, column) for part in parts]
    return Carrier(held.layout, tuple(parts))


def softmax(relay: Relay, node: Any, write: Writer) -> Carrier:
    dim = node.args[1]
    held = relay.exposed(relay.carried[node.args[0]], dim, write)
    group = held.layout.whole_group(dim)
    if group not in DATA_AXIS:
        raise NotApplicable("it runs over the parts")
    parts = tuple(
        write(node.target, part, DATA_AXIS[group], *node.args[2:], **node.kwargs) for part in held.parts
    )
    return Carrier(held.layout, parts)


def reduced(relay: Relay, node: Any, write: Writer) -> Carrier:
    dims_argument = argument(node, 1, "dim", None)
    keep = bool(argument(node, 2, "keepdim", False))
    held = relay.carried[node.args[0]]
    rank = len(held.layout.axes)
    dims = sorted(
        {axis % rank for axis in ([dims_argument] if isinstance(dims_argument, int) else dims_argument or ())}
    )
    if not dims:
        raise NotApplicable("it reduces to one number")
    for dim in dims:
        held = relay.exposed(held, dim, write)
    groups = [held.layout.whole_group(dim) for dim in dims]
    if any(group not in DATA_AXIS for group in groups):
        raise NotApplicable("it runs over the parts")
    rest = {name: value for name, value in node.kwargs.items() if name not in ("dim", "keepdim")}
    over = [DATA_AXIS[group] for group in groups if group is not None]
    parts = tuple(write(node.target, part, over, True, **rest) for part in held.parts)
    layout = held.layout
    for group in groups:
        assert group is not None
        layout = layout.with_group(group, ())
    axes = [() if axis in dims else run for axis, run in enumerate(layout.axes)]
    return Carrier(
        layout.with_axes([run for axis, run in enumerate(axes) if keep or axis not in dims]), parts
    )
