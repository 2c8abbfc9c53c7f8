"""A second trace avoided: from export's training dialect to the ATen dialect, node by node.

``run_decompositions({})`` traces the whole graph again, which takes longer than the export did.
For the ops that stand in most networks its result is known without tracing: functional ops stay,
in-place ops on values that nobody else sees become functional, a few composites become what they
are defined as. :func:`lower` does just that, and gives up (None) at the first node that it is not
sure of; the caller then runs the real thing. The tests compare both, node by node.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.capture.names import EXPORTED

if TYPE_CHECKING:
    import torch
    from torch.fx import Graph, Node


class _Unsure(Exception):
    """Some node needs the real trace."""


def lower(program: Any) -> Any:
    """``program`` (training dialect) in the ATen dialect, or None where only a trace can tell."""
    import torch

    if program.dialect != "TRAINING" or program.range_constraints:
        return None
    lowering = _Lowering(program)
    try:
        with torch.no_grad():
            graph = lowering.run()
    except _Unsure:
        return None
    module = torch.fx.GraphModule(program.graph_module, graph)
    module.meta.update(program.graph_module.meta)
    signature = _renamed(program.graph_signature, lowering.output_names)
    return torch_adapter.aten_program(program, module, signature)


class _Lowering:
    def __init__(self, program: Any) -> None:
        import torch

        self.old: Graph = program.graph_module.graph
        self.new = torch.fx.Graph()
        self.env: dict[Node, Node] = {}
        self.aliases = _Aliases()
        self.order = {node: index for index, node in enumerate(self.old.nodes)}
        self.handlers = _handlers()
        self.output_names: dict[str, str] = {}

    def run(self) -> Graph:
        for node in self.old.nodes:
            if node.op == "call_function":
                self.call(node)
            elif node.op in ("placeholder", "get_attr", "output"):
                self.env[node] = self.copy(node)
            else:
                raise _Unsure
        for node in self.old.nodes:
            if node in self.env and node.op != "output":
                self.output_names[node.name] = self.env[node].name
        self.new.eliminate_dead_code()
        return self.new

    def copy(self, node: Node) -> Node:
        copied = self.new.node_copy(node, lambda source: self.env[source])
        copied.meta[EXPORTED] = node.name
        if node.op == "placeholder":
            copied.name = node.name  # an input may be called as a builtin is, and must keep its name
        return copied

    def call(self, node: Node) -> None:
        target: Any = node.target
        if target is operator.getitem:
            self.env[node] = self.copy(node)
            self.aliases.join(node.args[0], node)  # type: ignore[arg-type]
            return
        schema = getattr(target, "_schema", None)
        if str(target) == "aten._assert_tensor_metadata.default":
            self.env[node] = _assertion(self, node)
            return
        if schema is None or not isinstance(_value(node), _tensor_types()):
            raise _Unsure
        handler = self.handlers.get(str(target))
        if handler is not None:
            self.env[node] = handler(self, node)
        elif schema.is_mutable:
            self.env[node] = self.functional(node)
        elif torch_adapter.survives_decomposition(target) and not _is_symbolic(node):
            self.env[node] = self.copy(node)
        else:
            raise _Unsure
        self.aliases.note(node)

    def add(self, node: Node, target: Any, args: tuple[Any, ...], value: Any, **kwargs: Any) -> Node:
        """A new node in place of ``node``, with its line and module."""
        new = self.new.create_node("call_function", target, args, kwargs)
        new.meta = {**node.meta, "val": value, EXPORTED: node.name}
        return new

    def functional(self, node: Node) -> Node:
        """``relu_`` as ``relu``, where nothing else sees the tensor that is written to."""
        import torch

        schema = node.target._schema  # type: ignore[union-attr]
        written = [a for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
        base = node.args[0] if node.args else None
        namespace, _, name = schema.name.partition("::")
        if not name.endswith("_") or len(written) != 1 or not isinstance(base, torch.fx.Node):
            raise _Unsure
        if schema.arguments[0].name != written[0].name:
            raise _Unsure
        packet = getattr(getattr(torch.ops, namespace), name[:-1], None)
        target = getattr(packet, schema.overload_name or "default", None)
        if target is None or not torch_adapter.survives_decomposition(target):
            raise _Unsure
        position = self.order[node]
        for other in self.aliases.of(base):
            if other.op in ("placeholder", "get_attr"):
                raise _Unsure
            if other is not base and any(self.order[user] > position for user in other.users):
                raise _Unsure
        args = torch.fx.map_arg(node.args, lambda source: self.env[source])
        kwargs = torch.fx.map_arg(node.kwargs, lambda source: self.env[source])
        value = target(*torch.fx.map_arg(args, _value), **torch.fx.map_arg(kwargs, _value))
        if not _same_layout(value, _value(base)):
            raise _Unsure
        new = self.add(node, target, args, value, **kwargs)
        self.env[base] = new
        self.aliases.join(base, node)
        return new


class _Aliases:
    """Which nodes may share memory, by the schemas' alias annotations and by what handlers return."""

    def __init__(self) -> None:
        self.groups: dict[Node, list[Node]] = {}

    def of(self, node: Node) -> list[Node]:
        return self.groups.setdefault(node, [node])

    def join(self, first: Node, second: Node) -> None:
        one, two = self.of(first), self.of(second)
        if one is not two:
            one += two
            for node in two:
                self.groups[node] = one

    def note(self, node: Node) -> None:
        """The output of a view, or of a composite that may return its argument, aliases every argument."""
        schema = node.target._schema  # type: ignore[union-attr]
        if str(node.target) in _MAY_RETURN_ARGUMENT or any(r.alias_info is not None for r in schema.returns):
            for source in node.all_input_nodes:
                self.join(source, node)


