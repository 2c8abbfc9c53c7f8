"""Where a recorded model must be cut: before the first op whose sizes follow from data.

Core ML computes tensors of known sizes. What comes before such an op (``nms``, ``nonzero``, indexing by
a mask) can be converted; the op and all that follows it is left to whoever calls the model.
"""

from __future__ import annotations

import operator
from collections.abc import Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.capture.reach import is_view, reached

if TYPE_CHECKING:
    from torch.fx import Graph, Node


@dataclass(frozen=True, slots=True)
class Cut:
    """``first`` are the ops that make the cut necessary, ``left`` they and all that is left out with
    them, ``ends`` the values that the model gives instead, in the order of the run."""

    first: tuple[Node, ...]
    left: frozenset[Node]
    ends: tuple[Node, ...]


def find_cut(graph: Graph) -> Cut | None:
    """The cut of a recorded graph, or None where all its sizes are known.

    ``ends`` is empty where nothing is computed before the cut.
    """
    moving = reached(graph, lambda node: node.op == "placeholder")
    first = sizes_from_data(graph, moving)
    if not first:
        return None
    starts = set(first)
    needed = reached(graph, lambda node: node in starts)
    left = _with_light_work(graph, needed, moving)
    waiting = _ends(graph, left, moving)
    while waiting:
        view = _only_view(waiting.pop(), left, needed)
        if view is not None:
            left.discard(view)
            waiting.append(view)
    return Cut(first, frozenset(left - {output_of(graph)}), tuple(_ends(graph, left, moving)))


def _ends(graph: Graph, left: Set[Node], moving: frozenset[Node]) -> list[Node]:
    return [
        node
        for node in graph.nodes
        if node.op == "call_function"
        and node in moving
        and node not in left
        and _is_tensor(node)
        and any(user in left or user.op == "output" for user in node.users)
    ]


def _only_view(end: Node, left: Set[Node], needed: Set[Node]) -> Node | None:
    """The view that is all that is read of ``end`` after the cut: it may as well be computed before."""
    readers = [user for user in end.users if user in left or user.op == "output"]
    if len(readers) == 1 and readers[0] in left - needed and is_view(readers[0]) and _is_tensor(readers[0]):
        return readers[0]
    return None


def sizes_from_data(graph: Graph, among: frozenset[Node]) -> tuple[Node, ...]:
    """The calls of ``among`` whose results have sizes that follow from values."""
    import torch

    from convlint.torch_adapter import pytree

    known: dict[Any, bool] = {}
    nodes = []
    for node in graph.nodes:
        if node not in among or reads_number(node) or not torch_adapter.is_overload(node.target):
            continue
        args, kwargs = torch.fx.map_arg((node.args, dict(node.kwargs)), lambda source: source.meta.get("val"))
        indices = pytree.tree_leaves(args[1:2]) if node.target is torch.ops.aten.index.Tensor else ()
        # Whether an op has such sizes is decided by the op, by whether it is told a size, and by masks.
        masks = any(
            isinstance(one, torch.Tensor) and one.dtype in (torch.bool, torch.uint8) for one in indices
        )
        key = (node.target, len(args), tuple(kwargs), masks)
        if key not in known:
            known[key] = torch_adapter.has_sizes_from_data(node.target, args, kwargs)
        if known[key]:
            nodes.append(node)
    return tuple(nodes)


def reads_number(node: Node) -> bool:
    """Whether a call hands a value to Python: ``item``, the truth of a tensor, ``equal``."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or len(schema.returns) != 1:
        return False
    return str(schema.returns[0].type) in ("bool", "int", "float", "number", "Scalar")


def _with_light_work(graph: Graph, left: frozenset[Node], moving: frozenset[Node]) -> set[Node]:
    """``left`` with the slices and comparisons that nothing else reads.

    A score of 91 classes is then one output, not 91 slices and 91 masks; Core ML has no masks as
    outputs anyway.
    """
    grown = set(left)
    for node in reversed(graph.nodes):
        light = is_view(node) or node.target is operator.getitem or _is_mask(node)
        users = [user for user in node.users if not reads_number(user)]
        if node in moving and light and users and all(user in grown for user in users):
            grown.add(node)
    # A part of a tuple goes only where the whole goes: a call that computes one gives all its parts.
    for node in graph.nodes:
        if node.target is operator.getitem and node not in left and node.args[0] not in grown:
            grown.discard(node)
    return grown


def _is_tensor(node: Node) -> bool:
    import torch

    return isinstance(node.meta.get("val"), torch.Tensor)


def _is_mask(node: Node) -> bool:
    import torch

    value = node.meta.get("val")
    return node.op == "call_function" and isinstance(value, torch.Tensor) and value.dtype is torch.bool


def output_of(graph: Graph) -> Node:
    """The node that returns the outputs."""
    last: Node = next(iter(reversed(graph.nodes)))
    return last
