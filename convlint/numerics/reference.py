"""PyTorch's side of a comparison: every call of the exported or traced graph, with what it gave.

Both frontends read a graph of ATen calls, and coremltools looks its values up by the names of that graph.
Here the same graph is run call by call, so that each value of the converted program finds its partner.
"""

from __future__ import annotations

import operator
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint import torch_adapter
from convlint.capture.walk import node_module, node_place, op_name
from convlint.usercode.sites import Place, place_of_torchscript


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the PyTorch graph.

    ``results`` are its values by their names in the graph: arrays, or lists of arrays, and what is taken
    out of those lists. ``constant`` holds the identities of those argument tensors that depend on no input.
    ``shared`` says that the call writes into memory that other values of the graph have too, ``writer`` is
    the number of the last such call behind what this one reads, where that value was made before it.
    """

    target: Any
    op: str
    place: Place
    module: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    constant: frozenset[int]
    results: dict[str, Any]
    shared: bool = False
    writer: int | None = None


def calls_of_export(exported: Any, inputs: Mapping[str, Any], states: Collection[str] = ()) -> list[Call]:
    """The calls of an exported program, in order. Its ``states`` are zeros, as they are at the first step."""
    import torch
    from torch.export.graph_signature import InputKind
    from torch.fx import Interpreter

    specs = exported.graph_signature.input_specs
    computed = {spec.arg.name for spec in specs if spec.kind is InputKind.USER_INPUT}
    calls: list[Call] = []
    by_name: dict[str, Call] = {}

    class Stepper(Interpreter):
        def run_node(self, n: Any) -> Any:
            if n.op != "call_function":
                return super().run_node(n)
            args, kwargs = self.fetch_args_kwargs_from_env(n)
            sources = n.all_input_nodes
            if any(source.name in computed for source in sources):
                computed.add(n.name)
            fixed = frozenset(id(self.env[source]) for source in sources if source.name not in computed)
            result = super().run_node(n)
            if n.target is operator.getitem and sources[0].name in by_name:
                by_name[n.name] = call = by_name[sources[0].name]
                call.results[n.name] = plain(result)
                return result
            results = {n.name: plain(result)}
            name, module = op_name(n.target), node_module(n)[0]
            by_name[n.name] = Call(n.target, name, node_place(n), module, args, kwargs, fixed, results)
            calls.append(by_name[n.name])
            return result

    with torch.no_grad():
        Stepper(exported.graph_module).run(*_placeholders(exported, inputs, states))
    return calls


def calls_of_torchscript(traced: Any, inputs: Mapping[str, Any]) -> list[Call]:
    """The calls of a traced module, in order, up to the first construct that only a script has."""
    import torch

    from convlint.torch_adapter import pytree

    graph, parameters = adapter.torchscript_graph(traced)
    weights = {name: _unshared(value) for name, value in parameters.items()}
    environment: dict[str, Any] = {
        each.debugName(): value.clone() if isinstance(value, torch.Tensor) else value
        for each, value in zip(list(graph.inputs())[1:], inputs.values(), strict=True)
    }
    computed = set(environment)
    calls: list[Call] = []
    writers: dict[str, int] = {}
    with torch.no_grad():
        for node in graph.nodes():
            names = [output.debugName() for output in node.outputs()]
            sources = [each.debugName() for each in node.inputs()]
            values = [environment.get(source) for source in sources]
            if computed.intersection(sources):
                computed.update(names)
            if node.kind() == "prim::GetAttr":
                environment[names[0]] = weights.get(names[0])
                continue
            try:
                target, args, kwargs = torch_adapter.torchscript_call(node, values)
            except LookupError:
                break
            mutable = torch_adapter.is_mutable(target)
            arguments = _unshared(args) if mutable else args
            touched = _sharing(environment, sources) if mutable else []
            writer = max((writers[source] for source in sources if source in writers), default=None)
            result = target(*args, **kwargs)
            outputs = [result] if len(names) == 1 else list(result)
            environment.update(zip(names, outputs, strict=True))
            if not hasattr(target, "_schema"):
                continue  # lists and constants: no call of an operator
            independent = [
                value for source, value in zip(sources, values, strict=True) if source not in computed
            ]
            fixed = frozenset(map(id, pytree.tree_leaves(independent)))
            results = {name: plain(value) for name, value in zip(names, outputs, strict=True)}
            writers.update(dict.fromkeys(touched, len(calls)))
            called = (target, op_name(target), *_origin(node), arguments, kwargs, fixed, results)
            calls.append(Call(*called, shared=bool(touched), writer=writer))
    return calls


def _origin(node: Any) -> tuple[Place, str]:
    """Where a node of a traced graph comes from: the place in the source, and the module."""
    place = place_of_torchscript(repr(node.sourceRange())[1:-1].replace("\\n", "\n"))
    module = node.scopeName().rpartition("/")[2].removeprefix("__module.").removeprefix("__module")
    return place, module


def _sharing(environment: Mapping[str, Any], sources: list[str]) -> list[str]:
    """The other values in whose memory a call that writes to its first argument writes."""
    import torch

    def memory(value: Any) -> int | None:
        return value.untyped_storage().data_ptr() if isinstance(value, torch.Tensor) else None

    written = memory(environment.get(sources[0])) if sources else None
    return [
        name
        for name, value in environment.items()
        if written and name != sources[0] and memory(value) == written
    ]


def plain(value: Any) -> Any:
    """Arrays in the place of tensors, made now, before a later call writes into them; None for the rest."""
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        if value.is_complex() or value.is_quantized:
            return None
        floating = value.dtype.is_floating_point
        return (value.detach().float() if floating else value.detach()).numpy().copy()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return np.asarray(value) if isinstance(value, (bool, int, float)) else None


def _unshared(value: Any) -> Any:
    """The same tensors in other memory, so that what is written to them leaves the model alone."""
    import torch

    from convlint.torch_adapter import pytree

    def copied(leaf: Any) -> Any:
        written = isinstance(leaf, torch.Tensor) and not isinstance(leaf, torch.nn.Parameter)
        return leaf.clone() if written else leaf

    return pytree.tree_map(copied, value)


def _placeholders(exported: Any, inputs: Mapping[str, Any], states: Collection[str]) -> list[Any]:
    """The arguments of the lifted graph: weights, buffers and constants by name, then the user's tensors."""
    from torch.export.graph_signature import ConstantArgument, InputKind

    names = {spec.arg.name for spec in exported.graph_signature.input_specs}
    unnamed = iter([value for name, value in inputs.items() if name not in names])
    arguments = []
    for spec in exported.graph_signature.input_specs:
        if spec.kind is InputKind.USER_INPUT:
            if isinstance(spec.arg, ConstantArgument):
                arguments.append(spec.arg.value)
            else:
                arguments.append(inputs[spec.arg.name] if spec.arg.name in inputs else next(unnamed))
        else:
            stored = exported.state_dict.get(spec.target)
            value = exported.constants[spec.target] if stored is None else stored
            arguments.append(value.new_zeros(value.shape) if spec.target in states else value)
    return arguments
