"""Sums, products, quotients, powers, signs and rounding, one element at a time."""

from __future__ import annotations

import math
from typing import Any

import torch

from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor


def as_float(value: Tensor) -> Tensor:
    """The tensor itself where it is one of floats, else cast to the default dtype."""
    return value if value.is_floating_point() else value.to(torch.get_default_dtype())


@rewrite("aten.lerp.Scalar", "aten.lerp.Tensor")
def lerp(self: Tensor, end: Tensor, weight: Any) -> Tensor:
    """The weighted difference, added to the nearer end."""
    gap = end - self
    if not isinstance(weight, Tensor):
        return self + gap * weight if abs(weight) < 0.5 else end - gap * (1 - weight)
    return torch.where(weight.abs() < 0.5, self + gap * weight, end - gap * (1 - weight))


@rewrite("aten.addcmul.default")
def addcmul(self: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """A product and a sum."""
    product = tensor1 * tensor2
    return self + (product if value == 1 else product * value)


@rewrite("aten.addcdiv.default")
def addcdiv(self: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: float = 1) -> Tensor:
    """A quotient and a sum."""
    quotient = tensor1 / tensor2
    return self + (quotient if value == 1 else quotient * value)


@rewrite("aten.add.Tensor", "aten.add.Scalar")
def scaled_add(self: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """A product and a sum of tensors of one dtype."""
    one, two = _promoted(self, other)
    return one + (two if alpha == 1 else two * alpha)


@rewrite("aten.sub.Tensor", "aten.sub.Scalar")
def scaled_sub(self: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """A product and a difference of tensors of one dtype."""
    one, two = _promoted(self, other)
    return one - (two if alpha == 1 else two * alpha)


@rewrite("aten.rsub.Tensor", "aten.rsub.Scalar")
def reversed_sub(self: Tensor, other: Any, alpha: float = 1) -> Tensor:
    """The difference the other way round."""
    one, two = _promoted(self, other)
    return two - (one if alpha == 1 else one * alpha)


@rewrite("aten.mul.Tensor", "aten.mul.Scalar")
def mul_of_one_dtype(self: Tensor, other: Any) -> Tensor:
    """A product of tensors of one dtype."""
    if self.dtype is torch.bool and isinstance(other, Tensor) and other.dtype is torch.bool:
        return torch.logical_and(self, other)
    one, two = _promoted(self, other)
    return one * two


@rewrite("aten.div.Tensor", "aten.div.Scalar")
def div_of_floats(self: Tensor, other: Any) -> Tensor:
    """A quotient of tensors of one dtype."""
    one, two = _promoted(as_float(self), as_float(other) if isinstance(other, Tensor) else other)
    return one / two


@rewrite("aten.div.Tensor_mode", "aten.div.Scalar_mode")
def rounded_div(self: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """A quotient of floats, rounded and cast back."""
    dtype = torch.result_type(self, other)
    one, two = as_float(self), as_float(other) if isinstance(other, Tensor) else other
    quotient = one / two
    if rounding_mode == "floor":
        quotient = torch.floor(quotient)
    elif rounding_mode == "trunc":
        quotient = torch.sign(quotient) * torch.floor(quotient.abs())
    return quotient if rounding_mode is None else quotient.to(dtype)


@rewrite("aten.floor_divide.default", "aten.floor_divide.Scalar")
def floor_divide(self: Tensor, other: Any) -> Tensor:
    """A quotient of floats, rounded down and cast back."""
    return rounded_div(self, other, rounding_mode="floor")


@rewrite("aten.remainder.Tensor", "aten.remainder.Scalar")
def remainder(self: Tensor, other: Any) -> Tensor:
    """What the quotient, rounded down, leaves."""
    dtype = torch.result_type(self, other)
    one, two = _promoted(self, other)
    quotient = torch.floor(as_float(one) / (as_float(two) if isinstance(two, Tensor) else two))
    return (one - quotient.to(one.dtype) * two).to(dtype)


@rewrite("aten.fmod.Tensor", "aten.fmod.Scalar")
def fmod(self: Tensor, other: Any) -> Tensor:
    """What the quotient, rounded towards 0, leaves."""
    dtype = torch.result_type(self, other)
    one, two = _promoted(self, other)
    quotient = as_float(one) / (as_float(two) if isinstance(two, Tensor) else two)
    whole = torch.sign(quotient) * torch.floor(quotient.abs())
    return (one - whole.to(one.dtype) * two).to(dtype)


def _promoted(self: Tensor, other: Any) -> tuple[Tensor, Any]:
    dtype = torch.result_type(self, other)
    if isinstance(other, Tensor):
        return self.to(dtype), other.to(dtype)
    return self.to(dtype), other


@rewrite("aten.pow.Tensor_Scalar")
def power_of_number(self: Tensor, exponent: float) -> Tensor:
    """Products for a small whole exponent."""
    if exponent != int(exponent) or not 0 <= exponent <= 8:
        raise NotApplicable("the exponent is not a small whole number")
    if exponent == 0:
        return torch.ones_like(self)
    out = self
    for _ in range(int(exponent) - 1):
        out = out * self
    return out


@rewrite("aten.pow.Scalar")
def power_of_base(self: float, exponent: Tensor) -> Tensor:
    """The exponential of the exponent times the logarithm of the base."""
    if self <= 0:
        raise NotApplicable("the base is not positive")
    return torch.exp(as_float(exponent) * math.log(self)).to(torch.result_type(self, exponent))


def is_negative(value: Tensor) -> Tensor:
    """Whether a number has a minus sign: its reciprocal tells the zeros apart."""
    if not value.is_floating_point():
        return value < 0 if value.dtype is not torch.bool else torch.zeros_like(value)
    zero = value == 0
    safe = torch.where(zero, value, torch.ones_like(value))
    return torch.where(zero, torch.ones_like(value) / safe < 0, value < 0)


@rewrite("aten.copysign.Tensor", "aten.copysign.Scalar")
def copysign(self: Tensor, other: Any) -> Tensor:
    """The magnitude with the sign; that of a zero is the sign of its reciprocal."""
    if not isinstance(other, Tensor):
        magnitude = as_float(self).abs()
        return -magnitude if math.copysign(1, other) < 0 else magnitude
    dtype = torch.result_type(self, other)
    one = self.to(dtype) if dtype.is_floating_point else as_float(self)
    magnitude = one.abs()
    return torch.where(is_negative(other), -magnitude, magnitude)


@rewrite("aten.heaviside.default")
def heaviside(self: Tensor, values: Tensor) -> Tensor:
    """0, the value or 1, by comparisons."""
    if self.dtype is torch.bool:
        return torch.logical_or(self, values)
    step = (self > 0).to(self.dtype)
    step = torch.where(self != self, self, step) if self.is_floating_point() else step
    return torch.where(self == 0, values, step)


@rewrite("aten.sgn.default")
def sgn(self: Tensor) -> Tensor:
    """torch.sign of a real tensor."""
    if self.is_complex():
        raise NotApplicable("it is complex")
    return torch.sign(self)


@rewrite("aten.trunc.default", "aten.fix.default")
def trunc(self: Tensor) -> Tensor:
    """The magnitude rounded down, with the sign."""
    return torch.sign(self) * torch.floor(self.abs())


@rewrite("aten.frac.default")
def frac(self: Tensor) -> Tensor:
    """What the whole part leaves."""
    return self - torch.sign(self) * torch.floor(self.abs())


@rewrite("aten.round.decimals")
def round_decimals(self: Tensor, *, decimals: int = 0) -> Tensor:
    """Scaled, rounded, and scaled back."""
    if not self.is_floating_point():
        raise NotApplicable("it is not of floats")
    factor = 10.0 ** abs(decimals)
    return torch.round(self * factor) / factor if decimals >= 0 else torch.round(self / factor) * factor


@rewrite("aten.ldexp.Tensor")
def ldexp(self: Tensor, other: Tensor) -> Tensor:
    """The product with a power of 2, in two steps that stay within the range of the floats."""
    powers = as_float(other)
    half = torch.floor(powers / 2)
    return as_float(self) * torch.exp2(half) * torch.exp2(powers - half)


@rewrite("aten.square.default")
def square(self: Tensor) -> Tensor:
    """A product with itself."""
    if self.dtype is torch.bool:
        raise NotApplicable("it is a boolean")
    return self * self


@rewrite("aten.reciprocal.default")
def reciprocal(self: Tensor) -> Tensor:
    """1 divided by it."""
    return torch.ones_like(as_float(self)) / as_float(self)


@rewrite("aten.positive.default", "aten.conj_physical.default", "aten.real.default")
def unchanged(self: Tensor) -> Tensor:
    """The tensor itself."""
    if self.is_complex():
        raise NotApplicable("it is complex")
    return self.clone()


_EUCLID = 47
"""Steps that Euclid's algorithm takes at most for numbers of 32 bits: Fibonacci's take the most."""


@rewrite("aten._neg_view.default")
def negative_view(self: Tensor) -> Tensor:
    """The negative: what a view of it shows."""
    return -self


@rewrite("aten.gcd.default")
def gcd(self: Tensor, other: Tensor) -> Tensor:
    """Euclid's algorithm, with as many steps as 32 bits may need."""
    dtype = torch.result_type(self, other)
    one, two = torch.broadcast_tensors(self.to(dtype).abs(), other.to(dtype).abs())
    for _ in range(_EUCLID):
        done = two == 0
        left = torch.remainder(one, torch.where(done, torch.ones_like(two), two))
        one, two = torch.where(done, one, two), torch.where(done, two, left)
    return one


@rewrite("aten.lcm.default")
def lcm(self: Tensor, other: Tensor) -> Tensor:
    """The product over what Euclid's algorithm finds."""
    shared = gcd(self, other)
    safe = torch.where(shared == 0, torch.ones_like(shared), shared)
    share = (self.to(safe.dtype) / safe).to(safe.dtype)
    return (share * other).abs()
