"""Runs of ops over tensors that Core ML has no form for: each tensor is carried in another form.

A tensor of rank above 5 is carried by one of lower rank with the same elements in the same order, a
complex one by its real and imaginary part. A walk over the graph gives every op that touches such a
tensor its counterpart over what carries it. Where an op has none, it stays as it was, and so does
what it reads.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.capture.names import located
from convlint.repair.draft import KEPT_META, Change, Draft, trace
from convlint.repair.folding import Folder
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    from torch.fx import Node

    from convlint.model import Trial

Handler = Callable[[str, Any, tuple[Any, ...], dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Carrier:
    """What stands for one tensor: the nodes (in a trace: the tensors) that carry it, and its shape."""

    parts: tuple[Any, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RegionPass:
    """One form: which values need it, how ops are done in it, and which refusals ask for it."""

    name: str
    title: str
    is_odd: Callable[[Any], bool]
    handle: Handler
    carry_constant: Callable[[Any], tuple[Any, ...]] | None
    errors: tuple[str, ...] = ()

    def wanted(self, draft: Draft, trial: Trial) -> bool:
        """Whether something that was refused touches a value of this form."""
        by_name = draft.nodes()
        for failure in trial.failures:
            node = located(by_name, failure.node)
            if node is None or (self.errors and not any(text in failure.error for text in self.errors)):
                continue
            values = [node.meta.get("val"), *(source.meta.get("val") for source in node.all_input_nodes)]
            if any(self.is_odd(value) for value in _tensors(values)):
                return True
        return (
            trial.status != "converted"
            and not trial.failures
            and any(
                self.is_odd(value) for node in draft.graph.nodes for value in _tensors([node.meta.get("val")])
            )
        )

    def __call__(self, draft: Draft) -> None:
        """Give every op of ``draft`` that touches such a value its counterpart."""
        _Walk(self, draft).run()


class _Walk:
    def __init__(self, form: RegionPass, draft: Draft) -> None:
        self.form = form
        self.draft = draft
        self.carried: dict[Node, Any] = {}

    def run(self) -> None:
        for node in list(self.draft.graph.nodes):
            if node.op == "placeholder" and self.odd(node):
                self.constant(node)
            elif node.op == "call_function" and self.touches(node):
                try:
                    self.call(node)
                except NotApplicable:
                    continue
        self.draft.graph.eliminate_dead_code()

    def odd(self, node: Node) -> bool:
        return any(self.form.is_odd(value) for value in _tensors([node.meta.get("val")]))

    def touches(self, node: Node) -> bool:
        return self.odd(node) or any(
            self.odd(source) or source in self.carried for source in node.all_input_nodes
        )

    def constant(self, node: Node) -> None:
        if self.form.carry_constant is None:
            return
        folder = Folder(self.draft, float_buffers=True)
        if node not in folder.sources:
            return
        value = folder.value(node)
        if value is not None:
            parts = tuple(self.draft.add_constant(part) for part in self.form.carry_constant(value))
            self.carried[node] = Carrier(parts, tuple(int(size) for size in value.shape))

    def call(self, node: Node) -> None:
        import torch

        from convlint.torch_adapter import pytree

        if node.target is operator.getitem:
            whole = self.carried.get(node.args[0])  # type: ignore[arg-type]
            if isinstance(whole, list):
                self.keep(node, whole[node.args[1]])  # type: ignore[index]
            return
        leaves, spec = pytree.tree_flatten((node.args, dict(node.kwargs)))
        sources: list[Node] = []
        for leaf in leaves:
            if isinstance(leaf, torch.fx.Node):
                if self.odd(leaf) and leaf not in self.carried:
                    raise NotApplicable("it reads what could not be carried")
                held = self.carried.get(leaf)
                sources += held.parts if isinstance(held, Carrier) else [leaf]
        shapes: list[Any] = []

        def function(*given: Any) -> Any:
            rest = iter(given)
            filled: list[Any] = []
            for leaf in leaves:
                if not isinstance(leaf, torch.fx.Node):
                    filled.append(leaf)
                    continue
                held = self.carried.get(leaf)
                if isinstance(held, Carrier):
                    filled.append(Carrier(tuple(next(rest) for _ in held.parts), held.shape))
                else:
                    filled.append(next(rest))
            args, kwargs = pytree.tree_unflatten(filled, spec)
            result = self.form.handle(str(node.target), node, args, kwargs)
            results = list(result) if isinstance(result, (list, tuple)) else [result]
            shapes[:] = [(one.shape, len(one.parts)) if isinstance(one, Carrier) else None for one in results]
            return [part for one in results for part in (one.parts if isinstance(one, Carrier) else [one])]

        traced = trace(function, sources, self.draft.fake_mode())
        change = Change(node.name, str(node.target), self.form.name, self.form.title)
        _, made = self.draft.copy_before(node, traced, sources, change)
        rest = iter(made)
        results = [
            next(rest)
            if described is None
            else Carrier(tuple(next(rest) for _ in range(described[1])), described[0])
            for described in shapes
        ]
        self.carried[node] = results if isinstance(node.meta.get("val"), (list, tuple)) else None
        if self.carried[node] is None:
            del self.carried[node]
            self.keep(node, results[0])

    def keep(self, node: Node, result: Any) -> None:
        """Let ``result`` stand for ``node``: at once where it is a tensor of its own."""
        if isinstance(result, Carrier):
            self.carried[node] = result
            return
        wanted, found = node.meta["val"], result.meta.get("val")
        # As text: to compare dynamic sizes as numbers would fix them.
        if str(list(wanted.shape)) != str(list(found.shape)) or wanted.dtype != found.dtype:
            raise NotApplicable(f"it gives {found.dtype}{list(found.shape)}")
        for key in KEPT_META:
            if key in node.meta and key not in result.meta:
                result.meta[key] = node.meta[key]
        node.replace_all_uses_with(result)


def _tensors(values: list[Any]) -> list[Any]:
    import torch

    from convlint.torch_adapter import pytree

    return [leaf for leaf in pytree.tree_leaves(values) if isinstance(leaf, torch.Tensor)]
