"""Reads a MIL program as the operations of a plan, in plain picklable data."""

from __future__ import annotations

from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.model import TensorArg, TensorMeta
from convlint.placement.attributes import attributes_of
from convlint.placement.operations import Operation

_DTYPES = {"fp16": "float16", "fp32": "float32", "fp64": "float64", "string": "str"}
_FLOATS = ("float16", "float32")
_FEW = 64


def read_mil(program: Any) -> tuple[list[Operation], list[str]]:
    """Every operation that runs, in program order, and the name of the node that each came from.

    Operations that depend on no input are left out: Core ML computes them when it compiles the model. So are
    casts between float32 and float16, since a plan counts one as the other. The block of a branch or a loop
    counts as part of its operation, which no Neural Engine takes.
    """
    operations: list[Operation] = []
    origins: list[str] = []
    makers: dict[Any, int] = {}
    cast: dict[Any, Any] = {}
    for function in program.functions.values():
        for operation in function.operations:
            if operation.op_type == "const" or operation.op_type.startswith("constexpr_"):
                continue
            reads = [
                cast.get(variable, variable)
                for variable in operation.get_flattened_inputs()
                if variable is not None
            ]
            computed = any(variable in makers or variable.op is None for variable in reads)
            if reads and not computed and not operation.op_type.startswith("random_"):
                continue
            if _only_changes_precision(operation):
                cast[operation.outputs[0]] = reads[0]
                continue
            for variable in operation.outputs:
                makers[variable] = len(operations)
            operations.append(_operation(operation, reads, makers, cast))
            origins.append(adapter.stack_text(operation))
    return operations, origins


def _only_changes_precision(operation: Any) -> bool:
    if operation.op_type != "cast":
        return False
    return all(_meta(each).dtype in _FLOATS for each in (operation.x, operation.outputs[0]))


def _operation(operation: Any, reads: list[Any], makers: dict[Any, int], cast: dict[Any, Any]) -> Operation:
    arguments = {name: _argument(value, makers, cast) for name, value in operation.inputs.items()}
    outputs = tuple(_meta(variable) for variable in operation.outputs)
    kind = str(operation.op_type)
    return Operation(
        kind=kind,
        name=str(operation.name),
        inputs=tuple(_tensor(variable, makers) for variable in reads if _counts(variable, makers)),
        outputs=outputs,
        reads=tuple(sorted({makers[variable] for variable in reads if variable in makers})),
        attributes=attributes_of(kind, arguments, outputs),
    )


def _counts(variable: Any, makers: dict[Any, int]) -> bool:
    """Whether an input is data: an activation, or a constant with axes; single numbers are settings."""
    if variable in makers or variable.op is None:
        return True
    shape = adapter.value_type(variable)[1]
    return bool(shape) and _size(shape) > _FEW


def _size(shape: Any) -> int:
    total = 1
    for size in shape or ():
        total *= size or 1
    return total


def _argument(value: Any, makers: dict[Any, int], cast: dict[Any, Any]) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_argument(item, makers, cast) for item in value)
    value = cast.get(value, value)
    if value is None or value in makers or value.op is None:
        return None if value is None else _tensor(value, makers)
    shape = adapter.value_type(value)[1]
    if value.val is None or shape is None or len(shape) > 1 or _size(shape) > _FEW:
        return _tensor(value, makers)
    plain = value.val.tolist() if hasattr(value.val, "tolist") else value.val
    return tuple(plain) if isinstance(plain, list) else plain


def _tensor(variable: Any, makers: dict[Any, int]) -> TensorArg:
    const = variable not in makers and variable.op is not None
    origin = "constant" if const else "computed" if variable in makers else "input"
    return TensorArg(str(variable.name), _meta(variable), origin, const)  # type: ignore[arg-type]


def _meta(variable: Any) -> TensorMeta:
    dtype, shape = adapter.value_type(variable)
    sizes = tuple("?" if size is None else size for size in shape or ())
    return TensorMeta(sizes, _DTYPES.get(dtype, dtype))
