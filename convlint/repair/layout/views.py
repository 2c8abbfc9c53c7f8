"""Carried data, and the calls that only view it: which they are, and where its axes lie afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.capture.walk import op_name
from convlint.repair.layout.axes import BATCH, CHANNELS, PLACES, Layout
from convlint.repair.layout.writer import Writer, shape_of

if TYPE_CHECKING:
    from torch.fx import Node

CARRIED = "computed on (batch, channels, 1, sequence)"
"""The title of a change that only follows its neighbours into the other layout."""

_SAME_ORDER = ("aten.view.", "aten._unsafe_view.", "aten.reshape.", "aten.unsqueeze.", "aten.squeeze.",
               "aten.flatten.", "aten.unflatten.")  # fmt: skip
_SAME = ("aten.clone.default", "aten.alias.default", "aten.contiguous.default", "aten.detach.default",
         "aten.lift_fresh_copy.default")  # fmt: skip
_SWAPPED = ("aten.transpose.int", "aten.permute.default", "aten.t.default")


@dataclass(frozen=True, slots=True)
class Carrier:
    """The data that stands for a tensor: one node for each part, and how its axes lie in them."""

    layout: Layout
    parts: tuple[Node, ...]


def is_in_order(layout: Layout) -> bool:
    """Whether the data has its elements in the order of the logical axes."""
    order = tuple(atom for axis in layout.axes for atom in axis)
    return order == layout.groups[BATCH] + layout.groups[CHANNELS] + layout.groups[PLACES]


def argument(node: Any, position: int, name: str, default: Any) -> Any:
    """An argument of a call, given by position or by name."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def sliced(node: Node, axis: int, start: int, length: int, write: Writer) -> Node:
    """``length`` entries of ``node`` along ``axis``, itself where these are all."""
    import torch

    if length == shape_of(node)[axis]:
        return node
    return write(torch.ops.aten.slice.Tensor, node, axis, start, start + length)


def moves_nothing(node: Node) -> bool:
    """Whether a call gives the elements of its input in another shape or order, and nothing else."""
    op = op_name(node.target)
    if op == "aten.expand.default":
        return shape_of(node) == shape_of(node.all_input_nodes[0])
    return (op.startswith(_SAME_ORDER) or op in (*_SAME, *_SWAPPED)) and len(node.all_input_nodes) == 1


def moved(layout: Layout, node: Node) -> Layout:
    """The layout of what such a call gives, from that of its input."""
    op = op_name(node.target)
    rank = len(layout.axes)
    if op == "aten.permute.default":
        dims: Any = node.args[1]
        return layout.permuted([axis % rank for axis in dims])
    if op in _SWAPPED:
        one, two = (-2, -1) if op == "aten.t.default" else node.args[1:3]
        order = list(range(rank))
        if rank > 1:
            order[one], order[two] = order[two], order[one]  # type: ignore[index]
        return layout.permuted(order)
    return layout.viewed(shape_of(node))
