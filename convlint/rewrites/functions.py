"""Exponential, logarithmic and trigonometric functions, one element at a time."""

from __future__ import annotations

import math
from typing import Any

import torch

from convlint.rewrites.arithmetic import as_float
from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor


@rewrite("aten.hypot.default")
def hypot(self: Tensor, other: Tensor) -> Tensor:
    """The square root of the sum of squares.

    Scaled by the larger magnitude, as hypot is, so that squares do not overflow.
    """
    one, two = as_float(self).abs(), as_float(other).abs()
    high, low = torch.maximum(one, two), torch.minimum(one, two)
    safe = torch.where(high > 0, high, torch.ones_like(high))
    ratio = low / safe
    length = high * torch.sqrt(1 + ratio * ratio)
    endless = torch.logical_or(one == math.inf, two == math.inf)
    return torch.where(endless, torch.full_like(length, math.inf), length)


def sum_of_exponents(self: Tensor, other: Tensor, scale: float = 1.0) -> Tensor:
    """The logarithm of the sum of both exponentials: nothing overflows, whatever lies between the two."""
    one, two = as_float(self), as_float(other)
    equal = one == two  # infinities among them, whose difference is not a number
    gap = torch.where(equal, torch.zeros_like(one), one - two).abs() * scale
    return torch.maximum(one, two) + torch.log(1 + torch.exp(-gap)) / scale


@rewrite("aten.logaddexp.default")
def logaddexp(self: Tensor, other: Tensor) -> Tensor:
    """The larger one plus the logarithm of what is left."""
    return sum_of_exponents(self, other, 1.0)


@rewrite("aten.logaddexp2.default")
def logaddexp2(self: Tensor, other: Tensor) -> Tensor:
    """The larger one plus the logarithm of what is left."""
    return sum_of_exponents(self, other, math.log(2.0))


@rewrite("aten.xlogy.Tensor", "aten.xlogy.Scalar_Other")
def xlogy(self: Tensor, other: Any) -> Tensor:
    """The product with the logarithm, 0 where the factor is 0."""
    self = as_float(self)
    zero = self == 0
    if not isinstance(other, Tensor):
        return torch.where(zero, torch.zeros_like(self), self * _log_of(other))
    other = as_float(other)
    safe = torch.where(zero, torch.ones_like(other), other)
    product = self * torch.log(safe)
    return torch.where(other != other, other, product)


def _log_of(number: float) -> float:
    return math.log(number) if number > 0 else -math.inf if number == 0 else math.nan


@rewrite("aten.special_xlog1py.default")
def xlog1py(self: Tensor, other: Tensor) -> Tensor:
    """The product with the logarithm, 0 where the factor is 0."""
    zero = self == 0
    safe = torch.where(zero, torch.zeros_like(other), other)
    return torch.where(other != other, as_float(other), as_float(self) * log1p(safe))


@rewrite("aten.sinc.default")
def sinc(self: Tensor) -> Tensor:
    """The quotient that it is defined by, 1 at 0."""
    scaled = as_float(self) * math.pi
    zero = scaled == 0
    safe = torch.where(zero, torch.ones_like(scaled), scaled)
    return torch.where(zero, torch.ones_like(scaled), torch.sin(safe) / safe)


@rewrite("aten.deg2rad.default")
def deg2rad(self: Tensor) -> Tensor:
    """A product."""
    return as_float(self) * (math.pi / 180.0)


@rewrite("aten.rad2deg.default")
def rad2deg(self: Tensor) -> Tensor:
    """A product."""
    return as_float(self) * (180.0 / math.pi)


@rewrite("aten.expm1.default")
def expm1(self: Tensor) -> Tensor:
    """exp minus 1 by way of tanh, which keeps the digits near 0."""
    value = as_float(self)
    near = value.abs() < 1
    half = torch.tanh(torch.where(near, value, torch.zeros_like(value)) / 2)
    return torch.where(near, 2 * half / (1 - half), torch.exp(value) - 1)


@rewrite("aten.log1p.default")
def log1p(self: Tensor) -> Tensor:
    """The logarithm of 1 plus it, corrected for the digits that the sum loses."""
    value = as_float(self)
    total = 1 + value
    lost, large = total == 1, value > 1
    safe = torch.where(torch.logical_or(lost, large), torch.full_like(total, 2.0), total)
    near = torch.where(
        lost, value, torch.log(safe) * torch.where(large, torch.ones_like(value), value) / (safe - 1)
    )
    return torch.where(large, torch.log(total), near)


@rewrite("aten.log2.default")
def log2(self: Tensor) -> Tensor:
    """A scaled logarithm."""
    return torch.log(as_float(self)) * (1 / math.log(2.0))


@rewrite("aten.log10.default")
def log10(self: Tensor) -> Tensor:
    """A scaled logarithm."""
    return torch.log(as_float(self)) * (1 / math.log(10.0))


@rewrite("aten.exp2.default", "aten.special_exp2.default")
def exp2(self: Tensor) -> Tensor:
    """The exponential of a scaled argument."""
    return torch.exp(as_float(self) * math.log(2.0))


@rewrite("aten.erfc.default")
def erfc(self: Tensor) -> Tensor:
    """1 minus erf; far to the right the last digits are lost."""
    return 1 - torch.erf(as_float(self))


@rewrite("aten.acosh.default")
def acosh(self: Tensor) -> Tensor:
    """The logarithm that it is defined by."""
    value = as_float(self)
    return torch.log(value + torch.sqrt(value - 1) * torch.sqrt(value + 1))


@rewrite("aten.asinh.default")
def asinh(self: Tensor) -> Tensor:
    """The logarithm that it is defined by, of the magnitude, with the sign."""
    value = as_float(self)
    size = value.abs()
    small = torch.clamp(size, max=1e8)  # beyond, the square would overflow, and the root is the number
    near = log1p(small + small * small / (1 + torch.sqrt(1 + small * small)))
    return torch.sign(value) * torch.where(size > 1e8, torch.log(size) + math.log(2.0), near)


@rewrite("aten.atanh.default")
def atanh(self: Tensor) -> Tensor:
    """Half of the logarithm that it is defined by."""
    value = as_float(self)
    return 0.5 * (log1p(value) - log1p(-value))


@rewrite("aten.atan2.default")
def atan2(self: Tensor, other: Tensor) -> Tensor:
    """The arc tangent of the quotient, moved to the right quarter."""
    self, other = as_float(self), as_float(other)
    zero = other == 0
    safe = torch.where(zero, torch.ones_like(other), other)
    angle = torch.atan(self / safe)
    turn = torch.where(self < 0, torch.full_like(self, -math.pi), torch.full_like(self, math.pi))
    angle = torch.where(other < 0, angle + turn, angle)
    return torch.where(zero, torch.sign(self) * (math.pi / 2), angle)


@rewrite("aten.angle.default")
def angle(self: Tensor) -> Tensor:
    """Half a turn for what is negative, 0 for the rest."""
    if self.is_complex():
        raise NotApplicable("it is complex")
    value = as_float(self)
    turned = torch.where(value < 0, torch.full_like(value, math.pi), torch.zeros_like(value))
    return torch.where(value != value, value, turned)
