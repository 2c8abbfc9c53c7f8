"""The dtypes of MIL and the torch dtypes that carry them.

PyTorch has few operations on ``uint16`` and ``uint32`` and none on integers of less than a byte, so a
wider dtype carries these, and every op wraps them to their own range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

Precision = Literal["float16", "float32"]

_FLOATS = {"fp16": torch.float16, "fp32": torch.float32, "fp64": torch.float32}
_EXACT = {
    "bool": torch.bool,
    "int4": torch.int8,
    "int8": torch.int8,
    "int16": torch.int16,
    "int32": torch.int32,
    "int64": torch.int64,
    "uint1": torch.uint8,
    "uint2": torch.uint8,
    "uint3": torch.uint8,
    "uint4": torch.uint8,
    "uint6": torch.uint8,
    "uint8": torch.uint8,
    "uint16": torch.int32,
    "uint32": torch.int64,
}
_WRAPPED = {"uint16": 0xFFFF, "uint32": 0xFFFFFFFF}
_NUMPY = {
    "fp16": np.float16,
    "fp32": np.float32,
    "fp64": np.float32,
    "bool": np.bool_,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
}


@dataclass(frozen=True, slots=True)
class Carrier:
    """How values of one MIL dtype are held: in ``dtype``, wrapped to the bits of ``mask`` where it is set."""

    name: str
    dtype: torch.dtype
    mask: int | None = None

    def settle(self, value: torch.Tensor) -> torch.Tensor:
        """``value`` rounded or wrapped to this dtype; unchanged where it already has it."""
        if self.mask is not None:
            return value.to(torch.int64).bitwise_and(self.mask).to(self.dtype)
        return value if value.dtype is self.dtype else value.to(self.dtype)

    @property
    def is_float(self) -> bool:
        return self.dtype.is_floating_point


def carrier(name: str, precision: Precision | None = None) -> Carrier | None:
    """The carrier of a MIL dtype; None for strings and other values without numbers.

    ``precision`` overrides the float dtype of the program.
    """
    if name in _FLOATS:
        chosen = {"float16": torch.float16, "float32": torch.float32, None: _FLOATS[name]}[precision]
        return Carrier(name, chosen)
    if name in _EXACT:
        return Carrier(name, _EXACT[name], _WRAPPED.get(name))
    return None


def tensor_of(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], kind: Carrier) -> torch.Tensor:
    """A tensor with the values of ``array``; it shares the array's memory where the dtypes allow it.

    The executor never writes into a tensor that it did not create, so sharing the weights is safe.
    """
    if array.dtype.kind in "OUS":
        raise TypeError(f"an array of {array.dtype} has no numbers")
    if array.dtype == np.uint16 or array.dtype == np.uint32 or array.dtype == np.uint64:
        array = array.astype(np.int64)
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = _writeable(array)
    return kind.settle(torch.from_numpy(array))


def _writeable(
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """A view of the same memory that torch accepts without a warning, or a copy where that fails."""
    if array.ndim and not any(array.strides):  # one number with zero strides: weights of a weightless trial
        base = array.reshape(-1)[:1].copy()
        return np.lib.stride_tricks.as_strided(base, array.shape, array.strides)
    if any(stride < 0 for stride in array.strides) or array.nbytes < 1 << 16:
        return np.array(array)
    return _unlocked(array)


def _unlocked(
    array: np.ndarray[tuple[int, ...], np.dtype[np.generic]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array).numpy()


def numpy_of(value: torch.Tensor, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    """The array for the user of a value of MIL dtype ``name``; it shares no memory with the program."""
    return value.detach().cpu().numpy().astype(_NUMPY.get(name, value.numpy().dtype))
