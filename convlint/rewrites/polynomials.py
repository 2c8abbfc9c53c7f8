"""Chebyshev's polynomials of a degree for each element, by their closed form.

On the line from -1 to 1 they are cosines and sines of multiples of an angle, beyond it the hyperbolic ones.
Definitions: https://dlmf.nist.gov/18.5
"""

from __future__ import annotations

from typing import Any

import torch

from convlint.rewrites.arithmetic import as_float
from convlint.rewrites.table import rewrite

Tensor = torch.Tensor
_EDGE = 1e-6
"""How near to -1 or 1 the quotient of two sines is its limit."""


def _degree(n: Any, like: Tensor) -> Tensor:
    if not isinstance(n, Tensor):
        return torch.full_like(like, float(int(n)))
    whole = as_float(n)
    return torch.sign(whole) * torch.floor(whole.abs())


def _chebyshev(x: Any, n: Any, kind: str) -> Tensor:
    """The polynomial of the kind "t", "u", "v" or "w", 0 for a degree below 0."""
    value = as_float(x) if isinstance(x, Tensor) else torch.full_like(as_float(n), float(x))
    value, degree = torch.broadcast_tensors(value, _degree(n, value))
    size = value.abs()
    half = torch.floor(degree / 2)
    sign = torch.where(
        torch.logical_and(value < 0, degree != 2 * half), -torch.ones_like(value), torch.ones_like(value)
    )
    # All kinds are even or odd, but for v and w, which change into each other.
    inside = torch.clamp(size, max=1.0)
    angle = torch.acos(inside)
    outside = torch.clamp(size, min=1.0)
    arc = torch.log(outside + torch.sqrt(outside - 1) * torch.sqrt(outside + 1))
    near, far = size <= 1, size > 1
    if kind == "t":
        return _for_degrees(sign * torch.where(far, _cosh(degree * arc), torch.cos(degree * angle)), degree)
    if kind == "u":
        low = _quotient(torch.sin((degree + 1) * angle), torch.sin(angle), degree + 1, near)
        high = _quotient(_sinh((degree + 1) * arc), _sinh(arc), degree + 1, far)
        return _for_degrees(sign * torch.where(far, high, low), degree)
    third = torch.where(
        far,
        _cosh((degree + 0.5) * arc) / _cosh(arc / 2),
        torch.cos((degree + 0.5) * angle) / torch.cos(angle / 2),
    )
    low = _quotient(torch.sin((degree + 0.5) * angle), torch.sin(angle / 2), 2 * degree + 1, near)
    high = _quotient(_sinh((degree + 0.5) * arc), _sinh(arc / 2), 2 * degree + 1, far)
    fourth = torch.where(far, high, low)
    right, left = (third, fourth) if kind == "v" else (fourth, third)
    return _for_degrees(sign * torch.where(value < 0, left, right), degree)


def _for_degrees(values: Tensor, degree: Tensor) -> Tensor:
    return torch.where(degree < 0, torch.zeros_like(values), values)


def _quotient(above: Tensor, below: Tensor, limit: Tensor, used: Tensor) -> Tensor:
    small = torch.logical_or(below.abs() < _EDGE, torch.logical_not(used))
    return torch.where(small, limit, above / torch.where(small, torch.ones_like(below), below))


def _cosh(x: Tensor) -> Tensor:
    return (torch.exp(x) + torch.exp(-x)) / 2


def _sinh(x: Tensor) -> Tensor:
    return (torch.exp(x) - torch.exp(-x)) / 2


@rewrite(
    "aten.special_chebyshev_polynomial_t.default",
    "aten.special_chebyshev_polynomial_t.n_scalar",
    "aten.special_chebyshev_polynomial_t.x_scalar",
)
def chebyshev_t(x: Any, n: Any) -> Tensor:
    """Its closed form, by multiples of an angle."""
    return _chebyshev(x, n, "t")


@rewrite(
    "aten.special_chebyshev_polynomial_u.default",
    "aten.special_chebyshev_polynomial_u.n_scalar",
    "aten.special_chebyshev_polynomial_u.x_scalar",
)
def chebyshev_u(x: Any, n: Any) -> Tensor:
    """Its closed form, by multiples of an angle."""
    return _chebyshev(x, n, "u")


@rewrite(
    "aten.special_chebyshev_polynomial_v.default",
    "aten.special_chebyshev_polynomial_v.n_scalar",
    "aten.special_chebyshev_polynomial_v.x_scalar",
)
def chebyshev_v(x: Any, n: Any) -> Tensor:
    """Its closed form, by multiples of an angle."""
    return _chebyshev(x, n, "v")


@rewrite(
    "aten.special_chebyshev_polynomial_w.default",
    "aten.special_chebyshev_polynomial_w.n_scalar",
    "aten.special_chebyshev_polynomial_w.x_scalar",
)
def chebyshev_w(x: Any, n: Any) -> Tensor:
    """Its closed form, by multiples of an angle."""
    return _chebyshev(x, n, "w")


@rewrite(
    "aten.special_shifted_chebyshev_polynomial_t.default",
    "aten.special_shifted_chebyshev_polynomial_t.n_scalar",
    "aten.special_shifted_chebyshev_polynomial_t.x_scalar",
)
def shifted_chebyshev_t(x: Any, n: Any) -> Tensor:
    """Its closed form, by multiples of an angle."""
    return _chebyshev(2 * as_float(x) - 1 if isinstance(x, Tensor) else 2 * x - 1, n, "t")


@rewrite(
    "aten.special_shifted_chebyshev_polynomial_u.default",
    "aten.special_shifted_chebyshev_polynomial_u.n_scalar",
    "aten.special_shifted_chebyshev_polynomial_u.x_scalar",
)
def shifted_chebyshev_u(x: Any, n: Any) -> Tensor:
    """Its closed form, by multiples of an angle."""
    return _chebyshev(2 * as_float(x) - 1 if isinstance(x, Tensor) else 2 * x - 1, n, "u")


@rewrite(
    "aten.special_shifted_chebyshev_polynomial_v.default",
    "aten.special_shifted_chebyshev_polynomial_v.n_scalar",
    "aten.special_shifted_chebyshev_polynomial_v.x_scalar",
)
def shifted_chebyshev_v(x: Any, n: Any) -> Tensor:
    """Its closed form, by multiples of an angle."""
    return _chebyshev(2 * as_float(x) - 1 if isinstance(x, Tensor) else 2 * x - 1, n, "v")


@rewrite(
    "aten.special_shifted_chebyshev_polynomial_w.default",
    "aten.special_shifted_chebyshev_polynomial_w.n_scalar",
    "aten.special_shifted_chebyshev_polynomial_w.x_scalar",
)
def shifted_chebyshev_w(x: Any, n: Any) -> Tensor:
    """Its closed form, by multiples of an angle."""
    return _chebyshev(2 * as_float(x) - 1 if isinstance(x, Tensor) else 2 * x - 1, n, "w")
