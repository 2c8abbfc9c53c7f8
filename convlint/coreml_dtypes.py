"""The dtypes that coremltools gives to the tensors of a graph, where they are not PyTorch's.

Some converters ignore a ``dtype`` argument, or take the dtype of a number for that of the tensor:
``torch.zeros(3, dtype=torch.bool)`` is float32 in Core ML. An op further on may refuse such a
tensor, so rules ask for the dtype that it really has (``coreml_dtype`` in conditions).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from convlint.model import OpCall, TensorArg, TensorMeta
from convlint.versions import Release, parse_release

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
"""What coremltools makes of PyTorch's dtypes where it heeds them."""

_ORDER = ("bool", "int8", "uint8", "int16", "int32", "fp16", "fp32")
_MENDED = parse_release("9.1.dev0")
_Typed = Callable[[Any], str]
"""The Core ML dtype of an argument of a call."""

_FLOAT32 = ("empty", "new_empty", "new_zeros", "randn", "randn_like", "zeros")
_OF_NUMBER = {"fill": "value", "full_like": "fill_value", "new_full": "fill_value", "scalar_tensor": "s"}
_KEPT = frozenset(
    "_to_copy _unsafe_index _unsafe_view abs alias alias_copy amax amin clone contiguous detach "
    "dropout empty_like expand expand_copy flatten flip gather index index_select lift_fresh_copy "
    "masked_fill max min narrow neg permute permute_copy rand_like repeat repeat_interleave reshape "
    "roll select select_copy select_scatter slice slice_copy squeeze squeeze_copy t tile transpose "
    "transpose_copy tril triu unsqueeze unsqueeze_copy view view_copy zeros_like".split()
)
_PROMOTED = frozenset("add sub mul maximum minimum cat slice_scatter where remainder".split())
_DIVIDED = ("floor_divide", "div.Tensor_mode", "div.Scalar_mode")


def coreml_dtypes(calls: Iterable[OpCall], coremltools: Release | None) -> dict[str, str]:
    """The Core ML dtype of each op's (first) result, by the op's name, where it is not the usual one."""
    mended = coremltools is not None and coremltools >= _MENDED
    unusual: dict[str, str] = {}

    def typed(value: Any) -> str:
        if isinstance(value, TensorArg):
            return unusual.get(value.name) or COREML_DTYPES.get(value.meta.dtype, "")
        return _of_number(value)

    for call in calls:
        if call.out is None or len(call.outputs) != 1:
            continue
        found = _result(call, call.out, typed, mended, bool(unusual))
        if found and found != COREML_DTYPES.get(call.out.dtype):
            unusual[call.name] = found
    return unusual


def with_dtypes(value: Any, unusual: Mapping[str, str]) -> Any:
    """``value`` with each tensor in it told its Core ML dtype, where that is not the usual one."""
    if isinstance(value, TensorArg) and value.name in unusual:
        return replace(value, coreml=unusual[value.name])
    if isinstance(value, tuple):
        return tuple(with_dtypes(item, unusual) for item in value)
    return value


def _of_number(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "int32" if isinstance(value, int) else "fp32"
    return ""


def _result(call: OpCall, out: TensorMeta, typed: _Typed, mended: bool, spread: bool) -> str:
    """What the converter of ``call`` makes of its result; empty where it is the usual dtype, or unknown.

    ``spread`` says that some tensor before has an unusual dtype, which could be handed on.
    """
    namespace, _, rest = call.op.partition(".")
    name, _, overload = rest.partition(".")
    if namespace != "aten":
        return ""
    args = call.args
    if name in _FLOAT32 or (name == "ones_like" and not mended):
        return "fp32"
    if name in _OF_NUMBER:
        number = args.get(_OF_NUMBER[name])
        return "fp32" if isinstance(number, TensorArg) and not number.const else typed(number)
    if name == "full":
        whole = str(args.get("dtype")).startswith(("int", "uint"))
        return "int32" if whole else "" if args.get("dtype") is not None else "fp32"
    if name == "arange":
        whole = all(isinstance(args.get(key, 0), int) for key in ("start", "end", "step"))
        return "int32" if whole else "fp32"
    if name == "copy":
        return typed(args.get("src"))
    if name == "index_put":
        return _written(args, typed)
    if name == "sum":
        return "fp32" if typed(args.get("self")) == "bool" else typed(args.get("self"))
    if f"{name}.{overload}" in _DIVIDED or rest == "floor_divide.default":
        return "" if mended else "fp32"
    if name in ("zeros_like", "empty_like", "rand_like"):
        return typed(args.get("self"))
    if not spread:
        return ""
    if name == "_to_copy" and args.get("dtype") is not None:
        return ""
    if name in _KEPT:
        return typed(next(iter(args.values()), None))
    return _promoted(call, typed) if name in _PROMOTED else ""


def _written(args: Mapping[str, Any], typed: _Typed) -> str:
    """Indices alone make a scatter, which turns booleans into numbers; beside a slice they do not."""
    scatters = all(index is not None for index in args.get("indices") or ())
    kept = typed(args.get("self"))
    return "int32" if kept == "bool" and scatters else kept


def _promoted(call: OpCall, typed: _Typed) -> str:
    """The common dtype of all operands."""
    operands: list[Any] = []
    for key, value in call.args.items():
        if key in ("alpha", "condition", "dim", "start", "end", "step"):
            continue
        operands += value if isinstance(value, tuple) else [value]
    found = [dtype for dtype in map(typed, operands) if dtype in _ORDER]
    return max(found, key=_ORDER.index, default="")
