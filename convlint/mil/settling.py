"""Adjusts a value before it is used: its shape, and the bounds of half precision."""

from __future__ import annotations

import torch

from convlint.mil.failures import ShapeMismatch

_SMALL = 400
"""The number of elements up to which coremltools looks for numbers in a constant that became zero."""


def without_underflow(wide: torch.Tensor, half: torch.Tensor) -> torch.Tensor:
    """``half``, with the smallest float16 number where a number of a small constant would round to zero.

    The conversion to float16 does the same, for the sake of epsilons:
    https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/mil/passes/defs/quantization.py
    """
    if half.dtype is not torch.float16 or not 0 < wide.numel() < _SMALL:
        return half
    lost = (half == 0) & (wide != 0)
    return torch.where(lost, torch.copysign(torch.tensor(2.0**-24, dtype=half.dtype), half), half)


def fitted(value: torch.Tensor, shape: tuple[int | None, ...] | None, what: str) -> torch.Tensor:
    """``value`` in the declared shape, reshaped where only axes of length one differ."""
    if shape is None or value.shape == shape:
        return value
    if len(shape) == value.dim() and all(
        size is None or size == actual for size, actual in zip(shape, value.shape, strict=True)
    ):
        return value
    if None not in shape and [s for s in shape if s != 1] == [s for s in value.shape if s != 1]:
        return value.reshape([size for size in shape if size is not None])
    sizes = ", ".join("?" if size is None else str(size) for size in shape)
    raise ShapeMismatch(
        f"{what} has the shape ({', '.join(map(str, value.shape))}), and the program declares ({sizes})."
    )


def limited(value: torch.Tensor, limit: float) -> torch.Tensor:
    """``value`` with sums beyond the accumulator's limit as infinities.

    Only the final sum is checked, not the partial ones, whose order no device documents.
    """
    return torch.where(value.abs() >= limit, torch.copysign(torch.tensor(torch.inf), value), value)
