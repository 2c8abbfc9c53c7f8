"""Overloads of operators: what they are made of, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convlint.torch_adapter.sizes import size_hint


def is_overload(target: Any) -> bool:
    """Whether what a node of a graph calls is an overload of an operator."""
    import torch

    return isinstance(target, torch._ops.OpOverload)


def is_mutable(target: Any) -> bool:
    """Whether an overload writes into one of its arguments."""
    schema = getattr(target, "_schema", None)
    return bool(schema is not None and schema.is_mutable)


def is_composite(op: Any) -> bool:
    """Whether PyTorch itself runs this overload as a composition of other ops."""
    import torch

    if not isinstance(op, torch._ops.OpOverload):
        return False
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    return bool(op.has_kernel_for_dispatch_key(composite) or composite in op.py_kernels)


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


def decomposition_table() -> dict[Any, Callable[..., Any]]:
    """PyTorch's own decompositions: overload to function, every one that is registered."""
    from torch._decomp import decomposition_table as table

    return dict(table)


def decomposition_of(op: Any) -> Callable[..., Any] | None:
    """PyTorch's own decomposition of an overload, or None."""
    from torch._decomp import decomposition_table as table

    return table.get(op)


def has_sizes_from_data(op: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the sizes of what ``op`` returns follow from the values of its tensors, as those of nonzero do.

    Asks the op's own rule for tensors without data, which gives a symbol where a size is not known. An
    op of another library that has no such rule counts as one: no tracer can tell.
    """
    import torch
    from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv
    from torch.utils import _pytree as pytree

    mode = FakeTensorMode(shape_env=ShapeEnv())

    def empty(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return torch.empty([size_hint(size) for size in value.shape], dtype=value.dtype)

    given, outside = (args, kwargs), getattr(op, "namespace", "aten") not in ("aten", "prims", "_operator")
    try:
        with mode, torch.no_grad():
            args, kwargs = pytree.tree_map(empty, given)
            results = op(*args, **kwargs)
    except DataDependentOutputException:  # a value is read, and a size need not follow from it
        return outside or not _only_checks(op, given)
    except Exception as error:
        return is_about_data(error) or outside
    return any(
        isinstance(size, torch.SymInt)
        for value in pytree.tree_leaves(results)
        if isinstance(value, torch.Tensor)
        for size in value.shape
    )


def _only_checks(op: Any, given: tuple[tuple[Any, ...], dict[str, Any]]) -> bool:
    """Whether an op of floats reads a value for a check alone, as ``istft`` of its window: it runs on any."""
    import torch
    from torch.utils import _pytree as pytree

    def drawn(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return torch.rand([size_hint(size) for size in value.shape], dtype=value.dtype)

    tensors = [each for each in pytree.tree_leaves(given) if isinstance(each, torch.Tensor)]
    if not all(each.is_floating_point() or each.is_complex() for each in tensors):
        return False
    try:
        args, kwargs = pytree.tree_map(drawn, given)
        with torch.no_grad():
            op(*args, **kwargs)
    except Exception:  # an op refuses numbers in any way
        return False
    return True


def is_about_data(error: Exception) -> bool:
    """Whether a call failed, or would have to guess, because only data tells a size or a value."""
    from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
    from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

    return isinstance(
        error, (DataDependentOutputException, DynamicOutputShapeException, GuardOnDataDependentSymNode)
    )


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
