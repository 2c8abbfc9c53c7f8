"""Functions of one element at a time."""

from __future__ import annotations

import math
from typing import Any

import torch

from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor


def _float(value: Tensor) -> Tensor:
    return value if value.is_floating_point() else value.to(torch.get_default_dtype())


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


@rewrite("aten.lerp.Scalar", "aten.lerp.Tensor")
def lerp(self: Tensor, end: Tensor, weight: Any) -> Tensor:
    """The start plus the weighted difference."""
    return self + (end - self) * weight


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
    one, two = _promoted(_float(self), _float(other) if isinstance(other, Tensor) else other)
    return one / two


@rewrite("aten.div.Tensor_mode", "aten.div.Scalar_mode")
def rounded_div(self: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """A quotient of floats, rounded and cast back."""
    dtype = torch.result_type(self, other)
    one, two = _float(self), _float(other) if isinstance(other, Tensor) else other
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
    quotient = torch.floor(_float(one) / (_float(two) if isinstance(two, Tensor) else two))
    return (one - quotient.to(one.dtype) * two).to(dtype)


@rewrite("aten.fmod.Tensor", "aten.fmod.Scalar")
def fmod(self: Tensor, other: Any) -> Tensor:
    """What the quotient, rounded towards 0, leaves."""
    dtype = torch.result_type(self, other)
    one, two = _promoted(self, other)
    quotient = _float(one) / (_float(two) if isinstance(two, Tensor) else two)
    whole = torch.sign(quotient) * torch.floor(quotient.abs())
    return (one - whole.to(one.dtype) * two).to(dtype)


def _promoted(self: Tensor, other: Any) -> tuple[Tensor, Any]:
    dtype = torch.result_type(self, other)
    if isinstance(other, Tensor):
        return self.to(dtype), other.to(dtype)
    return self.to(dtype), other


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
    return torch.exp(_float(exponent) * math.log(self)).to(torch.result_type(self, exponent))


@rewrite("aten.sinc.default")
def sinc(self: Tensor) -> Tensor:
    """The quotient that it is defined by, 1 at 0."""
    scaled = self * math.pi
    zero = scaled == 0
    safe = torch.where(zero, torch.ones_like(scaled), scaled)
    return torch.where(zero, torch.ones_like(scaled), torch.sin(safe) / safe)


@rewrite("aten.copysign.Tensor", "aten.copysign.Scalar", safety="unsafe")
def copysign(self: Tensor, other: Any) -> Tensor:
    """The magnitude with the sign of a comparison; minus 0 counts as 0."""
    magnitude = _float(self).abs()
    if not isinstance(other, Tensor):
        return -magnitude if math.copysign(1, other) < 0 else magnitude
    return torch.where(other < 0, -magnitude, magnitude)


@rewrite("aten.heaviside.default")
def heaviside(self: Tensor, values: Tensor) -> Tensor:
    """0, the value or 1, by comparisons."""
    step = (self > 0).to(self.dtype)
    return torch.where(self == 0, values, step)


@rewrite("aten.sgn.default")
def sgn(self: Tensor) -> Tensor:
    """torch.sign of a real tensor."""
    if self.is_complex():
        raise NotApplicable("it is complex")
    return torch.sign(self)


@rewrite("aten.deg2rad.default")
def deg2rad(self: Tensor) -> Tensor:
    """A product."""
    return _float(self) * (math.pi / 180.0)


@rewrite("aten.rad2deg.default")
def rad2deg(self: Tensor) -> Tensor:
    """A product."""
    return _float(self) * (180.0 / math.pi)


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
    factor = 10.0**decimals
    return torch.round(self * factor) / factor


@rewrite("aten.ldexp.Tensor")
def ldexp(self: Tensor, other: Tensor) -> Tensor:
    """The product with a power of 2."""
    return self * torch.exp(_float(other) * math.log(2.0))


@rewrite("aten.square.default")
def square(self: Tensor) -> Tensor:
    """A product with itself."""
    if self.dtype is torch.bool:
        raise NotApplicable("it is a boolean")
    return self * self


@rewrite("aten.reciprocal.default")
def reciprocal(self: Tensor) -> Tensor:
    """1 divided by it."""
    return torch.ones_like(_float(self)) / _float(self)


@rewrite("aten.positive.default", "aten.conj_physical.default", "aten.real.default")
def unchanged(self: Tensor) -> Tensor:
    """The tensor itself."""
    if self.is_complex():
        raise NotApplicable("it is complex")
    return self.clone()


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
    return torch.log(_float(self)) * (1 / math.log(2.0))


@rewrite("aten.log10.default")
def log10(self: Tensor) -> Tensor:
    """A scaled logarithm."""
    return torch.log(_float(self)) * (1 / math.log(10.0))


@rewrite("aten.exp2.default", "aten.special_exp2.default")
def exp2(self: Tensor) -> Tensor:
    """The exponential of a scaled argument."""
    return torch.exp(_float(self) * math.log(2.0))


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


@rewrite("aten.hardshrink.default")
def hardshrink(self: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where the magnitude is small."""
    return torch.where(self.abs() > lambd, self, torch.zeros_like(self))


@rewrite("aten.softshrink.default")
def softshrink(self: Tensor, lambd: float = 0.5) -> Tensor:
    """What both ReLUs leave beyond the threshold."""
    return torch.relu(self - lambd) - torch.relu(-self - lambd)


@rewrite("aten.threshold.default")
def threshold(self: Tensor, threshold: float, value: float) -> Tensor:
    """A value where the tensor is not above the threshold."""
    return torch.where(self > threshold, self, torch.full_like(self, value))


@rewrite("aten.elu.default")
def elu(self: Tensor, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Tensor:
    """Its two halves, with their scales."""
    low = alpha * (torch.exp(torch.clamp(self, max=0.0) * input_scale) - 1)
    return scale * (torch.relu(self) + low)


@rewrite("aten.celu.default")
def celu(self: Tensor, alpha: float = 1.0) -> Tensor:
    """Its two halves."""
    return torch.relu(self) + alpha * (torch.exp(torch.clamp(self, max=0.0) / alpha) - 1)


@rewrite("aten.mish.default")
def mish(self: Tensor) -> Tensor:
    """The product with tanh of softplus."""
    return self * torch.tanh(torch.nn.functional.softplus(self))


@rewrite("aten.log_sigmoid.default", "aten.log_sigmoid_forward.default")
def log_sigmoid(self: Tensor) -> Tensor:
    """The negative softplus of the negative, without overflow."""
    return torch.clamp(self, max=0.0) - torch.log(1 + torch.exp(-self.abs()))


@rewrite("aten.logit.default")
def logit(self: Tensor, eps: float | None = None) -> Tensor:
    """The logarithm of the odds."""
    if eps is not None and eps > 0.5:
        raise NotApplicable("its bounds are crossed")
    inside = self if eps is None else torch.clamp(self, eps, 1 - eps)
    return torch.log(inside / (1 - inside))


@rewrite("aten.hardtanh.default")
def hardtanh(self: Tensor, min_val: float = -1, max_val: float = 1) -> Tensor:
    """torch.maximum and torch.minimum with the bounds."""
    return clamp(self, min_val, max_val)


@rewrite("aten.clamp.default", "aten.clamp.Tensor")
def clamp(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """torch.maximum and torch.minimum with the bounds."""
    out = self
    for bound, choose in ((min, torch.maximum), (max, torch.minimum)):
        if bound is not None:
            limit = bound if isinstance(bound, Tensor) else torch.full((1,), bound).reshape(())
            out = choose(out, limit.to(self.dtype))
    return out


@rewrite("aten.clamp_min.default", "aten.clamp_min.Tensor")
def clamp_min(self: Tensor, min: Any) -> Tensor:
    """torch.maximum with the bound."""
    return clamp(self, min, None)


@rewrite("aten.clamp_max.default", "aten.clamp_max.Tensor")
def clamp_max(self: Tensor, max: Any) -> Tensor:
    """torch.minimum with the bound."""
    return clamp(self, None, max)


@rewrite("aten.prelu.default", "aten._prelu_kernel.default")
def prelu(self: Tensor, weight: Tensor) -> Tensor:
    """Two ReLUs, the negative one scaled by the slope."""
    shape = [1] * self.dim()
    if weight.numel() > 1 and self.dim() > 1:
        shape[1] = -1
    slope = weight.reshape(shape) if self.dim() else weight.reshape(())
    return torch.relu(self) - slope * torch.relu(-self)
