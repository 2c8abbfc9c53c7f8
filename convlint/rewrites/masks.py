"""Booleans, comparisons and what is not finite."""

from __future__ import annotations

from typing import Any

import torch

from convlint.rewrites.arithmetic import as_float, is_negative
from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor
Number = bool | int | float


def _bools(*values: Any) -> None:
    for value in values:
        dtype = value.dtype if isinstance(value, Tensor) else torch.bool if value in (True, False) else None
        if dtype is not torch.bool:
            raise NotApplicable("bits of integers have no counterpart in Core ML")


def _bool(value: Tensor | Number) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(bool(value))


@rewrite("aten.__and__.Tensor", "aten.__and__.Scalar", "aten.bitwise_and.Tensor", "aten.bitwise_and.Scalar")
def logical_and(self: Tensor, other: Tensor | Number) -> Tensor:
    """torch.logical_and of the booleans."""
    _bools(self, other)
    return torch.logical_and(self, _bool(other))


@rewrite("aten.__or__.Tensor", "aten.__or__.Scalar", "aten.bitwise_or.Tensor", "aten.bitwise_or.Scalar")
def logical_or(self: Tensor, other: Tensor | Number) -> Tensor:
    """torch.logical_or of the booleans."""
    _bools(self, other)
    return torch.logical_or(self, _bool(other))


@rewrite("aten.__xor__.Tensor", "aten.__xor__.Scalar", "aten.bitwise_xor.Tensor", "aten.bitwise_xor.Scalar")
def logical_xor(self: Tensor, other: Tensor | Number) -> Tensor:
    """torch.logical_xor of the booleans."""
    _bools(self, other)
    return torch.logical_xor(self, _bool(other))


def _bits(self: Tensor, other: Tensor | Number, join: Any) -> Tensor:
    """Both numbers taken apart into the 32 bits of Core ML's integers, joined bit by bit."""
    dtype = torch.result_type(self, other)
    if dtype is torch.bool or dtype.is_floating_point:
        raise NotApplicable("it is not of integers")
    total: Any = 0
    for place in range(32):
        weight = -(1 << 31) if place == 31 else 1 << place
        one, two = _bit(self, place), _bit(other, place)
        joined = join(one, two)
        if isinstance(joined, Tensor):
            total = total + joined * weight
        elif joined:
            total = total + weight
    shape = torch.broadcast_shapes(*(v.shape for v in (self, other) if isinstance(v, Tensor)))
    return total.to(dtype) if isinstance(total, Tensor) else torch.full(list(shape), total, dtype=dtype)


def _bit(value: Tensor | Number, place: int) -> Any:
    if not isinstance(value, Tensor):
        return (int(value) >> place) & 1
    if value.dtype is torch.bool:
        return value.to(torch.int32) if place == 0 else 0
    if place == 31:
        return (value < 0).to(torch.int32)
    if place == 30:
        return (torch.where(value < 0, value + (1 << 30) + (1 << 30), value) >= 1 << 30).to(torch.int32)
    # Not by floor_divide, which coremltools casts to floats: they do not hold 32 bits.
    return (torch.remainder(value, 2 << place) >= 1 << place).to(torch.int32)


@rewrite("aten.__and__.Tensor", "aten.__and__.Scalar", "aten.bitwise_and.Tensor", "aten.bitwise_and.Scalar")
def and_of_bits(self: Tensor, other: Tensor | Number) -> Tensor:
    """A product of the bits, one by one."""
    return _bits(self, other, lambda one, two: one * two)


@rewrite("aten.__or__.Tensor", "aten.__or__.Scalar", "aten.bitwise_or.Tensor", "aten.bitwise_or.Scalar")
def or_of_bits(self: Tensor, other: Tensor | Number) -> Tensor:
    """A sum of the bits less their product, one by one."""
    return _bits(self, other, lambda one, two: one + two - one * two)


