"""Runs of ops over tensors that Core ML has no form for: each tensor is carried in another form.

A tensor of rank above 5 is carried by one of lower rank with the same elements in the same order, a
complex one by its real and imaginary part. A walk over the graph gives every op that touches such a
tensor its counterpart over what carries it. Where an op has none, it stays as it was, and so does
what it reads.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.capture.names import located
from convlint.repair.draft import KEPT_META, Change, Draft, trace
from convlint.repair.folding import Folder
from convlint.repair.forms.counterparts import Call, Carrier, Counterparts
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    from torch.fx import Node

    from convlint.model import Trial


@dataclass(frozen=True, slots=True)
class RegionPass:
    """One form: which values need it, how ops are done in it, and which refusals ask for it."""

    name: str
    title: str
    is_odd: Callable[[Any], bool]
    counterparts: Counterparts
    carry_constant: Callable[[Any], tuple[Any, ...]] | None
    errors: tuple[str, ...] = ()

    def wanted(self, draft: Draft, trial: Trial) -> bool:
        """Whether something that was refused touches a value of this form."""
        if trial.status != "converted" and not trial.failures:  # refused as a whole
            return any(self.gives_odd(node) for node in draft.graph.nodes)
        by_name = draft.nodes()
        for failure in trial.failures:
            node = located(by_name, failure.node)
            if node is None or (self.errors and not any(text in failure.error for text in self.errors)):
                continue
            if any(map(self.gives_odd, (node, *node.all_input_nodes))):
                return True
        return False

    def gives_odd(self, node: Node) -> bool:
        """Whether a tensor that ``node`` gives needs this form."""
        return any(self.is_odd(value) for value in _tensors(node.meta.get("val")))

    def __call__(self, draft: Draft) -> None:
        """Give every op of ``draft`` that touches such a value its counterpart."""
        _Walk(self, draft).run()


class _Walk:
    """One walk over a draft. ``carried`` has what carries the result of a node; of several, a list."""

    def __init__(self, form: RegionPass, draft: Draft) -> None:
        self.form = form
        self.draft = draft
        self.carried: dict[Node, Any] = {}

    def run(self) -> None:
        for node in list(self.draft.graph.nodes):
            if node.op == "placeholder" and self.form.gives_odd(node):
                self.carry_constant(node)
            elif node.op == "call_function" and self.touches(node):
                try:
                    self.visit(node)
                except NotApplicable:
                    continue
        self.draft.graph.eliminate_dead_code()

    def touches(self, node: Node) -> bool:
        return self.form.gives_odd(node) or any(
            self.form.gives_odd(source) or source in self.carried for source in node.all_input_nodes
        )

    def carry_constant(self, node: Node) -> None:
        """Carry a constant of the program by new ones, where its value is known."""
        if self.form.carry_constant is None:
            return
        folder = Folder(self.draft, float_buffers=True)
        if node not in folder.sources:
            return
        value = folder.value(node)
        if value is not None:
            parts = tuple(self.draft.add_constant(part) for part in self.form.carry_constant(value))
            self.carried[node] = Carrier(parts, tuple(int(size) for size in value.shape))

    def visit(self, node: Node) -> None:
        """Put before ``node`` its counterpart, and remember what carries its results."""
        if node.target is operator.getitem:
            self.pick(node)
            return
        results = self.done_on_carriers(node)
        if isinstance(node.meta.get("val"), (list, tuple)):
            self.carried[node] = results
        else:
            self.stand_in(node, results[0])

    def pick(self, node: Node) -> None:
        """Let one of the results of a carried call stand for ``node``, which picks it."""
        whole, index = node.args
        results = self.carried.get(whole)  # type: ignore[arg-type]
        if isinstance(results, list):
            self.stand_in(node, results[index])  # type: ignore[index]

    def done_on_carriers(self, node: Node) -> list[Any]:
        """The results of ``node``, computed by new nodes before it: each a node or a carrier."""
        function = _OnCarriers(self.form.counterparts, node, self.carrier_of)
        traced = trace(function.run, function.sources, self.draft.fake_mode())
        change = Change(node.name, str(node.target), self.form.name, self.form.title)
        _, outputs = self.draft.copy_before(node, traced, function.sources, change)
        return function.packed(outputs)

    def carrier_of(self, node: Node) -> Carrier | None:
        """What carries ``node`` as an argument, None where it is read as it is."""
        if self.form.gives_odd(node) and node not in self.carried:
            raise NotApplicable("it reads what could not be carried")
        carrier = self.carried.get(node)
        return carrier if isinstance(carrier, Carrier) else None

    def stand_in(self, node: Node, result: Any) -> None:
        """Let ``result`` stand for ``node``: at once where it is a tensor of its own."""
        if isinstance(result, Carrier):
            self.carried[node] = result
            return
        wanted, value = node.meta["val"], result.meta.get("val")
        # As text: to compare dynamic sizes as numbers would fix them.
        if str(list(wanted.shape)) != str(list(value.shape)) or wanted.dtype != value.dtype:
            raise NotApplicable(f"it gives {value.dtype}{list(value.shape)}")
        for key in KEPT_META:
            if key in node.meta and key not in result.meta:
                result.meta[key] = node.meta[key]
        node.replace_all_uses_with(result)


class _OnCarriers:
    """The counterpart of a node as a function of tensors alone, as a trace takes it.

    A trace knows no carriers. So :meth:`run` takes the tensors of ``sources``, packs them into the
    carriers of the arguments, and unpacks those of the results; :meth:`packed` undoes the latter.
    """

    def __init__(
        self, counterparts: Counterparts, node: Node, carrier_of: Callable[[Node], Carrier | None]
    ) -> None:
        from convlint.torch_adapter import pytree

        self.counterparts = counterparts
        self.node = node
        self.leaves, self.spec = pytree.tree_flatten((node.args, dict(node.kwargs)))
        self.carriers = {leaf: carrier_of(leaf) for leaf in self.leaves if _is_node(leaf)}
        self.result_forms: list[Carrier | None] = []

    @property
    def sources(self) -> list[Node]:
        """The nodes that :meth:`run` takes the tensors of."""
        return [
            source for leaf in self.leaves if _is_node(leaf) for source in _parts(self.carriers[leaf] or leaf)
        ]

    def run(self, *tensors: Any) -> list[Any]:
        """The tensors of the results, or of what carries them."""
        result = self.counterparts(self.call(iter(tensors)))
        results = list(result) if isinstance(result, (list, tuple)) else [result]
        self.result_forms = [each if isinstance(each, Carrier) else None for each in results]
        return [part for each in results for part in _parts(each)]

    def call(self, tensors: Iterator[Any]) -> Call:
        """The call with ``tensors`` in the place of the nodes."""
        from convlint.torch_adapter import pytree

        leaves = [_like(self.carriers[leaf], tensors) if _is_node(leaf) else leaf for leaf in self.leaves]
        args, kwargs = pytree.tree_unflatten(leaves, self.spec)
        return Call(self.node, args, kwargs)

    def packed(self, outputs: Sequence[Any]) -> list[Any]:
        """The results of the call from what :meth:`run` has unpacked."""
        rest = iter(outputs)
        return [_like(form, rest) for form in self.result_forms]


def _is_node(leaf: Any) -> bool:
    import torch

    return isinstance(leaf, torch.fx.Node)


def _parts(value: Any) -> tuple[Any, ...]:
    return value.parts if isinstance(value, Carrier) else (value,)


def _like(form: Carrier | None, values: Iterator[Any]) -> Any:
    """The next of ``values``, or as many as the carrier ``form`` has parts, in one like it."""
    if form is None:
        return next(values)
    return Carrier(tuple(next(values) for _ in form.parts), form.shape)


def _tensors(value: Any) -> list[Any]:
    import torch

    from convlint.torch_adapter import pytree

    return [leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, torch.Tensor)]
