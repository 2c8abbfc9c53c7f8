"""A captured program while it is changed: ops replaced by the trace of a function, constants added.

A change never touches the program that it started from: a draft copies the graph and the signature,
shares the weights, and gives a new ``ExportedProgram`` in the end.
"""

from __future__ import annotations

import copy
import logging
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.capture.outputs import drop_constant_outputs
from convlint.capture.quiet import quiet_torch
from convlint.rewrites.table import FixesSize, NotApplicable
from convlint.text import single_line

if TYPE_CHECKING:
    import torch
    from torch.fx import Graph, GraphModule, Node

CHANGED = "convlint_change"
"""Key of a node's meta that holds the :class:`Change` that made it."""

KEPT_META = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn")


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to one call: ``node`` and ``op`` name it, ``title`` says what to, ``rule`` why."""

    node: str
    op: str
    kind: str
    title: str
    rule: str = ""
    safety: str = "safe"


class Draft:
    """One program under change. ``graph`` is the copy, whose nodes keep the names of the original's."""

    def __init__(self, program: Any) -> None:
        import torch

        self.base = program
        self.graph: Graph = torch.fx.Graph()
        mapping: dict[Node, Node] = {}
        output = self.graph.graph_copy(program.graph, mapping)
        for old, new in mapping.items():
            new.meta = dict(old.meta)
            if old.op == "placeholder":
                new.name = old.name  # an input may be called as a builtin is, and must keep its name
        last = self.graph.output(output)
        last.meta = dict(next(node for node in program.graph.nodes if node.op == "output").meta)
        self.constants: dict[str, Any] = dict(program.constants)
        self.state: dict[str, Any] = program.state_dict
        self.signature = copy.copy(program.graph_signature)
        self.signature.input_specs = list(program.graph_signature.input_specs)
        self.signature.output_specs = _with_constants(program.graph_signature.output_specs, self._outputs())

    def nodes(self) -> dict[str, Node]:
        """Every node by its name."""
        return {node.name: node for node in self.graph.nodes}

    def replace_by_constant(self, node: Node, tensor: torch.Tensor, change: Change) -> None:
        """Put a constant with the value ``tensor`` in the place of ``node``."""
        constant = self.add_constant(tensor, node.meta["val"])
        constant.meta[CHANGED] = change
        for key in KEPT_META:
            if key in node.meta:
                constant.meta[key] = node.meta[key]
        node.replace_all_uses_with(constant)
        self.graph.erase_node(node)

    def add_constant(self, tensor: torch.Tensor, value: Any = None) -> Node:
        """A new lifted constant: the node that stands for it. Its name is unused so far."""
        from torch.export.graph_signature import InputKind, InputSpec, TensorArgument

        number = sum(1 for name in self.constants if name.startswith("folded_"))
        target = f"folded_{number}"
        while target in self.constants:
            number += 1
            target = f"folded_{number}"
        first_input = next(
            node
            for node, spec in zip(self._placeholders(), self.signature.input_specs, strict=True)
            if spec.kind not in (InputKind.PARAMETER, InputKind.BUFFER)
        )
        position = self._placeholders().index(first_input)
        with self.graph.inserting_before(first_input):
            node = self.graph.placeholder(f"c_{target}")
        node.meta["val"] = value if value is not None else fake_like(tensor, self.fake_mode())
        self.constants[target] = tensor
        spec = InputSpec(InputKind.CONSTANT_TENSOR, TensorArgument(node.name), target)
        self.signature.input_specs.insert(position, spec)
        return node

    def settle(self) -> None:
        """Let every value follow from what it is computed of now; copy where a view cannot be one any more.

        A rewrite may lay its result out in memory in another order than the call that it replaces. Where only
        data tells a size, some calls cannot be computed again outside of an export; they keep their value.
        """
        import torch

        values: dict[Node, Any] = {}
        views = (torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default)
        with self.fake_mode(), torch.no_grad(), quiet_torch(logging.ERROR):
            for node in self.graph.nodes:
                if node.op != "call_function":
                    values[node] = node.meta.get("val")
                    continue
                args, kwargs = torch.fx.map_arg((node.args, node.kwargs), lambda source: values[source])
                try:
                    values[node] = node.target(*args, **kwargs)
                except (RuntimeError, ValueError) as error:
                    if torch_adapter.is_about_data(error) and "val" in node.meta:
                        values[node] = node.meta["val"]
                        continue
                    if node.target not in views:
                        raise
                    node.target = torch.ops.aten.reshape.default
                    values[node] = node.target(*args, **kwargs)
                node.meta["val"] = values[node]

    def program(self) -> Any:
        """The changed program, in the ATen dialect."""
        import torch

        _pick_from_lists(self.graph)
        _drop_checks(self.graph)
        self.graph.eliminate_dead_code()
        self._drop_unread_constants()
        self.graph.lint()
        module = torch.fx.GraphModule(self.base.graph_module, self.graph)
        module.meta.update(self.base.graph_module.meta)
        self.signature.output_specs = [
            self._named(spec, node)
            for spec, node in zip(self.signature.output_specs, self._outputs(), strict=True)
        ]
        signature = copy.copy(self.signature)
        signature.output_specs = list(self.signature.output_specs)
        program = torch_adapter.aten_program(self.base, module, signature, self.constants)
        if len(self.base.graph_signature.output_specs) < len(self.signature.output_specs):
            drop_constant_outputs(program)
        return program

    def fake_mode(self) -> Any:
        """The fake mode of the graph's values."""
        for node in self.graph.nodes:
            mode = torch_adapter.mode_of(node.meta.get("val"))
            if mode is not None:
                return mode
        return torch_adapter.fake_mode()

    def _placeholders(self) -> list[Node]:
        return [node for node in self.graph.nodes if node.op == "placeholder"]

    def _outputs(self) -> list[Any]:
        last = next(iter(reversed(self.graph.nodes)))
        return list(last.args[0])

    def _drop_unread_constants(self) -> None:
        """Take out constants, and buffers, that were read once and are not any more."""
        from torch.export.graph_signature import InputKind

        read = {node.name for node in self.base.graph.nodes if node.op == "placeholder" and node.users}
        kept = []
        for node, spec in zip(self._placeholders(), self.signature.input_specs, strict=True):
            constant = spec.kind is InputKind.CONSTANT_TENSOR
            if not node.users and (constant or (spec.kind is InputKind.BUFFER and node.name in read)):
                self.graph.erase_node(node)
                if constant or not spec.persistent:
                    self.constants.pop(spec.target, None)
            else:
                kept.append(spec)
        self.signature.input_specs = kept

    @staticmethod
    def _named(spec: Any, node: Any) -> Any:
        if getattr(spec.arg, "name", None) is None or not hasattr(node, "name"):
            return spec
        return replace(spec, arg=replace(spec.arg, name=node.name))

    def insert(self, node: Node, traced: GraphModule, change: Change) -> list[Node]:
        """Put a traced graph in the place of ``node``, whose arguments are its inputs; the new nodes."""
        nodes, results = self.copy_before(node, traced, list(_flat(node)), change)
        self._hand_over(node, results)
        return nodes

    def copy_before(
        self, node: Node, traced: GraphModule, sources: list[Node], change: Change
    ) -> tuple[list[Node], Any]:
        """Copy a traced graph over ``sources`` before ``node``: the new nodes, and what it returns."""
        import torch

        inputs = iter(sources)
        env: dict[Node, Node] = {}
        copies: list[Node] = []
        results: Any = None
        for inner in traced.graph.nodes:
            if inner.op == "placeholder":
                env[inner] = next(inputs)
            elif inner.op == "get_attr":
                env[inner] = self.add_constant(getattr(traced, str(inner.target)).detach())
            elif inner.op == "output":
                results = torch.fx.map_arg(inner.args[0], lambda source: env[source])
            else:
                with self.graph.inserting_before(node):
                    new = self.graph.node_copy(inner, lambda source: env[source])
                new.meta = {"val": inner.meta.get("val"), CHANGED: change}
                for key in KEPT_META:
                    if key in node.meta:
                        new.meta[key] = node.meta[key]
                env[inner] = new
                copies.append(new)
        return copies, results

    def _hand_over(self, node: Node, results: Any) -> None:
        """Let the readers of ``node`` read ``results`` instead."""
        if isinstance(results, (list, tuple)):
            for user in list(node.users):
                if user.target is not operator.getitem:
                    raise NotApplicable("its outputs are read as one")
                user.replace_all_uses_with(results[user.args[1]])  # type: ignore[index]
                self.graph.erase_node(user)
        else:
            node.replace_all_uses_with(results)
        self.graph.erase_node(node)