@rewrite("aten.__xor__.Tensor", "aten.__xor__.Scalar", "aten.bitwise_xor.Tensor", "aten.bitwise_xor.Scalar")
def xor_of_bits(self: Tensor, other: Tensor | Number) -> Tensor:
    """A sum of the bits less twice their product, one by one."""
    return _bits(self, other, lambda one, two: one + two - 2 * one * two)


@rewrite("aten.bitwise_not.default")
def not_of_bits(self: Tensor) -> Tensor:
    """Minus the number, less 1."""
    if self.dtype is torch.bool:
        raise NotApplicable("it is a boolean")
    return -self - 1


@rewrite("aten.bitwise_left_shift.Tensor_Scalar", "aten.__lshift__.Scalar")
def left_shift(self: Tensor, other: int) -> Tensor:
    """A product with a power of 2."""
    return self * (1 << other)


@rewrite("aten.bitwise_right_shift.Tensor_Scalar", "aten.__rshift__.Scalar")
def right_shift(self: Tensor, other: int) -> Tensor:
    """A quotient by a power of 2, rounded down."""
    return torch.floor_divide(self, 1 << other)


def _power_of_two(exponent: Tensor) -> Tensor:
    """2 to the power of whole numbers from 0 to 31: a factor for each bit of the exponent."""
    out = torch.full_like(exponent, 1)
    for place in range(5):
        bit = _bit(exponent, place)
        out = out * (1 + bit * ((1 << (1 << place)) - 1))
    return out


@rewrite("aten.bitwise_left_shift.Tensor", "aten.bitwise_left_shift.Scalar_Tensor", "aten.__lshift__.Tensor")
def left_shift_by_each(self: Any, other: Tensor) -> Tensor:
    """A product with powers of 2."""
    return self * _power_of_two(other.to(torch.result_type(self, other)))


@rewrite(
    "aten.bitwise_right_shift.Tensor", "aten.bitwise_right_shift.Scalar_Tensor", "aten.__rshift__.Tensor"
)
def right_shift_by_each(self: Any, other: Tensor) -> Tensor:
    """A quotient by powers of 2, rounded down."""
    return torch.floor_divide(self, _power_of_two(other.to(torch.result_type(self, other))))


@rewrite("aten.bitwise_not.default")
def logical_not(self: Tensor) -> Tensor:
    """torch.logical_not of the booleans."""
    _bools(self)
    return torch.logical_not(self)


@rewrite("aten.logical_and.default")
def and_of_numbers(self: Tensor, other: Tensor) -> Tensor:
    """torch.logical_and of comparisons with 0."""
    return torch.logical_and(self != 0, other != 0)


@rewrite("aten.logical_or.default")
def or_of_numbers(self: Tensor, other: Tensor) -> Tensor:
    """torch.logical_or of comparisons with 0."""
    return torch.logical_or(self != 0, other != 0)


@rewrite("aten.logical_xor.default")
def xor_of_numbers(self: Tensor, other: Tensor) -> Tensor:
    """torch.logical_xor of comparisons with 0."""
    return torch.logical_xor(self != 0, other != 0)


@rewrite("aten.logical_not.default")
def equals_zero(self: Tensor) -> Tensor:
    """A comparison with 0."""
    if self.dtype is torch.bool:
        raise NotApplicable("it is a boolean already")
    return self == 0


@rewrite("aten.where.ScalarOther", "aten.where.ScalarSelf", "aten.where.Scalar", "aten.where.self")
def where_of_tensors(condition: Tensor, self: Tensor | Number, other: Tensor | Number) -> Tensor:
    """torch.where between two tensors of one dtype and shape."""
    dtype = torch.result_type(self, other)
    one, two = (_filled(value, dtype) for value in (self, other))
    return torch.where(condition if condition.dtype is torch.bool else condition != 0, one, two)


def _filled(value: Tensor | Number, dtype: torch.dtype) -> Tensor:
    if isinstance(value, Tensor):
        return value.to(dtype)
    return torch.full((1,), value, dtype=dtype).reshape(())


