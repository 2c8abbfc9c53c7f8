"""The dtypes that coremltools gives to the tensors of a graph, where they differ from PyTorch's.

Some converters ignore a ``dtype`` argument, or use the dtype of a number for that of the tensor:
``torch.zeros(3, dtype=torch.bool)`` is float32 in Core ML. A later op may refuse such a tensor, so
rules ask for its real dtype (``coreml_dtype`` in conditions).

The tables follow the converters of coremltools 9.0 and, where they differ, 9.1.dev1:
https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/ops.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from convlint.coreml.versions import Release, parse_release
from convlint.model import OpCall, Port, TensorArg

COREML_DTYPES = {
    "float16": "fp16",
    "float32": "fp32",
    "float64": "fp32",
    "bool": "bool",
    "int16": "int16",
    "int32": "int32",
    "int64": "int32",
    "int8": "int8",
    "uint8": "uint8",
}
"""The Core ML dtypes of PyTorch's dtypes, for converters that respect them."""

Unusual = Mapping[tuple[str, int], str]
"""Core ML dtypes by the name of an op call or input, and the number of its output."""

_ORDER = ("bool", "int8", "uint8", "int16", "int32", "fp16", "fp32")
_FIXED_IN = parse_release("9.1.dev0")
_Typed = Callable[[Any], str]
"""The Core ML dtype of an argument of a call."""

_FLOAT32 = frozenset("div empty eye new_empty new_ones new_zeros rand randn randn_like zeros".split())
"""Converters that always give float32, whatever dtype they are asked for."""
_OF_NUMBER = {"fill": "value", "full_like": "fill_value", "new_full": "fill_value", "scalar_tensor": "s"}
_PROMOTED = frozenset(
    "add addmm baddbmm bmm cat clamp clip conv1d conv2d conv3d conv_transpose1d conv_transpose2d "
    "conv_transpose3d convolution constant_pad_nd einsum floor_divide fmod linear matmul max maximum min "
    "minimum mm mul pad pow remainder rsub slice_scatter stack sub where".split()
)
"""Converters that bring their operands to one dtype, numbers included."""
_NOT_OPERANDS = frozenset(
    "alpha beta condition dilation dim end equation groups keepdim mode output_padding pad padding start "
    "step stride".split()
)
_OWN = frozenset(
    "_to_copy all any argmax argmin argsort bitwise_and bitwise_not bitwise_or bitwise_xor eq ge gt isinf "
    "isnan le logical_and logical_not logical_or logical_xor lt ne nonzero one_hot randint "
    "scaled_dot_product_attention searchsorted".split()
)
"""Converters whose result has PyTorch's dtype, whatever the dtypes of the operands."""
_SPREAD = frozenset("broadcast_tensors meshgrid".split())
"""Converters with one result for each tensor of a list."""


def coreml_dtypes(
    calls: Iterable[OpCall], coremltools: Release | None, inputs: Iterable[Port] = ()
) -> dict[tuple[str, int], str]:
    """The Core ML dtypes of results and inputs that differ from the usual one for their PyTorch dtype."""
    fixed = coremltools is not None and coremltools >= _FIXED_IN
    # The table for inputs has no 16-bit integers: frontend/torch/utils.py, TORCH_DTYPE_TO_MIL_DTYPE.
    unusual = {(port.name, 0): "int32" for port in inputs if port.meta and port.meta.dtype == "int16"}

    def typed(value: Any) -> str:
        return _typed(value, unusual)

    for call in calls:
        if not call.op.startswith("aten."):
            continue
        for index, (meta, dtype) in enumerate(zip(call.outputs, _results(call, typed, fixed), strict=False)):
            if meta is not None and dtype and dtype != COREML_DTYPES.get(meta.dtype, dtype):
                unusual[call.name, index] = dtype
    return unusual


def with_dtypes(value: Any, unusual: Unusual) -> Any:
    """``value`` with the Core ML dtype noted on each tensor in it that has an unusual one."""
    if isinstance(value, TensorArg):
        dtype = unusual.get((value.call or value.name, value.output))
        return replace(value, coreml=dtype) if dtype else value
    if isinstance(value, tuple):
        return tuple(with_dtypes(item, unusual) for item in value)
    return value


def _typed(value: Any, unusual: Unusual) -> str:
    if isinstance(value, TensorArg):
        usual = COREML_DTYPES.get(value.meta.dtype, "")
        return unusual.get((value.call or value.name, value.output)) or usual
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "int32" if isinstance(value, int) else "fp32"
    return ""


def _results(call: OpCall, typed: _Typed, fixed: bool) -> tuple[str, ...]:
    """The Core ML dtypes of the results of ``call``; empty for the usual dtype and for an unknown one."""
    name = call.op.split(".")[1]
    args = call.args
    first = typed(next(iter(args.values()), None))
    if name in ("sort", "topk") or call.op in ("aten.max.dim", "aten.min.dim"):
        return (first, "int32")
    if name in _SPREAD:
        return tuple(map(typed, args.get("tensors") or ()))
    return (_result(call, name, first, typed, fixed),) * max(len(call.outputs), 1)


