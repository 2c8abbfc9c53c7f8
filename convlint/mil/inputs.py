"""Checks the inputs of a program: the right names, and arrays that the declared inputs can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from convlint.mil.dtypes import Carrier, Precision, carrier, tensor_of
from convlint.mil.failures import ExecutionError, UnsupportedOperation
from convlint.mil.settling import fitted

_BOUNDS = {
    "bool": (0, 1),
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (4, 8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (1, 2, 3, 4, 6, 8, 16, 32)},
}

_WIDEST = {"b": torch.bool, "c": torch.complex128, "f": torch.float64, "i": torch.int64, "u": torch.int64}


def check_names(inputs: Mapping[str, Any], declared: Mapping[str, Any]) -> None:
    """Raise unless the inputs are exactly the declared ones."""
    expected = f"It takes {', '.join(sorted(declared)) or 'none'}."
    if not isinstance(inputs, Mapping):
        raise ExecutionError(
            f"the inputs are a {type(inputs).__name__}, and the program needs a dictionary of arrays by "
            f"name. {expected}"
        )
    missing = sorted(declared.keys() - inputs.keys())
    unknown = sorted(str(name) for name in inputs.keys() - declared.keys())
    if missing or unknown:
        problems = [f"{', '.join(missing)} missing"] if missing else []
        problems += [f"{', '.join(unknown)} unknown"] if unknown else []
        raise ExecutionError(f"the inputs do not fit the program: {'; '.join(problems)}. {expected}")


def input_tensor(
    what: str, value: Any, dtype: str, shape: tuple[int | None, ...] | None, precision: Precision | None
) -> torch.Tensor:
    """``value`` as a tensor of the declared ``dtype`` and ``shape``.

    Core ML converts between dtypes; a conversion to integers that would change the numbers is refused here.
    """
    kind = carrier(dtype, precision)
    if kind is None:
        raise UnsupportedOperation(f"{what} is of {dtype}; only inputs of numbers can be run.")
    tensor = value.detach().cpu() if isinstance(value, torch.Tensor) else _tensor(what, value, dtype)
    if tensor.dtype.is_complex:
        raise ExecutionError(
            f"{what} is complex, and the program declares {dtype}: Core ML has no complex numbers. Give the "
            "real and the imaginary part as the program's inputs name them."
        )
    if not kind.is_float:
        _check_range(what, tensor, dtype)
    return kind.settle(fitted(tensor, shape, what))


def _tensor(what: str, value: Any, dtype: str) -> torch.Tensor:
    """Any array as a tensor, without losing precision."""
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of different lengths
        raise ExecutionError(
            f"{what} is not an array ({error}), and the program declares {dtype}. Give an array or a tensor"
            " of numbers."
        ) from error
    if array.dtype.kind not in _WIDEST:
        raise ExecutionError(
            f"{what} is a {type(value).__name__} of {array.dtype}, and the program declares {dtype}. Give an "
            "array or a tensor of numbers."
        )
    narrow = {np.dtype(np.float16): torch.float16, np.dtype(np.float32): torch.float32}
    return tensor_of(array, Carrier(dtype, narrow.get(array.dtype, _WIDEST[array.dtype.kind])))


def _check_range(what: str, tensor: torch.Tensor, dtype: str) -> None:
    """Raise where a conversion to an integer dtype would change a number."""
    if tensor.dtype.is_floating_point:
        broken = (tensor != tensor.trunc()) | ~tensor.isfinite()
        if bool(broken.any()):
            raise ExecutionError(
                f"{what} holds {tensor[broken].flatten()[0].item():g}, and the program declares {dtype}. "
                "Round or cast it as your model means it, so that nothing is truncated silently."
            )
    low, high = _BOUNDS[dtype]
    wide = tensor.to(torch.float64) if tensor.dtype.is_floating_point else tensor.to(torch.int64)
    outside = (wide < low) | (wide > high)
    if bool(outside.any()):
        raise ExecutionError(
            f"{what} holds {wide[outside].flatten()[0].item():g}, which {dtype} cannot hold (it goes "
            f"from {low} to {high}). Give numbers within the range that the program declares."
        )
