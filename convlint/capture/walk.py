"""The walker: from a ``torch.fx`` graph of ATen calls to :class:`~convlint.model.Graph`.

One pass in graph order. Every call's arguments are bound by the op's schema with its defaults,
each tensor gets its metadata and its origin, and whether it can depend on an input at all.
Arithmetic with sizes (``aten.sym_size.int``, ``_operator.mul``) and torch's own assertions are calls
like all others, because coremltools looks up a converter for each of them.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from convlint.capture.fills import fill_of
from convlint.capture.handed_on import mark_handed_on
from convlint.capture.paths import input_paths, with_paths
from convlint.capture.sparse import is_sparse
from convlint.capture.states import initial_value
from convlint.model import Graph, OpCall, Origin, Port, TensorArg, TensorMeta
from convlint.usercode.sites import NOWHERE, Place, place_of_text

if TYPE_CHECKING:
    import torch
    from torch.fx import Node

_FEW = 4096
"""Constants of more entries are not looked into."""


def walk(
    nodes: list[Node], origins: Mapping[str, Port | Origin], values: Mapping[str, Any]
) -> tuple[OpCall, ...]:
    """Every op call of ``nodes``, in order.

    ``origins`` tells what each placeholder is (a Port for inputs), ``values`` what the entries of
    placeholders hold that are known constants.
    """
    walker = _Walker(origins, values)
    return tuple(call for node in nodes if node.op == "call_function" and (call := walker.call(node)))


class _Walker:
    def __init__(self, origins: Mapping[str, Port | Origin], values: Mapping[str, Any]) -> None:
        self.origins = origins
        self.values = values
        self.const: dict[Node, bool] = {}
        self.fills: dict[Node, float | None] = {}

    def is_const(self, node: Node) -> bool:
        known = self.const.get(node)
        if known is None:
            if node.op in ("placeholder", "get_attr"):
                known = not isinstance(self.origins.get(_key(node), "constant"), Port)
            else:
                known = all(map(self.is_const, node.all_input_nodes)) and not _is_random(node.target)
            self.const[node] = known
        return known

    def call(self, node: Node) -> OpCall | None:
        self.is_const(node)
        fill_of(node, self.fills)
        if node.target is operator.getitem:
            return None
        op = op_name(node.target)
        args, given, positional = self.bind(node)
        outputs = _outputs(node)
        used, users = _uses(node, len(outputs))
        place = node_place(node)
        module, module_type = node_module(node)
        return OpCall(
            op=op,
            name=node.name,
            args=args,
            given=given,
            positional=positional,
            inputs=tuple(meta for source in node.all_input_nodes if (meta := node_meta(source)) is not None),
            outputs=outputs,
            used_outputs=used,
            users=users,
            const=self.const[node],
            site=place.site,
            caller=place.caller,
            module=module,
            module_type=module_type,
        )

    def bind(self, node: Node) -> tuple[dict[str, Any], tuple[str, ...], int]:
        schema = getattr(node.target, "_schema", None)
        if schema is None:
            positional = {f"arg{index}": self.value(arg) for index, arg in enumerate(node.args)}
            keyword = {name: self.value(arg) for name, arg in node.kwargs.items()}
            return positional | keyword, (*positional, *keyword), len(positional)
        bound: dict[str, Any] = {}
        given: list[str] = []
        for index, argument in enumerate(schema.arguments):
            if index < len(node.args) and not argument.kwarg_only:
                bound[argument.name] = self.value(node.args[index])
                given.append(argument.name)
            elif argument.name in node.kwargs:
                bound[argument.name] = self.value(node.kwargs[argument.name])
                given.append(argument.name)
            else:
                bound[argument.name] = (
                    self.value(argument.default_value) if argument.has_default_value() else None
                )
        return bound, tuple(given), sum(not _is_skipped(arg) for arg in node.args)

    def value(self, value: Any) -> Any:
        """A plain value for an argument: numbers, text, tuples, TensorArg; torch's own types by name."""
        from torch.fx import Node

        if isinstance(value, Node):
            return self.tensor(value)
        if isinstance(value, (list, tuple)):
            return tuple(self.value(item) for item in value)
        if value is None or isinstance(value, (bool, int, float, complex, str)):
            return value
        return plain_name(value)

    def tensor(self, node: Node) -> Any:
        meta = node_meta(node)
        origin = (
            self.origins.get(_key(node), "computed") if node.op in ("placeholder", "get_attr") else "computed"
        )
        if isinstance(origin, Port):
            origin = "input"
        if meta is None:
            return f"symbolic {node.name}: {node.meta.get('val')}"
        computed = node.op == "call_function"
        return TensorArg(
            name=node.name,
            meta=meta,
            origin=origin,
            const=self.is_const(node),
            producer=op_name(_producer(node).target) if computed else "",
            value=self.values.get(_key(node)),
            fill=fill_of(node, self.fills),
            call=_producer(node).name if computed else "",
            output=int(str(node.args[1])) if node.target is operator.getitem else 0,
        )


