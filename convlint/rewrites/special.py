"""The gamma function and its kin, and the inverses of the error function.

The numbers of the polynomials are least-squares fits at Chebyshev points, made with SciPy in float64; each is
within 5e-7 of its function, that of the far tail of ndtri within 5e-6. Definitions: https://dlmf.nist.gov/5,
https://dlmf.nist.gov/7
"""

from __future__ import annotations

import math

import torch

from convlint.rewrites.arithmetic import as_float, is_negative
from convlint.rewrites.bessel import polynomial
from convlint.rewrites.table import rewrite

Tensor = torch.Tensor

_ERFCX = (
    0.766187029, -0.259974837, 0.0378138987, 0.0425363454, -0.0252435652, -0.000518220642,
    0.00393786861, 0.000144339588, -0.000707220554, -0.000138906949, 0.000118694111, 5.98606631e-05,
    -1.0807734e-05, -1.58912737e-05, -1.66760312e-06, 2.10188347e-06, 5.62516246e-07,
)  # fmt: skip
_ERFINV_NEAR = (
    1.50140935, 0.616600723, -0.0261082808, -0.019574194, 0.0085259345, -0.000484349951,
    -0.000836468738, 0.000284075153, 2.51574354e-05, -3.33398093e-05, 4.14957743e-06,
)  # fmt: skip
_ERFINV_FAR = (
    3.06988131, 1.00510711, 0.00553402662, -0.00389355676, 0.00258400929, -0.00176766282, 0.00106971387,
    -0.000364220871, -8.63544133e-05, 8.82181582e-05,
)  # fmt: skip
_NDTRI = (
    -0.642244463, -0.308825735, 0.0681842977, -0.0215539194, 0.00969304407, -0.0052352046,
    4.85174696e-05, 0.000786043211, 0.00264348315, -0.00197857435,
)  # fmt: skip

_SHIFT = 7
"""Steps of the recurrence that bring an argument to where the asymptotic series holds."""

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730)
"""The Bernoulli numbers B2, B4, ..."""


@rewrite("aten.lgamma.default")
def lgamma(self: Tensor) -> Tensor:
    """Stirling's series after some steps of the recurrence, reflected below a half."""
    value = as_float(self)
    low = value < 0.5
    right = torch.where(low, 1 - value, value)
    product = right
    for step in range(1, _SHIFT):  # beyond 1e5 the series holds at once, and the product would overflow
        product = product * torch.where(right < 1e5, right + step, torch.ones_like(right))
    product = torch.where(right < 1e5, product, torch.ones_like(right))
    far = torch.where(right < 1e5, right + _SHIFT, right)
    near = 1 / far
    square = near * near
    series = near * (1 / 12 - square * (1 / 360 - square * (1 / 1260)))
    out = (far - 0.5) * torch.log(far) - far + 0.5 * math.log(2 * math.pi) + series - torch.log(product)
    rest = value - torch.round(value)
    sine = torch.sin(math.pi * rest.abs())
    pole = torch.logical_and(value <= 0, rest == 0)
    safe = torch.where(torch.logical_and(low, sine > 0), sine, torch.ones_like(sine))
    mirrored = math.log(math.pi) - torch.log(safe) - out
    out = torch.where(low, mirrored, out)
    endless = torch.logical_or(pole, value.abs() == math.inf)
    return torch.where(endless, torch.full_like(out, math.inf), out)


@rewrite("aten.digamma.default")
def digamma(self: Tensor) -> Tensor:
    """Its asymptotic series after some steps of the recurrence, reflected below 0."""
    value = as_float(self)
    low = value < 0
    right = torch.where(low, 1 - value, value)
    pole = right == 0
    right = torch.where(pole, torch.ones_like(right), right)
    steps = torch.zeros_like(right)
    for step in range(_SHIFT):
        steps = steps + 1 / (right + step)
    far = right + _SHIFT
    square = 1 / (far * far)
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252)))
    out = torch.log(far) - 0.5 / far - series - steps
    rest = value - torch.round(value)
    whole = rest == 0
    angle = math.pi * torch.where(
        torch.logical_or(whole, torch.logical_not(low)), torch.full_like(rest, 0.5), rest
    )
    out = torch.where(low, out - math.pi * torch.cos(angle) / torch.sin(angle), out)
    out = torch.where(torch.logical_and(low, whole), torch.full_like(out, math.nan), out)
    return torch.where(
        pole,
        -torch.full_like(out, math.inf)
        * torch.where(is_negative(value), -torch.ones_like(out), torch.ones_like(out)),
        out,
    )


