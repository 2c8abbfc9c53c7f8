"""The table of counterparts: for each call what computes it over data kept channels-first."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from convlint.repair.layout import heads as heads
from convlint.repair.layout import layers as layers
from convlint.repair.layout import slices as slices
from convlint.repair.layout.views import Carrier, moved, moves_nothing
from convlint.repair.layout.walk import Counterpart, Relay
from convlint.repair.layout.writer import Writer, shape_of
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    from torch.fx import Node


def counterpart(op: str, node: Node) -> Counterpart | None:
    """What computes a call over the carried data, or None."""
    import torch

    if op in _table():
        return _table()[op]
    if moves_nothing(node):
        return _MOVED
    if torch.Tag.pointwise in getattr(node.target, "tags", ()) or op == "aten._to_copy.default":
        return _ELEMENTWISE
    return None


def _moved(relay: Relay, node: Any, write: Writer) -> Carrier:
    held = relay.carried[node.all_input_nodes[0]]
    return Carrier(moved(held.layout, node), held.parts)


def _elementwise(relay: Relay, node: Any, write: Writer) -> Carrier:
    import torch

    wanted = shape_of(node)
    held = [relay.carried[source] for source in node.all_input_nodes if source in relay.carried]
    forms = [one for one in held if one.layout.shape == wanted]
    if not forms:
        raise NotApplicable("nothing that is carried has the shape of the result")
    form = max(forms, key=lambda one: len(one.parts))
    alike = {source: relay.like(source, form, write) for source in node.all_input_nodes}
    kwargs = {name: value for name, value in node.kwargs.items() if name != "memory_format"}
    parts = []
    for place in range(len(form.parts)):
        mine = {source: nodes[place] for source, nodes in alike.items()}
        args, named = torch.fx.map_arg((node.args, kwargs), mine.__getitem__)
        parts.append(write(node.target, *args, **named))
    return Carrier(form.layout, tuple(parts))


_MOVED = Counterpart(_moved, moves_nothing=True)
_ELEMENTWISE = Counterpart(_elementwise)


@cache
def _table() -> dict[str, Counterpart]:
    convolution = "a 1x1 convolution over (batch, channels, 1, sequence)"
    norm = "normalised over the axis of channels"
    by_head = "attention head by head"
    table = {
        "aten.linear.default": Counterpart(layers.linear, convolution, starts=True),
        "aten.addmm.default": Counterpart(layers.addmm, convolution, starts=True),
        "aten.layer_norm.default": Counterpart(layers.layer_norm, norm, starts=True),
        "aten.rms_norm.default": Counterpart(layers.rms_norm, norm, starts=True),
        "aten.scaled_dot_product_attention.default": Counterpart(heads.attention, by_head),
        "aten.expand.default": Counterpart(heads.expanded, moves_nothing=True),
        "aten.repeat_interleave.self_int": Counterpart(heads.repeat_interleave, moves_nothing=True),
        "aten.slice.Tensor": Counterpart(slices.slice_of, moves_nothing=True),
        "aten.select.int": Counterpart(slices.select, moves_nothing=True),
        "aten.unbind.int": Counterpart(slices.unbind),
        "_operator.getitem": Counterpart(slices.getitem, moves_nothing=True),
        "aten.cat.default": Counterpart(slices.cat),
    }
    table |= dict.fromkeys(
        ("aten.mm.default", "aten.matmul.default", "aten.bmm.default"), Counterpart(heads.product, by_head)
    )
    table |= dict.fromkeys(
        ("aten.softmax.int", "aten._softmax.default", "aten.log_softmax.int", "aten._log_softmax.default"),
        Counterpart(layers.softmax),
    )
    table |= dict.fromkeys(
        ("aten.mean.dim", "aten.sum.dim_IntList", "aten.amax.default", "aten.amin.default"),
        Counterpart(layers.reduced),
    )
    table |= dict.fromkeys(
        ("aten.split.Tensor", "aten.split_with_sizes.default", "aten.chunk.default"),
        Counterpart(slices.split),
    )
    return table