def _result(call: OpCall, name: str, first: str, typed: _Typed, fixed: bool) -> str:
    args = call.args
    for know in (_dtype_of_created, _dtype_of_computed):
        dtype = know(name, args, first, typed, fixed)
        if dtype is not None:
            return dtype
    if name in _OWN:
        return ""
    if name in _PROMOTED:
        return _promoted(_operands(args), typed)
    # Most other converters pass their first operand to one MIL op, which keeps its dtype.
    operand = next((value for value in args.values() if isinstance(value, TensorArg | tuple)), None)
    if isinstance(operand, TensorArg) and call.out is not None and operand.meta.dtype == call.out.dtype:
        return typed(operand)
    return ""


def _dtype_of_created(
    name: str, args: Mapping[str, Any], first: str, typed: _Typed, fixed: bool
) -> str | None:
    """The dtype of a tensor created from sizes and numbers; None where ``name`` creates none."""
    if name in _FLOAT32 and not (name == "div" and fixed and _divides_whole(args, typed)):
        return "fp32"
    if name == "ones_like":
        return "" if fixed else "fp32"
    if name in _OF_NUMBER:
        number = args.get(_OF_NUMBER[name])
        return "fp32" if isinstance(number, TensorArg) and not number.const else typed(number)
    if name == "full":
        whole = str(args.get("dtype")).startswith(("int", "uint"))
        return "int32" if whole else "" if args.get("dtype") is not None else "fp32"
    if name == "arange":
        whole = all(isinstance(args.get(key, 0), int) for key in ("start", "end", "step"))
        return "int32" if whole else "fp32"
    if name == "rand_like":
        return "" if args.get("dtype") is not None else first
    if name in ("zeros_like", "empty_like"):
        return first
    return None


def _dtype_of_computed(
    name: str, args: Mapping[str, Any], first: str, typed: _Typed, fixed: bool
) -> str | None:
    """The dtype of a result with a rule of its own; None where ``name`` has no such rule."""
    if name == "floor_divide" and not fixed:
        return "fp32"
    if name in ("copy", "type_as"):
        return typed(args.get("src") or args.get("other"))
    if name == "_to_copy" and args.get("dtype") is None:
        return first
    if name == "index_put":
        return _written(args, typed)
    if name in ("sum", "mean", "logsumexp"):
        return "fp32" if first == "bool" else first
    if name in ("softmax", "log_softmax", "cumprod", "true_divide", "exp2", "logcumsumexp"):
        return first
    if name == "cumsum":
        return "" if args.get("dtype") is not None else "int32" if first == "bool" else first
    if name in ("log", "log1p"):
        return "fp32" if first == "int32" else first
    if name in ("clamp", "clip"):
        bounds = [1.0 if bound is None else bound for bound in (args.get("min"), args.get("max"))]
        return _promoted([args.get("self"), *bounds], typed)
    if name in ("pad", "constant_pad_nd"):
        return _promoted([args.get("self"), 0.0], typed)
    if name in ("linalg_vector_norm", "linalg_norm"):
        order = args.get("ord")
        keeps_dtype = not isinstance(order, int | float) or order in (2, float("inf"), float("-inf"))
        return (
            first if keeps_dtype else "int32" if order == 0 else _promoted([args.get("self"), order], typed)
        )
    if name == "embedding":
        return typed(args.get("weight"))
    if name in ("matmul", "mm") and not fixed and _is_linear(*args.values()):
        return first
    return None


def _is_linear(one: Any, other: Any, *_: Any) -> bool:
    """Whether a product is a ``linear`` for coremltools, whose result has the dtype of its first operand."""
    if not (isinstance(one, TensorArg) and isinstance(other, TensorArg)):
        return False
    return other.const and len(other.meta.shape) == 2 and len(one.meta.shape) <= 3


def _divides_whole(args: Mapping[str, Any], typed: _Typed) -> bool:
    whole = all(typed(args.get(key)).startswith(("int", "uint")) for key in ("self", "other"))
    return whole and args.get("rounding_mode") is not None


def _written(args: Mapping[str, Any], typed: _Typed) -> str:
    """The dtype of ``index_put``: with indices only it is a scatter, which turns booleans into integers."""
    scatters = all(index is not None for index in args.get("indices") or ())
    dtype = typed(args.get("self"))
    return "int32" if dtype == "bool" and scatters else dtype


def _operands(args: Mapping[str, Any]) -> list[Any]:
    operands: list[Any] = []
    for key, value in args.items():
        if key not in _NOT_OPERANDS:
            operands += value if isinstance(value, tuple) else [value]
    return operands


def _promoted(operands: Iterable[Any], typed: _Typed) -> str:
    """The common dtype of all operands."""
    dtypes = [dtype for dtype in map(typed, operands) if dtype in _ORDER]
    return max(dtypes, key=_ORDER.index, default="")