_MAY_RETURN_ARGUMENT = ("aten.dropout.default", "aten.feature_dropout.default", "aten.alpha_dropout.default")

Handler = Callable[[_Lowering, "Node"], "Node"]


def _handlers() -> dict[str, Handler]:
    return {
        "aten.batch_norm.default": _batch_norm,
        "aten.dropout.default": _dropout,
        "aten.dropout_.default": _dropout,
        "aten.feature_dropout.default": _dropout,
        "aten.alpha_dropout.default": _dropout,
        "aten.flatten.using_ints": _reshape,
        "aten.reshape.default": _reshape,
        "aten.contiguous.default": _contiguous,
        "aten.reshape_as.default": _reshape,
        "aten.view_as.default": _reshape,
        "aten.unflatten.int": _reshape,
        "aten.expand_as.default": _expand_as,
        "aten.chunk.default": _chunk,
        "aten.lift_fresh_copy.default": _lift,
        "aten.to.dtype": _to,
        "aten.to.dtype_layout": _to_layout,
        "aten.to.device": _to_device,
        "aten.detach_.default": _detach_in_place,
    }


def _argument(node: Node, name: str) -> Any:
    schema = node.target._schema  # type: ignore[union-attr]
    for index, argument in enumerate(schema.arguments):
        if argument.name == name:
            if index < len(node.args):
                return node.args[index]
            return node.kwargs.get(name, argument.default_value)
    raise _Unsure


def _assertion(state: _Lowering, node: Node) -> Node:
    """The trace spells the dtype as a positional argument, and converters count those."""
    if len(node.args) != 1 or set(node.kwargs) - {"dtype", "device", "layout"}:
        raise _Unsure
    rest = {name: value for name, value in node.kwargs.items() if name != "dtype"}
    args = (state.env[node.args[0]], None, None, node.kwargs.get("dtype"))  # type: ignore[index]
    return state.add(node, node.target, args, None, **rest)


def _batch_norm(state: _Lowering, node: Node) -> Node:
    import torch

    names = ("input", "weight", "bias", "running_mean", "running_var")
    arguments = [_argument(node, name) for name in names]
    if _argument(node, "training") is not False or None in arguments[3:]:
        raise _Unsure
    args = tuple(state.env[a] if a is not None else None for a in arguments)
    numbers = (_argument(node, "momentum"), _argument(node, "eps"))
    target = torch.ops.aten._native_batch_norm_legit_no_training.default
    values = target(*(None if a is None else _value(a) for a in args), *numbers)
    whole = state.add(node, target, (*args, *numbers), values)
    return state.add(node, operator.getitem, (whole, 0), values[0])


def _dropout(state: _Lowering, node: Node) -> Node:
    if _argument(node, "train") is not False:
        raise _Unsure
    return state.env[node.args[0]]  # type: ignore[index]


def _reshape(state: _Lowering, node: Node) -> Node:
    import torch

    source = state.env[node.args[0]]  # type: ignore[index]
    shape = [int(size) for size in _value(node).shape]
    value = _value(source)
    if str(node.target) == "aten.unflatten.int" and -1 in _argument(node, "sizes"):
        raise _Unsure
    if list(value.shape) == shape and str(node.target) == "aten.flatten.using_ints":
        return source
    try:
        viewed = torch.ops.aten.view.default(value, shape)
    except (RuntimeError, ValueError):
        clone = state.add(
            node,
            torch.ops.aten.clone.default,
            (source,),
            torch.ops.aten.clone.default(value, memory_format=torch.contiguous_format),
            memory_format=torch.contiguous_format,
        )
        unsafe = torch.ops.aten._unsafe_view.default
        return state.add(node, unsafe, (clone, shape), unsafe(_value(clone), shape))
    if str(node.target) == "aten.reshape.default" and value.is_contiguous():
        shape = list(node.args[1])  # type: ignore[arg-type]  # only here does a -1 stay
    return state.add(node, torch.ops.aten.view.default, (source, shape), viewed)


