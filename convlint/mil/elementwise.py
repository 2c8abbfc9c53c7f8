"""Ops that work element by element, with NumPy's broadcasting where there are two operands."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from convlint.mil.dtypes import carrier
from convlint.mil.failures import UnsupportedOperation

_Unary = Callable[[Tensor], Tensor]
_Binary = Callable[[Tensor, Tensor], Tensor]


def unary(function: _Unary) -> Callable[..., Tensor]:
    def apply(x: Tensor) -> Tensor:
        return function(x)

    return apply


def binary(function: _Binary) -> Callable[..., Tensor]:
    def apply(x: Tensor, y: Tensor) -> Tensor:
        return function(x, y)

    return apply


def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    return x.clamp(alpha, beta)


def threshold(x: Tensor, alpha: float) -> Tensor:
    return x.clamp(min=alpha)


def exp2(x: Tensor) -> Tensor:
    return torch.exp2(x.float())


def inverse(x: Tensor, epsilon: float = 1e-4) -> Tensor:
    return 1 / (x + epsilon)


def log(x: Tensor, epsilon: float = 1e-45) -> Tensor:
    return torch.log(x + epsilon)


def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    return torch.rsqrt(x + epsilon)


def cast(x: Tensor, dtype: str) -> Tensor:
    """Cast to another dtype: floats are truncated to integers, and everything but zero becomes true."""
    kind = carrier(dtype)
    if kind is None:
        raise UnsupportedOperation(f"cast to {dtype} is not defined.")
    if kind.is_float:
        # The executor rounds to the declared precision, or to the requested one.
        return x.float()
    if x.dtype.is_floating_point and not kind.dtype.is_floating_point and kind.name != "bool":
        x = x.trunc().to(torch.int64)
    return kind.settle(x)


def _nonzero_divisor(y: Tensor) -> tuple[Tensor, Tensor]:
    """An integer divisor without zeros, and the places of the zeros, where Core ML defines no quotient."""
    zero = y == 0
    return torch.where(zero, torch.ones_like(y), y), zero


def floor_div(x: Tensor, y: Tensor) -> Tensor:
    if x.dtype.is_floating_point or y.dtype.is_floating_point:
        return torch.floor_divide(x, y)
    divisor, zero = _nonzero_divisor(y)
    return torch.where(zero, 0, torch.floor_divide(x, divisor))


def mod(x: Tensor, y: Tensor) -> Tensor:
    """The remainder with the sign of the divisor, as ``%`` of Python."""
    if x.dtype.is_floating_point or y.dtype.is_floating_point:
        return torch.remainder(x, y)
    divisor, zero = _nonzero_divisor(y)
    return torch.where(zero, 0, torch.remainder(x, divisor))


def real_div(x: Tensor, y: Tensor) -> Tensor:
    """True division; that of integers is truncated, because the op returns the dtype of its inputs."""
    if x.dtype.is_floating_point or y.dtype.is_floating_point:
        return x / y
    divisor, zero = _nonzero_divisor(y)
    return torch.where(zero, 0, torch.div(x, divisor, rounding_mode="trunc"))


def power(x: Tensor, y: Tensor) -> Tensor:
    return torch.pow(x, y)


def select(cond: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(cond, a, b)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "abs": unary(torch.abs),
    "acos": unary(torch.acos),
    "asin": unary(torch.asin),
    "atan": unary(torch.atan),
    "atanh": unary(torch.atanh),
    "cast": cast,
    "ceil": unary(torch.ceil),
    "clip": clip,
    "cos": unary(torch.cos),
    "cosh": unary(torch.cosh),
    "erf": unary(torch.erf),
    "exp": unary(torch.exp),
    "exp2": exp2,
    "floor": unary(torch.floor),
    "inverse": inverse,
    "log": log,
    "logical_not": unary(torch.logical_not),
    "round": unary(torch.round),
    "rsqrt": rsqrt,
    "sign": unary(torch.sign),
    "sin": unary(torch.sin),
    "sinh": unary(torch.sinh),
    "sqrt": unary(torch.sqrt),
    "square": unary(torch.square),
    "tan": unary(torch.tan),
    "tanh": unary(torch.tanh),
    "threshold": threshold,
    "add": binary(torch.add),
    "equal": binary(torch.eq),
    "floor_div": floor_div,
    "greater": binary(torch.gt),
    "greater_equal": binary(torch.ge),
    "less": binary(torch.lt),
    "less_equal": binary(torch.le),
    "logical_and": binary(torch.logical_and),
    "logical_or": binary(torch.logical_or),
    "logical_xor": binary(torch.logical_xor),
    "maximum": binary(torch.maximum),
    "minimum": binary(torch.minimum),
    "mod": mod,
    "mul": binary(torch.mul),
    "not_equal": binary(torch.ne),
    "pow": power,
    "real_div": real_div,
    "select": select,
    "sub": binary(torch.sub),
}