def op_name(target: Any) -> str:
    """``aten.add.Tensor``, ``torchvision.nms.default`` for an overload; else the target's Python name."""
    schema = getattr(target, "_schema", None)
    if schema is not None:
        return f"{target.namespace}.{schema.name.split('::')[-1]}.{schema.overload_name or 'default'}"
    module = getattr(target, "__module__", "") or ""
    name = getattr(target, "__name__", None) or getattr(target, "_name", None) or str(target)
    if module.startswith("torch._higher_order_ops") or type(target).__name__.endswith("HigherOrderOperator"):
        return f"higher_order.{name}"
    return f"{module}.{name}" if module else str(name)


def plain_name(value: Any) -> Any:
    """``float32`` for torch.float32, ``cpu`` for a device: the names that rules are written with."""
    text = str(value)
    return text.removeprefix("torch.")


def tensor_meta(tensor: torch.Tensor) -> TensorMeta:
    """Shape and dtype; a symbolic size becomes its text."""
    shape = tuple(size if type(size) is int else _size(size) for size in tensor.shape)
    return TensorMeta(shape, str(tensor.dtype).removeprefix("torch."))


def _size(size: Any) -> int | str:
    text = str(size)
    return int(text) if text.lstrip("-").isdigit() else text


def node_meta(node: Node) -> TensorMeta | None:
    """The metadata of a node's first tensor, None where it is no tensor."""
    import torch

    value = node.meta.get("val")
    if isinstance(value, (list, tuple)):
        value = next((item for item in value if isinstance(item, torch.Tensor)), None)
    return tensor_meta(value) if isinstance(value, torch.Tensor) else None


def is_permuted(node: Node) -> bool:
    """Whether the axes of a node's tensor lie in memory in another order than their own."""
    import torch

    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
        return False
    return tuple(value.dim_order()) != tuple(range(value.dim()))


def node_place(node: Node) -> Place:
    """The user's line of a node."""
    stack = node.meta.get("stack_trace") or node.stack_trace
    return place_of_text(stack) if stack else NOWHERE


def node_module(node: Node) -> tuple[str, str]:
    """Path and type of the innermost module that a node belongs to: ("layer1.0.conv1", "Conv2d")."""
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return "", ""
    path, kind = list(stack.values())[-1]
    name = kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}"
    return str(path), name.rpartition(".")[2]


def _is_skipped(value: Any) -> bool:
    """Whether the export frontend of coremltools leaves a positional argument out before it counts them."""
    import torch

    return isinstance(value, (torch.device, torch.layout, torch.memory_format))


def _key(node: Node) -> str:
    return str(node.target) if node.op == "get_attr" else node.name


def _producer(node: Node) -> Node:
    while node.target is operator.getitem:
        node = node.args[0]  # type: ignore[assignment]
    return node


def _outputs(node: Node) -> tuple[TensorMeta | None, ...]:
    import torch

    value = node.meta.get("val")
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(tensor_meta(item) if isinstance(item, torch.Tensor) else None for item in items)


def _uses(node: Node, count: int) -> tuple[tuple[int, ...], tuple[str, ...]]:
    used: set[int] = set()
    users: list[str] = []
    for user in node.users:
        if user.target is operator.getitem:
            used.add(int(str(user.args[1])))
            users += [_user_name(reader) for reader in user.users]
        else:
            used.update(range(count))
            users.append(_user_name(user))
    return tuple(sorted(used)), tuple(users)


def _user_name(node: Node) -> str:
    return "output" if node.op == "output" else op_name(node.target)


def _is_random(target: Any) -> bool:
    import torch

    tags = getattr(target, "tags", ())
    return torch.Tag.nondeterministic_seeded in tags