def _pick_from_lists(graph: Graph) -> None:
    """Read the elements of a list that a change has put there at once: torch stumbles over picking them."""
    for node in list(graph.nodes):
        if node.target is operator.getitem and isinstance(node.args[0], (list, tuple)):
            node.replace_all_uses_with(node.args[0][node.args[1]])
            graph.erase_node(node)


def _drop_checks(graph: Graph) -> None:
    """Leave out what checks a dtype or a device, which is settled by now: it keeps what it reads alive."""
    for node in list(graph.nodes):
        if str(node.target).startswith("aten._assert_tensor_metadata"):
            graph.erase_node(node)


def _with_constants(specs: list[Any], outputs: list[Any]) -> list[Any]:
    """One spec for each output: a capture takes those out that are no tensors, which a verifier misses."""
    import torch
    from torch.export.graph_signature import ConstantArgument, OutputKind, OutputSpec

    if len(specs) == len(outputs):
        return list(specs)
    kept = iter(specs)
    return [
        next(kept)
        if isinstance(value, torch.fx.Node)
        else OutputSpec(OutputKind.USER_OUTPUT, ConstantArgument("", value), None)
        for value in outputs
    ]


def trace_call(node: Node, function: Callable[..., Any]) -> GraphModule:
    """``function`` traced with the values of the arguments of ``node``, as a graph of ATen calls."""
    import torch

    from convlint.torch_adapter import pytree

    leaves, spec = pytree.tree_flatten((node.args, dict(node.kwargs)))
    sources = [leaf for leaf in leaves if isinstance(leaf, torch.fx.Node)]

    def call(*values: Any) -> Any:
        rest = iter(values)
        args, kwargs = pytree.tree_unflatten(
            [next(rest) if isinstance(leaf, torch.fx.Node) else leaf for leaf in leaves], spec
        )
        return function(*args, **kwargs)

    traced = trace(call, sources, torch_adapter.mode_of(_first(node.meta.get("val"))))
    _check_outputs(node, traced)
    return traced


