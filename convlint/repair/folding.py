"""What does not depend on an input, computed once and kept as a constant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.repair.draft import Draft

if TYPE_CHECKING:
    import torch
    from torch.fx import Node

LARGEST = 64 << 20
"""Bytes that one folded constant may take."""


class Folder:
    """Finds and computes the nodes of a draft that depend on no input and on no trained weight."""

    def __init__(self, draft: Draft, *, float_buffers: bool) -> None:
        """``float_buffers``: whether persistent buffers of floats, which a checkpoint may change, count."""
        self.draft = draft
        self.sources = _sources(draft, float_buffers)
        self.const: dict[Node, bool] = {}
        for node in draft.graph.nodes:
            self.const[node] = self._is_const(node)
        self.values: dict[Node, Any] = {}

    def frontier(self, refused: Iterable[Node]) -> list[Node]:
        """The last constant nodes behind those that are refused: what to fold so that they go away."""
        last: dict[Node, None] = {}
        seen: set[Node] = set()
        waiting = [node for node in refused if self.const.get(node)]
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            readers = [user for user in node.users if self.const.get(user)]
            if len(readers) < len(node.users) and isinstance(node.meta.get("val"), _tensor()):
                last[node] = None
            waiting += readers
        return [node for node in self.draft.graph.nodes if node in last]

    def value(self, node: Node) -> torch.Tensor | None:
        """The tensor that ``node`` always is, or None where it is too large or has no data."""
        import torch

        shape = node.meta["val"].shape
        size = node.meta["val"].dtype.itemsize
        for length in shape:
            size *= int(length)
        if size > LARGEST:
            return None
        needed: set[Node] = set()
        waiting = [node]
        while waiting:
            one = waiting.pop()
            if one not in needed and one not in self.values:
                needed.add(one)
                waiting += one.all_input_nodes
        try:
            with torch.no_grad():
                for one in self.draft.graph.nodes:
                    if one in needed:
                        self.values[one] = self._run(one)
        except _NoData:
            return None
        result = self.values[node]
        return result if isinstance(result, torch.Tensor) else None

    def _run(self, node: Node) -> Any:
        import torch

        if node.op == "placeholder":
            tensor = self.sources[node]
            if torch_adapter.is_fake(tensor):
                raise _NoData
            return tensor
        args = torch.fx.map_arg(node.args, lambda source: self.values[source])
        kwargs = torch.fx.map_arg(node.kwargs, lambda source: self.values[source])
        assert callable(node.target)
        return node.target(*args, **kwargs)

    def _is_const(self, node: Node) -> bool:
        if node.op == "placeholder":
            return node in self.sources
        if node.op != "call_function" or _is_random(node):
            return False
        return all(self.const[source] for source in node.all_input_nodes)


class _NoData(Exception):
    """A weight without data stands in the way."""


def _sources(draft: Draft, float_buffers: bool) -> dict[Node, Any]:
    from torch.export.graph_signature import InputKind

    sources: dict[Node, Any] = {}
    written = set(draft.signature.buffers_to_mutate.values())
    placeholders = [node for node in draft.graph.nodes if node.op == "placeholder"]
    for node, spec in zip(placeholders, draft.signature.input_specs, strict=True):
        if spec.kind is InputKind.CONSTANT_TENSOR:
            sources[node] = draft.constants[spec.target]
        elif spec.kind is InputKind.BUFFER and spec.target not in written:
            tensor = draft.state.get(spec.target)
            if tensor is None:
                tensor = draft.constants.get(spec.target)
            if tensor is None:
                continue
            if not spec.persistent or not tensor.is_floating_point() or float_buffers:
                sources[node] = tensor
    return sources


def _is_random(node: Node) -> bool:
    import torch

    tags = getattr(node.target, "tags", ())
    return torch.Tag.nondeterministic_seeded in tags


def _tensor() -> type:
    import torch

    return torch.Tensor
