"""Calls written into a draft, each with the value that it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convlint.repair.draft import CHANGED, KEPT_META, Change, Draft
from convlint.repair.layout.axes import Run
from convlint.rewrites.table import NotApplicable
from convlint.text import single_line

if TYPE_CHECKING:
    from torch.fx import Node

LARGEST_RANK = 5


class Writer:
    """Writes calls into a graph before one of its nodes, each with the value that it has."""

    def __init__(self, draft: Draft, mode: Any, before: Node, change: Change) -> None:
        self.draft = draft
        self.mode = mode
        self.before = before
        self.change = change

    def __call__(self, op: Any, *args: Any, **kwargs: Any) -> Node:
        import torch

        with self.draft.graph.inserting_before(self.before):
            node = self.draft.graph.call_function(op, args, kwargs)
        values, named = torch.fx.map_arg((args, kwargs), lambda source: source.meta["val"])
        try:
            with self.mode, torch.no_grad():
                value = op(*values, **named)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            raise NotApplicable(f"{type(error).__name__}: {single_line(error, 200)}") from error
        node.meta = {"val": value, CHANGED: self.change}
        for key in KEPT_META:
            if key in self.before.meta:
                node.meta[key] = self.before.meta[key]
        return node

    def reshaped(self, node: Node, shape: Sequence[int]) -> Node:
        """``node`` in another shape, itself where it has that shape already."""
        import torch

        if shape_of(node) == tuple(shape):
            return node
        return self(torch.ops.aten.reshape.default, node, list(shape))

    def permuted(self, node: Node, order: Sequence[int]) -> Node:
        """``node`` with its axes in another order, itself where the order is the same."""
        import torch

        if list(order) == list(range(len(order))):
            return node
        return self(torch.ops.aten.permute.default, node, list(order))

    def arranged(self, node: Node, now: Run, order: Run, shape: Sequence[int]) -> Node:
        """``node``, made of the atoms ``now``, with them in another ``order`` and then in a ``shape``."""
        if now != order:
            if len(now) > LARGEST_RANK:
                raise NotApplicable("the permutation takes more than five axes")
            node = self.reshaped(node, [atom.size for atom in now])
            node = self.permuted(node, [now.index(atom) for atom in order])
        return self.reshaped(node, shape)


def shape_of(node: Node) -> tuple[int, ...]:
    """The sizes of the tensor that a node is."""
    import torch

    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor):
        raise NotApplicable("it is not a tensor")
    if not all(isinstance(size, int) for size in value.shape):
        raise NotApplicable("a size is not fixed")
    return tuple(value.shape)