@rewrite("aten.masked_fill.Scalar", "aten.masked_fill.Tensor")
def masked_fill_by_where(self: Tensor, mask: Tensor, value: Tensor | Number) -> Tensor:
    """torch.where with the value."""
    filled = _filled(value, self.dtype)
    return torch.where(mask, filled.expand(self.shape) if self.dim() == 0 else filled, self)


@rewrite("aten.isnan.default")
def isnan(self: Tensor) -> Tensor:
    """A comparison with itself, which only NaN fails."""
    if not self.is_floating_point():
        return torch.zeros_like(self, dtype=torch.bool)
    return self != self


@rewrite("aten.isinf.default")
def isinf(self: Tensor) -> Tensor:
    """The magnitude compared with infinity."""
    if not self.is_floating_point():
        return torch.zeros_like(self, dtype=torch.bool)
    return self.abs() == float("inf")


@rewrite("aten.isposinf.default")
def isposinf(self: Tensor) -> Tensor:
    """A comparison with infinity."""
    if not self.is_floating_point():
        return torch.zeros_like(self, dtype=torch.bool)
    return self == float("inf")


@rewrite("aten.isneginf.default")
def isneginf(self: Tensor) -> Tensor:
    """A comparison with minus infinity."""
    if not self.is_floating_point():
        return torch.zeros_like(self, dtype=torch.bool)
    return self == float("-inf")


@rewrite("aten.isfinite.default")
def isfinite(self: Tensor) -> Tensor:
    """The magnitude compared with infinity, which NaN fails too."""
    if not self.is_floating_point():
        return torch.ones_like(self, dtype=torch.bool)
    return self.abs() < float("inf")


@rewrite("aten.nan_to_num.default")
def nan_to_num(
    self: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """One torch.where for each of NaN, infinity and minus infinity."""
    if not self.is_floating_point():
        return self.clone()
    limits = torch.finfo(self.dtype)
    high, low = (limits.max if posinf is None else posinf), (limits.min if neginf is None else neginf)

    def chosen(mask: Tensor, value: float, rest: Tensor) -> Tensor:
        return torch.where(mask, torch.full((1,), value, dtype=self.dtype).reshape(()), rest)

    out = chosen(self != self, nan or 0.0, self)
    out = chosen(self == float("inf"), high, out)
    return chosen(self == float("-inf"), low, out)


@rewrite("aten.signbit.default")
def signbit(self: Tensor) -> Tensor:
    """A comparison with 0; that of a zero is the sign of its reciprocal."""
    return is_negative(self)


@rewrite("aten.isclose.default")
def isclose(
    self: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """The comparison that it is defined by."""
    one, two = (self, other) if self.is_floating_point() else (as_float(self), as_float(other))
    gap = (one - two).abs()
    near = torch.logical_and(gap <= atol + rtol * two.abs(), gap < float("inf"))
    close = torch.logical_or(self == other, near)
    return torch.logical_or(close, torch.logical_and(one != one, two != two)) if equal_nan else close


@rewrite("aten.fmin.default")
def fmin(self: Tensor, other: Tensor) -> Tensor:
    """The smaller one, and of a number and NaN the number."""
    return _numbers_first(self, other, torch.minimum)


@rewrite("aten.fmax.default")
def fmax(self: Tensor, other: Tensor) -> Tensor:
    """The larger one, and of a number and NaN the number."""
    return _numbers_first(self, other, torch.maximum)


def _numbers_first(self: Tensor, other: Tensor, choose: Any) -> Tensor:
    dtype = torch.result_type(self, other)
    one, two = self.to(dtype), other.to(dtype)
    if dtype is torch.bool:
        return torch.logical_and(one, two) if choose is torch.minimum else torch.logical_or(one, two)
    if not dtype.is_floating_point:
        return choose(one, two)
    return choose(torch.where(one != one, two, one), torch.where(two != two, one, two))
