"""MIL programs: where they are found, their operations and variables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


def program_of_model(model: Any) -> Any:
    """The MIL program that a model which was just converted still holds; None for one that was loaded."""
    return model._mil_program


def mil_program(source: Any) -> Any:
    """The MIL program of a Program, an MLModel, or the path of an ``.mlpackage``; TypeError for others.

    A model that was just converted still holds its program; one that was loaded is read back from its
    file with coremltools' own reader.
    """
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.converters.mil.mil import Program

    if isinstance(source, Program):
        return source
    model = source
    if not isinstance(model, ct.models.MLModel):
        if not isinstance(source, (str, os.PathLike)):
            raise TypeError(f"a {type(source).__name__} is no program, no model and no path")
        if not os.path.exists(source):
            raise FileNotFoundError("there is nothing at this path")
        model = ct.models.MLModel(os.fspath(source), skip_model_load=True)
    if model._mil_program is not None:
        return model._mil_program
    spec = model.get_spec()
    if spec.WhichOneof("Type") != "mlProgram":
        raise TypeError(f"a Core ML model of type {spec.WhichOneof('Type')} holds no MIL program")
    return load(spec, spec.specificationVersion, model.weights_dir)


def operations(program: Any) -> Iterator[Any]:
    """Every operation of a MIL program, those in nested blocks too, constants left out."""

    def block_operations(block: Any) -> Iterator[Any]:
        for operation in block.operations:
            for inner in operation.blocks:
                yield from block_operations(inner)
            if operation.op_type != "const":
                yield operation

    for function in program.functions.values():
        yield from block_operations(function)


def is_without_value(operation: Any) -> bool:
    """Whether a converter gave an operation Python's ``None`` for a number that it could not know.

    coremltools notices when it writes the program, where no integer can be None:
    ``_internal_op_tensor_inplace_fill`` in converters/mil/frontend/torch/ops.py does it.
    https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/ops.py
    """
    import numpy as np

    values = (getattr(variable, "val", None) for variable in operation.inputs.values())
    return any(
        isinstance(value, np.ndarray) and value.dtype.kind == "O" and None in value.flat for value in values
    )


def operation_names() -> frozenset[str]:
    """The names of all ops in the op sets of the installed coremltools."""
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    return frozenset(SSAOpRegistry.core_ops)


def value_type(variable: Any) -> tuple[str, tuple[int | None, ...] | None]:
    """Dtype and shape of a MIL variable; None for a size that is symbolic, or for a shape that has no end.

    A list or a dictionary has the dtype "".
    """
    from coremltools.converters.mil.mil import types
    from coremltools.converters.mil.mil.types.symbolic import any_variadic, is_symbolic

    kind = variable.sym_type
    if types.is_state(kind):
        kind = kind.wrapped_type()
    if types.is_tensor(kind):
        name = types.builtin_to_string(kind.get_primitive())
        sizes = kind.get_shape()
        if any_variadic(sizes):
            return str(name), None
        # A negative size is one that type inference did not work out: topk of all elements (k = -1).
        return str(name), tuple(None if is_symbolic(size) or size < 0 else int(size) for size in sizes)
    if types.is_list(kind) or types.is_dict(kind):
        return "", None
    return str(types.builtin_to_string(kind) or ""), ()


def is_variable(value: Any) -> bool:
    """Whether this is a variable of a MIL program."""
    from coremltools.converters.mil.mil import Var

    return isinstance(value, Var)


def is_state(variable: Any) -> bool:
    """Whether a MIL variable is a state, which outlives a prediction."""
    from coremltools.converters.mil.mil import types

    return bool(types.is_state(variable.sym_type))


def is_parameter(operation: Any, name: str) -> bool:
    """Whether an input of a MIL operation must be known when the model is compiled."""
    from coremltools.converters.mil.mil.input_type import TensorInputType

    kind = operation.input_spec.input_types[name]
    return isinstance(kind, TensorInputType) and bool(kind.const)


def stack_text(variable: Any) -> str:
    """The stack trace that the export frontend noted for the op that made a MIL variable.

    Passes hand it on to the operations that they make; of several that became one, it is the last.
    """
    from coremltools.converters.mil.mil.scope import ScopeSource

    operation = getattr(variable, "op", variable)
    texts = operation.scopes.get(ScopeSource.EXIR_STACK_TRACE) or [None]
    return texts[-1] or ""


@contextmanager
def said_origin(text: str) -> Iterator[None]:
    """While open, :func:`stack_text` of the MIL operations that are made is ``text``."""
    from coremltools.converters.mil.mil import Builder
    from coremltools.converters.mil.mil.scope import ScopeInfo, ScopeSource

    with Builder.scope(ScopeInfo(source=ScopeSource.EXIR_STACK_TRACE, data=[text])):
        yield


def origin_of_error(error: BaseException, kind: str = "") -> str:
    """:func:`stack_text` of the operation that a pass was at when it raised; empty where none is in sight.

    Passes name no operation in what they raise, and hold it in a local variable. ``kind`` is how its type
    begins: passes behind the frontend take apart those of "torch_", and look at what these read.
    """
    from coremltools.converters.mil.mil import Operation

    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    for frame in reversed(frames):
        for value in frame.f_locals.values():
            wanted = isinstance(value, Operation) and value.op_type != "const"
            if wanted and value.op_type.startswith(kind) and (text := stack_text(value)):
                return text
    return ""


@contextmanager
def constants_replaced(values: Mapping[Any, Any]) -> Iterator[None]:
    """While open, these constants of a MIL program have other values, of their own shape and dtype."""
    holders = {variable: variable._sym_val for variable in values}
    originals = {variable: holder.val for variable, holder in holders.items()}
    try:
        for variable, value in values.items():
            original = originals[variable]
            holders[variable].val = value.reshape(original.shape).astype(original.dtype)
        yield
    finally:
        for variable, original in originals.items():
            holders[variable].val = original