def graph_of_program(program: Any) -> Graph:
    """The Graph of an ``ExportedProgram``."""
    import torch
    from torch.export.graph_signature import InputKind, OutputKind

    nodes = list(program.graph_module.graph.nodes)
    by_name = {node.name: node for node in nodes}
    signature = program.graph_signature
    mutated = {
        spec.target
        for spec in signature.output_specs
        if spec.kind in (OutputKind.USER_INPUT_MUTATION, OutputKind.BUFFER_MUTATION)
    }
    origins: dict[str, Port | Origin] = {}
    values: dict[str, Any] = {}
    sparse: list[str] = []
    inputs: list[Port] = []
    paths = input_paths(program)
    for spec in signature.input_specs:
        name = spec.arg.name
        node = by_name.get(name)
        if spec.kind is InputKind.USER_INPUT:
            meta = node_meta(node) if node is not None else None
            permuted = node is not None and is_permuted(node)
            kind = "tensor" if meta else "constant"
            used = node is None or any(user.op != "output" for user in node.users)
            port = Port(
                name,
                kind,
                meta,
                mutated=name in mutated,
                permuted=permuted,
                used=used,
                readers=_readers(node),
                path=paths.get(name, ""),
            )
            inputs.append(port)
            origins[name] = port
        elif spec.kind is InputKind.BUFFER and spec.target in mutated:
            port = Port(
                str(spec.target),
                "state",
                node_meta(node) if node is not None else None,
                mutated=True,
                initial=initial_value(
                    program.state_dict.get(spec.target, program.constants.get(spec.target))
                ),
            )
            inputs.append(port)
            origins[name] = port
        else:
            origins[name] = "parameter" if spec.kind is InputKind.PARAMETER else "buffer"
            if spec.kind is InputKind.CONSTANT_TENSOR:
                origins[name] = "constant"
            stored = program.constants.get(spec.target, program.state_dict.get(spec.target))
            if is_sparse(stored):
                sparse.append(str(spec.target))
                continue
            value = common_value(stored)
            if value is not None:
                values[name] = value
    tensors = [tensor for tensor in program.state_dict.values() if isinstance(tensor, torch.Tensor)]
    calls = walk(nodes, origins, values)
    constants = {call.name for call in calls if call.const}
    constants |= {name for name, origin in origins.items() if not isinstance(origin, Port)}
    outputs = [_output_port(spec, by_name, OutputKind, origins) for spec in signature.output_specs]
    outputs = with_paths(outputs, program)
    return Graph(
        calls=calls,
        inputs=tuple(inputs),
        outputs=mark_handed_on(outputs, by_name, constants),
        parameter_count=sum(tensor.numel() for tensor in tensors),
        parameter_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        sparse=tuple(sparse),
    )


def _readers(node: Node | None) -> tuple[str, ...]:
    """The ops that read a node's values; what only asks for its sizes does not count."""
    names = (_user_name(user) for user in node.users) if node is not None else ()
    return tuple(dict.fromkeys(name for name in names if not name.startswith("aten.sym_size")))


def _output_port(
    spec: Any, by_name: Mapping[str, Node], kinds: Any, origins: Mapping[str, Port | Origin]
) -> Port:
    name = getattr(spec.arg, "name", "") or ""
    node = by_name.get(name)
    meta = node_meta(node) if node is not None else None
    if spec.kind is kinds.BUFFER_MUTATION:
        return Port(name, "state", meta, mutated=True)
    if spec.kind is kinds.USER_INPUT_MUTATION:
        return Port(name, "input-mutation", meta, mutated=True, alias_of=str(spec.target))
    if meta is None:
        return Port(name or str(getattr(spec.arg, "value", "None")), "constant", None)
    alias = name if name in origins else ""
    producer = op_name(node.target) if node is not None and node.op == "call_function" else ""
    return Port(name, "tensor", meta, alias_of=alias, producer=producer)


def common_value(tensor: Any) -> bool | int | float | str | None:
    """What every entry of a small tensor holds, or "varied"; None where its data is not at hand."""
    import torch

    from convlint.torch_adapter import is_fake

    if not isinstance(tensor, torch.Tensor) or is_fake(tensor) or tensor.is_complex():
        return None
    if not 1 <= tensor.numel() <= _FEW or tensor.layout is not torch.strided:
        return None
    entries = tensor.detach().reshape(-1)
    if len(entries) > 1 and not bool((entries == entries[0]).all()):
        return "varied"
    value = entries[0].item()
    return value if isinstance(value, (bool, int, float)) else None
