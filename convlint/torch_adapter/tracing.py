"""What torch writes down while it traces: frames of the stack, graphs, what it prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import traceback


FrameFilter = Callable[["traceback.StackSummary"], list["traceback.FrameSummary"]]


@contextmanager
def stack_frames(choose: FrameFilter) -> Iterator[None]:
    """While open, every node that torch.fx traces keeps the stack frames that ``choose`` returns.

    Non-strict export keeps the frames of functions called ``forward`` alone, so that a line in a
    helper function is lost; the tracer's hook for choosing frames brings it back.
    """
    import traceback

    from torch.fx.proxy import TracerBase

    name = "_filter_traceback_frames"
    original = getattr(TracerBase, name, None)
    if original is None:
        with _old_stack_frames(choose):
            yield
        return

    def filtered(self: Any, summary: traceback.StackSummary) -> traceback.StackSummary:
        return traceback.StackSummary.from_list(choose(summary))

    setattr(TracerBase, name, filtered)
    try:
        yield
    finally:
        setattr(TracerBase, name, original)


@contextmanager
def _old_stack_frames(choose: FrameFilter) -> Iterator[None]:
    """The same for releases before 2.9, whose tracers write a line where there is none yet."""
    import traceback

    from torch.fx.experimental.proxy_tensor import PythonKeyTracer
    from torch.utils._traceback import CapturedTraceback

    tracer: Any = PythonKeyTracer
    extract: Callable[[], Any] = CapturedTraceback.extract
    own = "create_node" in vars(tracer)
    original = tracer.create_node

    def create_node(self: Any, *args: Any, **kwargs: Any) -> Any:
        node = original(self, *args, **kwargs)
        if node.op == "call_function":
            frames = choose(extract().summary())
            text = "".join(traceback.StackSummary.from_list(frames).format()).strip()
            if text:
                node.meta["stack_trace"] = text
        return node

    tracer.create_node = create_node
    try:
        yield
    finally:
        if own:
            tracer.create_node = original
        else:
            del tracer.create_node


def trace_real(function: Callable[..., Any], choose: FrameFilter | None) -> Callable[..., Any]:
    """``make_fx`` of a function that is run with real values, before dispatch to kernels.

    Nodes keep the frames that ``choose`` returns; None keeps no frames. Ops whose results follow from data
    are run and noted.
    """
    import inspect

    from torch.fx.experimental.proxy_tensor import make_fx

    options: dict[str, Any] = {"_error_on_data_dependent_ops": False}
    if "record_stack_traces" in inspect.signature(make_fx).parameters:
        options["record_stack_traces"] = choose is not None
        return make_fx(function, tracing_mode="real", pre_dispatch=True, **options)
    traced_function = make_fx(function, tracing_mode="real", pre_dispatch=True, **options)
    if choose is None:
        return traced_function

    def traced(*args: Any) -> Any:
        with _old_stack_frames(choose):
            return traced_function(*args)

    return traced


@contextmanager
def unprinted_graph() -> Iterator[None]:
    """While open, torch.export does not print the graph that it had when a branch on data stopped it.

    It prints to stderr without asking, thousands of lines for a detector; the report names the line. Only the
    name ``print`` of that one module is covered, so that what the model prints is seen.
    """
    from torch.export import _trace

    vars(_trace)["print"] = lambda *words, **options: None
    try:
        yield
    finally:
        vars(_trace).pop("print", None)


def traced_outputs(traced: Any) -> list[str]:
    """The names of what a traced module returns, in order; a tensor that is returned twice has one name."""
    names: list[str] = []

    def collect(value: Any) -> None:
        node = value.node()
        if node.kind() in ("prim::TupleConstruct", "prim::ListConstruct"):
            for inner in node.inputs():
                collect(inner)
        else:
            names.append(value.debugName())

    for output in traced.inlined_graph.outputs():
        collect(output)
    return names
