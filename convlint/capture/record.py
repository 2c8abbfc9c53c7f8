"""Recording: the ATen calls of one run, for models that no tracer turns into a program.

The model runs with real random inputs, so a branch on data takes one side: the graph names the ops
of that path, and cannot be converted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint import torch_adapter
from convlint.capture.reads import reading_lines, reads_of_inputs
from convlint.capture.walk import common_value, node_meta, walk
from convlint.model import Graph, Origin, Port, Proviso
from convlint.usercode.sites import choose_frames

if TYPE_CHECKING:
    import torch
    from torch.fx import Graph as FxGraph
    from torch.fx import Node

TENSOR = object()
"""What stands for a tensor among the outputs of a run."""

_PASSED_OVER = ("detach", "lift_fresh", "_local_scalar_dense", "item", "is_nonzero")


@dataclass(frozen=True, slots=True)
class Run:
    """One run as a graph of ATen calls, and how its inputs and outputs were nested.

    The tensors among ``leaves`` are the inputs of ``traced``, in order; what it returns belongs where
    ``outputs`` has :data:`TENSOR`.
    """

    traced: torch.fx.GraphModule
    leaves: tuple[Any, ...]
    in_spec: Any
    outputs: tuple[Any, ...]
    out_spec: Any

    @property
    def tensors(self) -> list[Any]:
        """The tensors that the run was given."""
        import torch

        return [leaf for leaf in self.leaves if isinstance(leaf, torch.Tensor)]


def record_run(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, decomposed: bool = False
) -> tuple[Graph, tuple[Proviso, ...], frozenset[tuple[str, int]]]:
    """Run ``module`` once: the ops that it called, with modules and lines, what it read of inputs, and all
    lines that read.

    The ops are those that a trace has, or with ``decomposed`` those that an exported program would have.
    """
    run = trace_run(module, args, kwargs)
    reads = reads_of_inputs(run.traced.graph)
    return _graph(_taken_apart(run, decomposed), module), reads, reading_lines(run.traced.graph)


def _taken_apart(run: Run, decomposed: bool) -> torch.fx.GraphModule:
    """The run again, with its composite ops taken apart as far as what is converted has them apart.

    That is what ``run_decompositions({})`` does to an exported program; of a trace, the tracer itself takes
    ``chunk`` apart and nothing else.
    """
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    ops = {node.target for node in run.traced.graph.nodes if torch_adapter.is_overload(node.target)}
    if decomposed:
        apart = [
            op
            for op in ops
            if torch_adapter.is_composite(op) and not torch_adapter.survives_decomposition(op)
        ]
    else:
        apart = [op for op in ops if op is torch.ops.aten.chunk.default]
    if not apart:
        return run.traced
    table = {op: op.decompose for op in apart}
    tensors = [leaf for leaf in run.leaves if isinstance(leaf, torch.Tensor)]
    try:
        with torch.no_grad(), torch.fx.traceback.preserve_node_meta():
            return make_fx(
                torch.fx.Interpreter(run.traced).run,
                decomposition_table=table,
                tracing_mode="real",
                pre_dispatch=True,
                _error_on_data_dependent_ops=False,
            )(*(tensor.clone() for tensor in tensors))
    except Exception:  # the run itself is still worth its ops
        return run.traced


def trace_run(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, lines: bool = True
) -> Run:
    """Run ``module`` once, with real values, and return the ATen calls that it made, with their lines."""
    import torch

    from convlint.torch_adapter import pytree

    leaves, in_spec = pytree.tree_flatten((args, kwargs))
    tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
    copies = tuple(leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves)
    ended: list[Any] = []

    def run(*values: torch.Tensor) -> list[torch.Tensor]:
        queue = list(values)
        filled = [queue.pop(0) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        run_args, run_kwargs = pytree.tree_unflatten(filled, in_spec)
        with _marking_readers():
            outputs, out_spec = pytree.tree_flatten(module(*run_args, **run_kwargs))
        ended[:] = [TENSOR if isinstance(output, torch.Tensor) else output for output in outputs], out_spec
        return [output for output in outputs if isinstance(output, torch.Tensor)]

    with torch.no_grad(), _plain_attention(), module_paths(module), torch.fx.traceback.preserve_node_meta():
        traced = torch_adapter.trace_real(run, choose_frames if lines else None)(*tensors)
    outputs, out_spec = ended
    return Run(traced, copies, in_spec, tuple(outputs), out_spec)


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Without the fused kernels of ``nn.TransformerEncoder`` and its kin, as in an export."""
    import torch

    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def _marking_readers() -> Any:
    """While open, what is read past the dispatcher (``tolist``, ``numpy``) is read in the graph too."""
    import torch
    from torch.overrides import TorchFunctionMode

    from convlint.torch_adapter import pytree

    readers = (torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.__array__)
    makers = (torch.tensor, torch.as_tensor, torch.asarray, torch.Tensor.new_tensor)
    as_text = (torch.Tensor.__format__, torch.Tensor.__repr__)

    class Marking(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            if func in as_text:  # a text decides nothing of what is computed
                with torch_adapter.real_tensors():
                    return func(*args, **kwargs)
            if func in readers:
                _mark(args[0])
            elif func in makers:
                lists = [value for value in (*args, *kwargs.values()) if isinstance(value, (list, tuple))]
                for leaf in pytree.tree_leaves(lists):
                    if isinstance(leaf, torch.Tensor):
                        _mark(leaf)
            return func(*args, **kwargs)

    return Marking()


def _mark(tensor: torch.Tensor) -> None:
    """Read a value of a tensor where the graph sees it."""
    if tensor.numel():
        tensor.detach().flatten()[0].item()


def _graph(traced: torch.fx.GraphModule, module: torch.nn.Module) -> Graph:
    import torch

    _replace_inplace(traced.graph)
    nodes = [
        node
        for node in traced.graph.nodes
        if _base_name(node) not in _PASSED_OVER and (node.op != "call_function" or _gives_tensors(node))
    ]
    origins: dict[str, Port | Origin] = {}
    values: dict[str, Any] = {}
    inputs = []
    for node in nodes:
        if node.op == "placeholder":
            port = Port(node.name, "tensor", node_meta(node))
            inputs.append(port)
            origins[node.name] = port
        elif node.op == "get_attr":
            tensor = getattr(traced, str(node.target), None)
            origins[str(node.target)] = "parameter" if isinstance(tensor, torch.nn.Parameter) else "constant"
            value = common_value(tensor)
            if value is not None:
                values[str(node.target)] = value
    result = next(node for node in traced.graph.nodes if node.op == "output")
    outputs = [Port(node.name, "tensor", node_meta(node)) for node in result.all_input_nodes]
    parameters = list(module.parameters())
    return Graph(
        calls=walk(nodes, origins, values),
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        parameter_count=sum(parameter.numel() for parameter in parameters),
        parameter_bytes=sum(parameter.numel() * parameter.element_size() for parameter in parameters),
    )


def _gives_tensors(node: Node) -> bool:
    """Whether a call computes a tensor; others switch autograd or autocast, or ask about a dtype."""
    import torch

    from convlint.torch_adapter import pytree

    return any(isinstance(leaf, torch.Tensor) for leaf in pytree.tree_leaves(node.meta.get("val")))


def _base_name(node: Node) -> str:
    name = getattr(getattr(node.target, "_schema", None), "name", "")
    return str(name).rpartition("::")[2]


def _replace_inplace(graph: FxGraph) -> None:
    """``relu_`` stands for ``relu`` here: what a program without side effects would call."""
    import torch

    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is None or not schema.is_mutable or not schema.name.endswith("_"):
            continue
        namespace, _, name = schema.name.partition("::")
        packet = getattr(getattr(torch.ops, namespace), name[:-1], None)
        functional = getattr(packet, schema.overload_name or "default", None) if packet is not None else None
        if functional is not None:
            node.target = functional


@contextmanager
def module_paths(module: torch.nn.Module) -> Iterator[None]:
    """While open, nodes traced inside a submodule carry its path and type in ``nn_module_stack``."""
    import torch
    from torch.fx import traceback as fx_traceback

    names = {part: name for name, part in module.named_modules()}
    stack: list[tuple[str, str]] = []

    def publish() -> None:
        meta = fx_traceback.get_current_meta()
        if stack:
            meta["nn_module_stack"] = {str(index): entry for index, entry in enumerate(stack)}
        else:
            meta.pop("nn_module_stack", None)

    def enter(part: torch.nn.Module, args: Any) -> None:
        if part in names:
            kind = type(part)
            stack.append((names[part], f"{kind.__module__}.{kind.__qualname__}"))
            publish()

    def leave(part: torch.nn.Module, args: Any, output: Any) -> None:
        if part in names and stack:
            stack.pop()
            publish()

    handles = [
        torch.nn.modules.module.register_module_forward_pre_hook(enter),
        torch.nn.modules.module.register_module_forward_hook(leave, always_call=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