def trace(function: Callable[..., Any], sources: list[Node], mode: Any = None) -> GraphModule:
    """``function`` traced with the values of ``sources``, as a graph of ATen calls that write nowhere."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    values = [source.meta["val"] for source in sources]
    known = next((m for m in map(torch_adapter.mode_of, values) if m is not None), None)
    mode = known or mode or torch_adapter.fake_mode()
    with mode, torch.no_grad(), torch_adapter.kept_sizes(mode):
        traced = _traced(make_fx, function, values)
        if any(_writes(inner) for inner in traced.graph.nodes):
            traced = _traced(make_fx, torch.func.functionalize(function), values)
            _write_elsewhere(traced)
            if any(_writes(inner) for inner in traced.graph.nodes):
                raise NotApplicable("it writes into its own tensors")
    return traced


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, (list, tuple)) and value else value


def _traced(make_fx: Any, call: Callable[..., Any], values: list[Any]) -> GraphModule:
    try:
        traced: GraphModule = make_fx(call, tracing_mode="real")(*values)
    except NotApplicable:
        raise
    except Exception as error:  # decompositions raise whatever they like
        if torch_adapter.fixes_a_size(error):
            raise FixesSize from error
        raise NotApplicable(f"{type(error).__name__}: {single_line(error, 200)}") from error
    traced.graph.eliminate_dead_code()
    _as_an_export_has_it(traced)
    return traced


def _as_an_export_has_it(traced: GraphModule) -> None:
    """Put the sampling op that coremltools converts for the one that a trace behind the dispatcher meets."""
    import torch

    aten = torch.ops.aten
    for node in traced.graph.nodes:
        if node.target is aten.grid_sampler_2d.default:  # of the same arguments
            node.target = aten.grid_sampler.default


def _writes(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return bool(schema is not None and schema.is_mutable)


def _write_elsewhere(traced: GraphModule) -> None:
    """Let calls that write into a tensor which nobody else reads give a new one.

    ``functionalize`` does not see the writes of what PyTorch composes in C++.
    """
    import torch

    for node in traced.graph.nodes:
        if not _writes(node):
            continue
        name, _, overload = str(node.target).removeprefix("aten.").partition(".")
        plain = getattr(getattr(torch.ops.aten, name.removesuffix("_"), None), overload, None)
        written = node.args[0]
        if plain is not None and name.endswith("_") and _is_fresh(written) and len(written.users) == 1:
            node.target = plain


def _is_fresh(value: Any) -> bool:
    """Whether a call made this tensor, and no view of another."""
    schema = getattr(getattr(value, "target", None), "_schema", None)
    return schema is not None and all(result.alias_info is None for result in schema.returns)


def _check_outputs(node: Node, traced: GraphModule) -> None:
    import torch

    from convlint.torch_adapter import pytree

    last = next(iter(reversed(traced.graph.nodes)))
    if any(not isinstance(leaf, torch.fx.Node) for leaf in pytree.tree_leaves(last.args[0])):
        raise NotApplicable("it returns something that is not a tensor")
    returned = [_described(leaf.meta.get("val")) for leaf in pytree.tree_leaves(last.args[0])]
    wanted = [_described(value) for value in pytree.tree_leaves(node.meta.get("val"))]
    # torch 2.7 is wrong about the shapes of states that a recurrent layer returns and nobody reads.
    readers = [user.args[1] for user in node.users if user.target is operator.getitem]
    if len(returned) == len(wanted) > 1 and len(readers) == len(node.users):
        returned = [each for index, each in enumerate(returned) if index in readers]
        wanted = [each for index, each in enumerate(wanted) if index in readers]
    if returned != wanted:
        raise NotApplicable(f"it returns {', '.join(returned)} instead of {', '.join(wanted)}")


def _described(value: Any) -> str:
    import torch

    if isinstance(value, torch.Tensor):
        return f"{value.dtype}{list(value.shape)}"
    return type(value).__name__


def _flat(node: Node) -> Iterator[Node]:
    import torch

    from convlint.torch_adapter import pytree

    leaves = pytree.tree_leaves((node.args, dict(node.kwargs)))
    return (leaf for leaf in leaves if isinstance(leaf, torch.fx.Node))


def fake_like(tensor: torch.Tensor, mode: Any) -> Any:
    """A tensor without data of the shape, strides and dtype of ``tensor``."""
    import torch

    with mode:
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
