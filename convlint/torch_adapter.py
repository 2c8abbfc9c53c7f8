"""Every private API of torch that convlint leans on, behind names of its own.

``tests/project/test_torch_adapter.py`` fails, naming the function here, when a release of torch moves one.
Nothing else in the package may import a ``torch._something``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import traceback

    import torch

FrameFilter = Callable[["traceback.StackSummary"], list["traceback.FrameSummary"]]


def __getattr__(name: str) -> Any:
    """``pytree``, torch's nested containers, loaded with torch when it is first asked for."""
    if name == "pytree":
        from torch.utils import _pytree

        return _pytree
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_overload(target: Any) -> bool:
    """Whether what a node of a graph calls is an overload of an operator."""
    import torch

    return isinstance(target, torch._ops.OpOverload)


def mobile_bytes(module: Any) -> bytes:
    """A scripted module in the format of PyTorch Mobile."""
    return bytes(module._save_to_buffer_for_lite_interpreter())


def mobile_module(data: bytes) -> Any:
    """The module that :func:`mobile_bytes` wrote, in Mobile's interpreter."""
    import io

    from torch.jit.mobile import _load_for_lite_interpreter

    return _load_for_lite_interpreter(io.BytesIO(data))  # type: ignore[no-untyped-call]


def fake_mode() -> Any:
    """A fresh ``FakeTensorMode`` that ``torch.export.export`` accepts inputs from.

    Export asks for a shape environment with tracked fakes in its own error message:
    https://github.com/pytorch/pytorch/blob/v2.9.0/torch/_export/non_strict_utils.py
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    return FakeTensorMode(shape_env=ShapeEnv(tracked_fakes=[]), allow_non_fake_inputs=True, export=True)


def dispatch_mode_class() -> type:
    """The class of modes that see every op that runs."""
    from torch.utils._python_dispatch import TorchDispatchMode

    return TorchDispatchMode


@contextmanager
def registered_dataclasses(values: Any) -> Iterator[tuple[str, ...]]:
    """While open, torch takes the dataclasses among ``values`` apart, as those that were registered with it.

    Yields the names of those that it did not know.
    """
    import dataclasses

    import torch
    from torch.utils import _pytree as pytree

    made: list[type] = []

    def look(value: Any) -> None:
        for leaf in pytree.tree_leaves(value):
            kind = type(leaf)
            if not dataclasses.is_dataclass(leaf) or kind in pytree.SUPPORTED_NODES:
                continue
            try:
                torch.export.register_dataclass(kind, serialized_type_name=f"convlint.{id(kind)}")
            except Exception:  # a class with fields that its constructor does not take: left as it is
                continue
            made.append(kind)
            look([getattr(leaf, field.name) for field in dataclasses.fields(leaf)])

    look(values)
    try:
        yield tuple(kind.__qualname__ for kind in made)
    finally:
        for kind in made:
            pytree._deregister_pytree_node(kind)


def is_fake(tensor: torch.Tensor) -> bool:
    """Whether the tensor carries a shape and a dtype but no data."""
    from torch._subclasses.fake_tensor import FakeTensor

    return isinstance(tensor, FakeTensor) or tensor.is_meta


def fake_outside_mode(tensor: torch.Tensor, mode: Any) -> bool:
    """Whether the tensor is fake and belongs to another fake mode than ``mode``."""
    from torch._subclasses.fake_tensor import FakeTensor

    return isinstance(tensor, FakeTensor) and tensor.fake_mode is not mode


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
    made = make_fx(function, tracing_mode="real", pre_dispatch=True, **options)
    if choose is None:
        return made

    def traced(*args: Any) -> Any:
        with _old_stack_frames(choose):
            return made(*args)

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


@contextmanager
def real_tensors() -> Iterator[None]:
    """While open, inside a trace, tensors are real and what is done with them is not traced."""
    from torch._subclasses.fake_tensor import unset_fake_temporarily
    from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

    with unset_fake_temporarily(), disable_proxy_modes_tracing():
        yield


def survives_decomposition(op: Any) -> bool:
    """Whether ``run_decompositions({})`` leaves a call of this overload in the graph as it is.

    True for functional ops that either have kernels of their own or are composites that export
    preserves; a composite whose schema lies about aliasing is always taken apart, and so is an op
    (``softshrink``) that has a decomposition in Python for its gradient.
    """
    import torch
    from torch._export.utils import _is_preservable_cia_op

    schema = op._schema
    if schema.is_mutable:
        return False
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    if op.has_kernel_for_dispatch_key(composite) or composite in op.py_kernels:
        return bool(_is_preservable_cia_op(op))
    return torch._C.DispatchKey.Autograd not in op.py_kernels


def child_spec(spec: Any, index: int) -> Any:
    """The structure of one child of a pytree's; releases before 2.9 have the list alone."""
    return spec.child(index) if hasattr(spec, "child") else spec.children_specs[index]


