"""A rewritten program as a module to train: the parameters of the original, under the same names."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.export.graph_signature import InputKind, OutputKind

from convlint import torch_adapter
from convlint.capture.build import mirror
from convlint.torch_adapter import pytree


class FixedModule(nn.Module):
    """Computes what a rewritten program computes, with the very parameters and buffers of the original.

    ``state_dict`` has the original's keys in the original's order, shared tensors stay shared, and
    what trains this module trains the original. It computes what the original does in eval mode:
    the training flag changes nothing.
    """

    def __init__(self, original: nn.Module, program: Any) -> None:
        super().__init__()
        mirror(original, self)
        self.training = original.training
        # Plain attributes, so that neither adds a key to the state_dict nor a name to the modules.
        vars(self)["_graph_module"] = _trainable(program.graph_module)
        self._inputs = [(spec.kind, spec.target) for spec in program.graph_signature.input_specs]
        self._outputs = _output_kinds(program)
        self._in_spec, self._out_spec = program.call_spec.in_spec, program.call_spec.out_spec
        vars(self)["_lifted"] = dict(program.constants)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        given = iter(_ordered(args, kwargs, self._in_spec))
        inputs = []
        for kind, target in self._inputs:
            if kind is InputKind.USER_INPUT:
                inputs.append(next(given))
            elif target in vars(self)["_lifted"]:
                inputs.append(vars(self)["_lifted"][target])
            else:
                inputs.append(_reach(self, str(target)))
        outputs = []
        for (kind, target), value in zip(self._outputs, vars(self)["_graph_module"](*inputs), strict=True):
            if kind is OutputKind.BUFFER_MUTATION:
                _reach(self, str(target)).copy_(value)
            elif kind is OutputKind.USER_OUTPUT:
                outputs.append(value)
        return pytree.tree_unflatten(outputs, self._out_spec)

    def _apply(self, fn: Any, recurse: bool = True) -> FixedModule:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        lifted = vars(self)["_lifted"]
        for name, value in lifted.items():
            if isinstance(value, torch.Tensor):
                lifted[name] = fn(value)
        return self


def _trainable(graph_module: torch.fx.GraphModule) -> torch.fx.GraphModule:
    """A copy through which gradients flow.

    It reshapes where the graph views, since with gradients a kernel may lay its result out otherwise,
    and expands where the graph copies, since PyTorch has no derivative of that.
    """
    graph = torch.fx.Graph()
    graph.output(graph.graph_copy(graph_module.graph, {}))
    for node in graph.nodes:
        if node.target in (torch.ops.aten.view.default, torch.ops.aten._unsafe_view.default):
            node.target = torch.ops.aten.reshape.default
        elif node.target is torch.ops.aten.copy.default:
            node.target = copied
    return torch.fx.GraphModule(graph_module, graph)


def copied(self: torch.Tensor, src: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    """``aten.copy``: the values of ``src`` in the shape and dtype of ``self``."""
    return src.to(self.dtype).expand(self.shape).clone()


def _output_kinds(program: Any) -> list[tuple[Any, str | None]]:
    """For each output of the graph its kind; those that are no tensors have left the signature."""
    last = next(node for node in program.graph.nodes if node.op == "output")
    specs = iter(program.graph_signature.output_specs)
    whole = len(program.graph_signature.output_specs) == len(last.args[0])
    kinds: list[tuple[Any, str | None]] = []
    for value in last.args[0]:
        if whole or isinstance(value, torch.fx.Node):
            spec = next(specs)
            kinds.append((spec.kind, spec.target))
        else:
            kinds.append((OutputKind.USER_OUTPUT, None))
    return kinds


def _reach(module: nn.Module, path: str) -> Any:
    value: Any = module
    for name in path.split("."):
        value = getattr(value, name)
    return value


def _ordered(args: tuple[Any, ...], kwargs: dict[str, Any], spec: Any) -> list[Any]:
    """The leaves of the arguments in the order of the program's inputs, keywords in any order."""
    names = torch_adapter.child_spec(spec, 1).context
    if set(names) == set(kwargs):
        kwargs = {name: kwargs[name] for name in names}
    leaves: list[Any]
    leaves, structure = pytree.tree_flatten((args, kwargs))
    if structure != spec:
        raise TypeError(
            "the arguments do not have the structure of the example inputs that the module was fixed with"
        )
    return leaves
