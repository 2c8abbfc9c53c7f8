"""Exponential, logarithmic and trigonometric functions, one element at a time."""

from __future__ import annotations

import math
from typing import Any

import torch

from convlint.rewrites.arithmetic import as_float
from convlint.rewrites.table import rewrite

Tensor = torch.Tensor


@rewrite("aten.hypot.default")
def hypot(self: Tensor, other: Tensor) -> Tensor:
    """The square root of the sum of squares.

    Scaled by the larger magnitude, as hypot is, so that squares do not overflow.
    """
    one, two = self.abs(), other.abs()
    high, low = torch.maximum(one, two), torch.minimum(one, two)
    safe = torch.where(high > 0, high, torch.ones_like(high))
    ratio = low / safe
    length = high * torch.sqrt(1 + ratio * ratio)
    endless = torch.logical_or(one == math.inf, two == math.inf)
    return torch.where(endless, torch.full_like(length, math.inf), length)


def _sum_of_exponents(self: Tensor, other: Tensor, scale: float) -> Tensor:
    high, gap = torch.maximum(self, other), (self - other).abs() * scale
    return high + torch.log(1 + torch.exp(-gap)) / scale


@rewrite("aten.logaddexp.default")
def logaddexp(self: Tensor, other: Tensor) -> Tensor:
    """The larger one plus the logarithm of what is left."""
    return _sum_of_exponents(self, other, 1.0)


@rewrite("aten.logaddexp2.default")
def logaddexp2(self: Tensor, other: Tensor) -> Tensor:
    """The larger one plus the logarithm of what is left."""
    return _sum_of_exponents(self, other, math.log(2.0))


@rewrite("aten.xlogy.Tensor", "aten.xlogy.Scalar_Other")
def xlogy(self: Tensor, other: Any) -> Tensor:
    """The product with the logarithm, 0 where the factor is 0."""
    zero = self == 0
    if not isinstance(other, Tensor):
        return self * math.log(other)
    safe = torch.where(zero, torch.ones_like(other), other)
    product = self * torch.log(safe)
    return torch.where(other != other, other, product)


@rewrite("aten.special_xlog1py.default")
def xlog1py(self: Tensor, other: Tensor) -> Tensor:
    """The product with the logarithm, 0 where the factor is 0."""
    return xlogy(self, 1 + other)


@rewrite("aten.sinc.default")
def sinc(self: Tensor) -> Tensor:
    """The quotient that it is defined by, 1 at 0."""
    scaled = self * math.pi
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
    half = torch.tanh(self / 2)
    return torch.where(self.abs() < 1, 2 * half / (1 - half), torch.exp(self) - 1)


@rewrite("aten.log1p.default")
def log1p(self: Tensor) -> Tensor:
    """The logarithm of 1 plus it, corrected for the digits that the sum loses."""
    total = 1 + self
    lost = total == 1
    safe = torch.where(lost, torch.full_like(total, 2.0), total)
    return torch.where(lost, self, torch.log(safe) * self / (safe - 1))


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
    return 1 - torch.erf(self)


@rewrite("aten.acosh.default")
def acosh(self: Tensor) -> Tensor:
    """The logarithm that it is defined by."""
    return torch.log(self + torch.sqrt((self - 1) * (self + 1)))


@rewrite("aten.asinh.default")
def asinh(self: Tensor) -> Tensor:
    """The logarithm that it is defined by, of the magnitude, with the sign."""
    size = self.abs()
    grown = size + size * size / (1 + torch.sqrt(1 + size * size))
    return torch.sign(self) * log1p(grown)


@rewrite("aten.atanh.default")
def atanh(self: Tensor) -> Tensor:
    """Half of the logarithm that it is defined by."""
    return 0.5 * (torch.log(1 + self) - torch.log(1 - self))


@rewrite("aten.atan2.default")
def atan2(self: Tensor, other: Tensor) -> Tensor:
    """The arc tangent of the quotient, moved to the right quarter."""
    zero = other == 0
    safe = torch.where(zero, torch.ones_like(other), other)
    angle = torch.atan(self / safe)
    turn = torch.where(self < 0, torch.full_like(self, -math.pi), torch.full_like(self, math.pi))
    angle = torch.where(other < 0, angle + turn, angle)
    return torch.where(zero, torch.sign(self) * (math.pi / 2), angle)
