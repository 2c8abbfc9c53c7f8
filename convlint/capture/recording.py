"""A model replayed from one recorded run, for what torch.export refuses.

The recording is a graph of the calls of one run with real values. Where Python read a value, the run
went one way and the recording has that way alone; where the sizes of a tensor follow from values, the
recording is cut. What is left has no branches, and torch.export takes it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from convlint.capture.build import mirror
from convlint.capture.cut import Cut, find_cut, output_of, reads_number, sizes_from_data
from convlint.capture.reach import reached, written
from convlint.capture.record import TENSOR, Run, trace_run
from convlint.torch_adapter import pytree


@dataclass(frozen=True, slots=True)
class Decision:
    """A value that Python read, and that the recording takes for granted; ``node`` read it."""

    node: Node
    value: Any


@dataclass(frozen=True, slots=True)
class Recording:
    """A run, where it is cut, and what was decided on the way to the cut."""

    run: Run
    cut: Cut | None
    decisions: tuple[Decision, ...]

    @property
    def ends(self) -> tuple[Node, ...]:
        """The values that the replayed model returns."""
        return self.cut.ends if self.cut is not None else tuple(output_of(self.run.traced.graph).args[0])  # type: ignore[arg-type]


def record(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, lines: bool = True
) -> Recording:
    """Run ``module`` once, and find what of the run can be replayed for other inputs."""
    run = trace_run(module, args, kwargs, lines=lines)
    _settle_constants(run.traced)
    cut = find_cut(run.traced.graph)
    return Recording(run, cut, _decisions(run, cut))


class RecordedModule(nn.Module):
    """Replays a recording up to its ends, with the parameters of the original under their names."""

    def __init__(self, original: nn.Module, recording: Recording) -> None:
        super().__init__()
        mirror(original, self)
        self.training = original.training
        names = _names_of_tensors(original)
        run, graph = recording.run, torch.fx.Graph()
        dropped = recording.cut.left if recording.cut is not None else frozenset()
        copies: dict[Node, Node] = {}
        for node in run.traced.graph.nodes:
            if node in dropped or node.op == "output" or _computes_nothing(node):
                continue
            copies[node] = graph.node_copy(node, lambda source: copies[source])
            if node.op == "get_attr":
                tensor = getattr(run.traced, str(node.target))
                target = names.get(id(tensor))
                if target is None:
                    target = f"recorded{node.target}"
                    vars(self)[target] = tensor
                copies[node].target = target
        graph.output([copies[end] for end in recording.ends])
        graph.eliminate_dead_code(_acts)
        vars(self)["_replayed"] = graph
        self._in_spec = run.in_spec
        self._outputs: tuple[Any, ...] = run.outputs
        self._out_spec: Any = run.out_spec if recording.cut is None else None
        vars(self)["forward"] = self._forward_as(original)

    def _forward_as(self, original: nn.Module) -> Callable[..., Any]:
        """A ``forward`` with the parameter names of the original's, which name the inputs of a program."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            return self.replay(args, kwargs)

        forward.__signature__ = inspect.signature(original.forward)  # type: ignore[attr-defined]
        return forward

    def replay(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the recorded calls compute of other inputs."""
        leaves, spec = pytree.tree_flatten((args, kwargs))
        if spec != self._in_spec:
            raise TypeError(
                "the arguments do not have the structure of the inputs that the run was recorded with"
            )
        with torch.fx.traceback.preserve_node_meta():
            results = _Player(self, vars(self)["_replayed"]).run(
                *(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))
            )
        if self._out_spec is None:
            return tuple(results)
        rest = iter(results)
        return pytree.tree_unflatten(
            [next(rest) if o is TENSOR else o for o in self._outputs], self._out_spec
        )


class _Player(torch.fx.Interpreter):
    """Runs a graph with the tensors that its module has now."""

    def __init__(self, module: nn.Module, graph: torch.fx.Graph) -> None:
        super().__init__(module, graph=graph)

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Any:
        value: Any = self.module
        for name in str(target).split("."):
            value = getattr(value, name)
        return value


def whole_outputs(recording: Recording, inputs: tuple[tuple[Any, ...], dict[str, Any]]) -> list[torch.Tensor]:
    """The tensors that all calls of a recording give for the inputs that it was recorded with."""
    leaves = pytree.tree_leaves(inputs)
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    return list(torch.fx.Interpreter(recording.run.traced).run(*tensors))


def _settle_constants(traced: torch.fx.GraphModule) -> None:
    """Compute once what has sizes that follow from values that are always the same."""
    graph = traced.graph
    varying = {node for node in graph.nodes if node.op == "placeholder" or _is_weight(traced, node)}
    moving = reached(graph, varying.__contains__)
    still = frozenset(graph.nodes) - moving
    unsettled = sizes_from_data(graph, still)
    if not unsettled:
        return
    values: dict[Node, Any] = {}
    with torch.no_grad():
        for node in graph.nodes:
            if node not in still or node.op == "output":
                continue
            if node.op == "get_attr":
                values[node] = getattr(traced, str(node.target)).clone()
                continue
            args, kwargs = torch.fx.map_arg((node.args, node.kwargs), lambda source: values[source])
            values[node] = node.target(*args, **kwargs)
    for number, node in enumerate(unsettled):
        value = values[node]
        parts = {node: value}
        if isinstance(value, (list, tuple)):
            parts = {user: value[user.args[1]] for user in node.users}  # type: ignore[index]
        for position, (part, tensor) in enumerate(parts.items()):
            name = f"_settled{number}_{position}"
            traced.register_buffer(name, tensor)
            with graph.inserting_before(part):
                constant = graph.get_attr(name)
            constant.meta = dict(part.meta)
            part.replace_all_uses_with(constant)
            graph.erase_node(part)
        if node not in parts:
            graph.erase_node(node)


def _decisions(run: Run, cut: Cut | None) -> tuple[Decision, ...]:
    """The values that depend on an input or a weight, and that Python read before the cut."""
    graph = run.traced.graph
    varying = {node for node in graph.nodes if node.op == "placeholder" or _is_weight(run.traced, node)}
    moving = reached(graph, varying.__contains__)
    left = cut.left if cut is not None else frozenset()
    readers = [
        n for n in graph.nodes if reads_number(n) and n in moving and not left & {n, *n.all_input_nodes}
    ]
    if not readers:
        return ()
    read: dict[Node, Any] = {}
    awaited = set(readers)

    class Reading(torch.fx.Interpreter):
        def run_node(self, n: Node) -> Any:
            value = super().run_node(n)
            if n in awaited:
                read[n] = value
            return value

    with torch.no_grad():
        Reading(run.traced).run(*(_own(tensor) for tensor in run.tensors))
    return tuple(Decision(node, read[node]) for node in readers)


def _is_weight(traced: torch.fx.GraphModule, node: Node) -> bool:
    return node.op == "get_attr" and isinstance(getattr(traced, str(node.target)), nn.Parameter)


def _names_of_tensors(module: nn.Module) -> dict[int, str]:
    """The name of each parameter and buffer, by its identity; the first of those that share one."""
    names: dict[int, str] = {}
    for name, tensor in [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]:
        names.setdefault(id(tensor), name)
    return names


def _computes_nothing(node: Node) -> bool:
    """Calls that only mattered while the run was recorded: values read, switches of autograd."""
    return reads_number(node) or getattr(node.target, "__name__", "") == "_set_grad_enabled"


def _acts(node: Node) -> bool:
    """Whether a call must stay though nobody reads its result: it writes, or it opens or ends autocast."""
    if node.op != "call_function":
        return node.op in ("placeholder", "output")
    return bool(written(node)) or getattr(node.target, "__module__", "") == "torch.amp.autocast_mode"


def _own(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone()