@rewrite("aten.polygamma.default", "aten.special_polygamma.default")
def polygamma(n: int, self: Tensor) -> Tensor:
    """A sum of powers, and what is behind it by Euler and Maclaurin, reflected below a half."""
    value = as_float(self)
    if n == 0:
        return digamma(value)
    low = value < 0.5
    right = torch.where(low, 1 - value, value)
    order = n + 1
    steps = torch.zeros_like(right)
    for step in range(_SHIFT + 2):
        steps = steps + _inverse_power(right + step, order)
    far = right + (_SHIFT + 2)
    last = _inverse_power(far, order)
    series = last * far / (order - 1) + 0.5 * last
    factor, power = float(order), last / far
    for number, bernoulli in enumerate(_BERNOULLI[:4], 1):
        series = series + power * (bernoulli / math.factorial(2 * number) * factor)
        factor *= (order + 2 * number - 1) * (order + 2 * number)
        power = power / (far * far)
    out = (steps + series) * ((-1.0) ** order * math.factorial(n))
    rest = value - torch.round(value)
    safe = torch.where(torch.logical_and(low, rest != 0), rest, torch.full_like(rest, 0.5))
    cotangent = torch.cos(math.pi * safe) / torch.sin(math.pi * safe)
    turn = math.pi ** (n + 1) * _derivative_of_cotangent(cotangent, n)
    out = torch.where(low, (-1.0) ** n * out - turn, out)
    pole = math.inf if n % 2 else -math.inf
    return torch.where(torch.logical_and(value <= 0, rest == 0), torch.full_like(out, pole), out)


def _inverse_power(value: Tensor, order: int) -> Tensor:
    out = 1 / value
    for _ in range(order - 1):
        out = out / value
    return out


def _derivative_of_cotangent(cotangent: Tensor, order: int) -> Tensor:
    """A polynomial in the cotangent: each derivative brings a factor of -(1 + cot^2)."""
    factors = [0, 1]
    for _ in range(order):
        slopes = [power * factor for power, factor in enumerate(factors)][1:]
        factors = [0] * (len(slopes) + 2)
        for power, slope in enumerate(slopes):
            factors[power] -= slope
            factors[power + 2] -= slope
    return polynomial(cotangent, [float(factor) for factor in factors])


@rewrite("aten.special_erfcx.default")
def erfcx(self: Tensor) -> Tensor:
    """A polynomial of a fraction for what is positive, reflected for the rest."""
    value = as_float(self)
    size = value.abs()
    bounded = torch.clamp(size, max=1e18)
    right = polynomial((bounded - 2) / (bounded + 2), _ERFCX) / (1 + bounded)
    right = torch.where(size == math.inf, torch.zeros_like(right), right)
    left = torch.where(value < 0, value, torch.zeros_like(value))
    return torch.where(value < 0, 2 * torch.exp(left * left) - right, right)


def _endless(like: Tensor) -> tuple[Tensor, Tensor]:
    """Both infinities, in the shape of a tensor."""
    return torch.full_like(like, math.inf), torch.full_like(like, -math.inf)


@rewrite("aten.erfinv.default", "aten.special_erfinv.default")
def erfinv(self: Tensor) -> Tensor:
    """Polynomials of the logarithm of what is left to 1."""
    value = as_float(self)
    left = (1 - value) * (1 + value)
    safe = torch.where(left > 0, left, torch.full_like(left, 1e-7))
    depth = -torch.log(safe)
    near = polynomial(torch.clamp(depth, max=5.0) / 2.5 - 1, _ERFINV_NEAR)
    far = polynomial(torch.sqrt(torch.clamp(depth, min=5.0)) - 2.2360679775 - 1, _ERFINV_FAR)
    # The fits are of the function of 1 - x^2, over x.
    out = value * torch.where(depth > 5, far, near)
    out = torch.where(value.abs() == 1, torch.where(value > 0, *_endless(out)), out)
    return torch.where(value.abs() > 1, torch.full_like(out, math.nan), out)


@rewrite("aten.special_ndtri.default")
def ndtri(self: Tensor) -> Tensor:
    """The inverse of the error function in the middle, a polynomial of the logarithm in the tails."""
    value = as_float(self)
    upper = value > 0.5
    tail = torch.where(upper, 1 - value, value)
    inside = torch.logical_and(tail > 0, tail < 0.13)
    safe = torch.where(inside, tail, torch.full_like(tail, 0.1))
    depth = torch.sqrt(-2 * torch.log(safe))
    far = -depth - polynomial((1 / depth - 0.06) / 0.22 - 1, _NDTRI)
    far = torch.where(upper, -far, far)
    middle = torch.clamp(2 * value - 1, min=-0.8, max=0.8)
    out = torch.where(inside, far, math.sqrt(2.0) * erfinv(middle))
    edge = torch.logical_or(value == 0, value == 1)
    out = torch.where(edge, torch.where(value > 0, *_endless(out)), out)
    beyond = torch.logical_or(value < 0, value > 1)
    return torch.where(beyond, torch.full_like(out, math.nan), out)