def mode_of(value: Any) -> Any:
    """The fake mode that a tensor without data belongs to, or None."""
    from torch._subclasses.fake_tensor import FakeTensor

    return value.fake_mode if isinstance(value, FakeTensor) else None


@contextmanager
def kept_sizes(mode: Any) -> Iterator[None]:
    """While open, whatever needs a dynamic size of this fake mode to be one number raises."""
    shapes = getattr(mode, "shape_env", None)
    if shapes is None:
        yield
        return
    if hasattr(shapes, "error_on_new_guards"):
        with shapes.error_on_new_guards():
            yield
        return

    def refused(condition: Any, value: Any) -> None:
        raise _SizeFixed(f"{condition} == {value}")

    shapes._check_frozen = refused  # asked before each guard in releases without the switch
    try:
        yield
    finally:
        del shapes._check_frozen


class _SizeFixed(RuntimeError):
    """A dynamic size was asked for its number, in releases of torch without an error of their own for it."""


def fixes_a_size(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, is that of :func:`kept_sizes`."""
    from torch.fx.experimental import symbolic_shapes

    kinds = (_SizeFixed, getattr(symbolic_shapes, "_ShapeEnvGuardError", _SizeFixed))
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__ or error.__context__
    return False


def size_at(size: Any, sizes: Mapping[Any, int]) -> int:
    """A dynamic size where its symbols are these numbers."""
    return int(size.node.expr.subs(sizes))


def symbols_of(size: Any) -> list[Any]:
    """The symbols that a dynamic size is made of, in the order of their names."""
    return sorted(size.node.expr.free_symbols, key=str)


def has_sizes_from_data(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the sizes of what ``op`` returns follow from the values of its tensors, as those of nonzero do.

    Asks the op's own rule for tensors without data, which gives a symbol where a size is not known. An
    op of another library that has no such rule counts as one: no tracer can tell.
    """
    import torch
    from torch._subclasses.fake_tensor import (
        DataDependentOutputException,
        DynamicOutputShapeException,
        FakeTensorMode,
    )
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode, ShapeEnv
    from torch.utils import _pytree as pytree

    mode = FakeTensorMode(shape_env=ShapeEnv())

    def empty(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return torch.empty([size_hint(size) for size in value.shape], dtype=value.dtype)

    with mode, torch.no_grad():
        try:
            args, kwargs = pytree.tree_map(empty, (args, kwargs))
            results = op(*args, **kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException, GuardOnDataDependentSymNode):
            return True
        except Exception:
            return getattr(op, "namespace", "aten") not in ("aten", "prims", "_operator")
    return any(
        isinstance(size, torch.SymInt)
        for value in pytree.tree_leaves(results)
        if isinstance(value, torch.Tensor)
        for size in value.shape
    )


def aten_program(program: Any, graph_module: Any, signature: Any, constants: Any = None) -> Any:
    """``program`` with another graph and signature, and other constants if given, in the ATen dialect."""
    from torch.export import ExportedProgram

    return ExportedProgram(
        root=graph_module,
        graph=graph_module.graph,
        graph_signature=signature,
        state_dict=program.state_dict,
        range_constraints=program.range_constraints,
        module_call_graph=program.module_call_graph,
        example_inputs=program.example_inputs,
        constants=program.constants if constants is None else constants,
    )


def with_interface(program: Any, in_spec: Any, out_spec: Any, more: Mapping[str, Any]) -> Any:
    """``program`` whose arguments and results are nested otherwise, with ``more`` keyword arguments."""
    from dataclasses import replace

    from torch.export import ExportedProgram

    first, *others = program.module_call_graph
    assert first.fqn == ""
    example: tuple[tuple[Any, ...], dict[str, Any]] | None = program.example_inputs
    args, kwargs = example or ((), {})
    return ExportedProgram(
        root=program.graph_module,
        graph=program.graph,
        graph_signature=program.graph_signature,
        state_dict=program.state_dict,
        range_constraints=program.range_constraints,
        module_call_graph=[
            replace(first, signature=replace(first.signature, in_spec=in_spec, out_spec=out_spec)),
            *others,
        ],
        example_inputs=(args, {**kwargs, **more}),
        constants=program.constants,
    )


def decomposition_table() -> dict[Any, Callable[..., Any]]:
    """PyTorch's own decompositions: overload to function, every one that is registered."""
    from torch._decomp import decomposition_table as table

    return dict(table)


def decomposition_of(op: Any) -> Callable[..., Any] | None:
    """PyTorch's own decomposition of an overload, or None."""
    from torch._decomp import decomposition_table as table

    return table.get(op)


def is_composite(op: Any) -> bool:
    """Whether PyTorch itself runs this overload as a composition of other ops."""
    import torch

    if not isinstance(op, torch._ops.OpOverload):
        return False
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(op.has_kernel_for_dispatch_key(composite) or composite in op.py_kernels)


@dataclass(frozen=True, slots=True)
class SizeGuard:
    """Something that a trace took for granted about flexible sizes.

    ``condition`` is a sympy expression of the ``environment``'s symbols, ``stack`` is (path, line,
    function) from the outermost frame to the innermost.
    """

    condition: Any
    stack: tuple[tuple[str, int, str], ...]
    environment: Any


@contextmanager
def size_guards() -> Iterator[list[SizeGuard]]:
    """While open, collects every :class:`SizeGuard`, with the line of Python that asked for it.

    With ``Dim.AUTO`` torch.export keeps them to itself; with named dimensions it raises, and its message
    names no line.
    """
    import sys

    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    found: list[SizeGuard] = []
    name = "_log_guard"
    original = getattr(ShapeEnv, name, None)
    if original is None:
        yield found
        return

    def noted(self: Any, prefix: str, condition: Any, *args: Any, **kwargs: Any) -> Any:
        stack = []
        frame: Any = sys._getframe(1)
        while frame is not None:
            stack.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
            frame = frame.f_back
        found.append(SizeGuard(condition, tuple(reversed(stack)), self))
        return original(self, prefix, condition, *args, **kwargs)

    setattr(ShapeEnv, name, noted)
    try:
        yield found
    finally:
        setattr(ShapeEnv, name, original)


def traced_symbols(environment: Any) -> list[tuple[Any, ...]]:
    """The sizes of each traced input, flattened: a sympy symbol, or a number where the size is fixed."""
    return [
        tuple(size if type(size) is int else size.node._expr for size in tracked.fake.shape)
        for tracked in environment.tracked_fakes or ()
    ]


def condition_holds(guard: SizeGuard, sizes: Mapping[Any, int]) -> bool:
    """Whether a condition holds with these numbers for its symbols; true where nobody can tell."""
    import sympy

    try:
        return bool(guard.condition.xreplace({symbol: sympy.Integer(size) for symbol, size in sizes.items()}))
    except (TypeError, ValueError, ZeroDivisionError):
        return True


def size_expression(size: Any) -> Any:
    """A size of a traced tensor as a number or a sympy expression."""
    if type(size) is int:
        return size
    expression = size.node.expr
    return int(expression) if expression.is_number else expression


def size_hint(size: Any) -> int:
    """The size that a symbolic one had in the example."""
    if type(size) is int:
        return size
    node = size.node
    hint = getattr(node, "hint", None)
    if hint is None:
        hint = node.shape_env.size_hint(node.expr, allow_none=True)
    if hint is None:
        raise ValueError(f"the size {size} has no example")
    return int(hint)


def is_mutable(target: Any) -> bool:
    """Whether an overload writes into one of its arguments."""
    schema = getattr(target, "_schema", None)
    return bool(schema is not None and schema.is_mutable)


def torchscript_call(node: Any, values: list[Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """What to call for a node of a traced graph whose inputs have these values: function, args, kwargs.

    Raises LookupError for what only scripts have, as branches and loops.
    """
    import torch

    kind = node.kind()
    if kind == "prim::Constant":
        value = node.output().toIValue()
        return lambda: value, (), {}
    if kind == "prim::ListConstruct":
        return lambda *items: list(items), tuple(values), {}
    if kind == "prim::TupleConstruct":
        return lambda *items: tuple(items), tuple(values), {}
    if kind in ("prim::ListUnpack", "prim::TupleUnpack"):
        (items,) = values
        return (lambda: items[0] if len(items) == 1 else items), (), {}
    namespace, _, name = kind.partition("::")
    try:
        schema = torch._C.parse_schema(node.schema())
        packet = getattr(getattr(torch.ops, namespace), name)
        target = getattr(packet, schema.overload_name or "default")
    except (RuntimeError, AttributeError) as error:
        raise LookupError(kind) from error
    named = zip(schema.arguments, values, strict=True)
    pairs = [(argument, value) for argument, value in named]
    args = tuple(value for argument, value in pairs if not argument.kwarg_only)
    return target, args, {argument.name: value for argument, value in pairs if argument.kwarg_only}