def _contiguous(state: _Lowering, node: Node) -> Node:
    import torch

    source = state.env[node.args[0]]  # type: ignore[index]
    if node.kwargs.get("memory_format", torch.contiguous_format) is not torch.contiguous_format:
        raise _Unsure
    value = _value(source)
    if value.is_contiguous():
        return source
    copy = torch.ops.aten.clone.default
    value_copy = copy(value, memory_format=torch.contiguous_format)
    return state.add(node, copy, (source,), value_copy, memory_format=torch.contiguous_format)


def _expand_as(state: _Lowering, node: Node) -> Node:
    import torch

    source = state.env[node.args[0]]  # type: ignore[index]
    shape = [int(size) for size in _value(node).shape]
    target = torch.ops.aten.expand.default
    return state.add(node, target, (source, shape), target(_value(source), shape))


def _chunk(state: _Lowering, node: Node) -> Node:
    import torch

    source = state.env[node.args[0]]  # type: ignore[index]
    value, dim, chunks = _value(source), int(_argument(node, "dim")), int(_argument(node, "chunks"))
    size = int(value.shape[dim])
    if size == 0:
        raise _Unsure
    target = torch.ops.aten.split.Tensor
    args = (-(-size // chunks),) if dim == 0 else (-(-size // chunks), dim)
    return state.add(node, target, (source, *args), list(target(value, *args)))


def _lift(state: _Lowering, node: Node) -> Node:
    import torch

    source = state.env[node.args[0]]  # type: ignore[index]
    target = torch.ops.aten.clone.default
    return state.add(node, target, (source,), target(_value(source)))


def _to(state: _Lowering, node: Node) -> Node:
    import torch

    source = state.env[node.args[0]]  # type: ignore[index]
    dtype = _argument(node, "dtype")
    if _argument(node, "copy") or _argument(node, "memory_format") is not None:
        raise _Unsure
    if _value(source).dtype == dtype:
        return source
    target = torch.ops.aten._to_copy.default
    return state.add(node, target, (source,), target(_value(source), dtype=dtype), dtype=dtype)


def _to_layout(state: _Lowering, node: Node) -> Node:
    source = state.env[node.args[0]]  # type: ignore[index]
    value = _value(source)
    same = {"dtype": value.dtype, "layout": value.layout, "device": value.device}
    if any(name not in same or same[name] != wanted for name, wanted in node.kwargs.items()):
        raise _Unsure
    return source


def _to_device(state: _Lowering, node: Node) -> Node:
    import torch

    source = state.env[node.args[0]]  # type: ignore[index]
    value = _value(source)
    dtype, device = _argument(node, "dtype"), torch.device(_argument(node, "device"))
    if _argument(node, "copy") or _argument(node, "memory_format") is not None or value.device != device:
        raise _Unsure
    if value.dtype == dtype:
        return source
    target = torch.ops.aten._to_copy.default
    moved = target(value, dtype=dtype, device=device)
    return state.add(node, target, (source,), moved, dtype=dtype, device=device)


def _detach_in_place(state: _Lowering, node: Node) -> Node:
    """Without gradients it changes nothing; ``torch.tensor(2.0)`` in a forward is exported with one."""
    return state.env[node.args[0]]  # type: ignore[index]


def _value(node: Any) -> Any:
    return node.meta.get("val")


def _tensor_types() -> tuple[type, ...]:
    import torch

    return (torch.Tensor, list, tuple)


def _is_symbolic(node: Node) -> bool:
    return any(not isinstance(_value(source), _tensor_types()) for source in node.all_input_nodes)


def _same_layout(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.stride() == other.stride()


def _renamed(signature: Any, names: dict[str, str]) -> Any:
    """The signature with its outputs under their new node names."""
    import copy
    from dataclasses import replace

    renamed = copy.copy(signature)
    renamed.output_specs = [
        replace(spec, arg=replace(spec.arg, name=names.get(spec.arg.name, spec.arg.name)))
        if getattr(spec.arg, "name", None)
        else spec
        for spec in signature.output_specs
    ]
    return renamed
