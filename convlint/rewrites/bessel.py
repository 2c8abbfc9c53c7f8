"""Bessel functions of the orders 0 and 1, by polynomials on pieces of the line.

The numbers are least-squares fits at Chebyshev points, made with SciPy in float64: each polynomial is within
5e-7 of its function, in a variable that runs from -1 to 1. Definitions: https://dlmf.nist.gov/10
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from convlint.rewrites.arithmetic import as_float
from convlint.rewrites.table import rewrite

Tensor = torch.Tensor

_I0_NEAR = (
    0.207001863, -0.113004115, 0.0945229565, -0.0890534836, 0.0871917524, -0.0848247291, 0.0804653501,
    -0.0703968108, 0.0522254821, -0.0402061532, 0.0395060986, -0.024741372, 0.00164868613,
    -0.00168160289, 0.00915363872, -0.00437582865,
)  # fmt: skip
_I0_FAR = (
    0.402176509, 0.00336055196, 0.000136216784, 1.11435956e-05, 1.478018e-06, 2.93724663e-07,
    1.05635795e-07, 4.97633585e-08, 1.52181518e-09, -8.06377831e-09,
)  # fmt: skip
_I1_NEAR = (
    0.0446877008, -0.0611243072, 0.0680587443, -0.0684840732, 0.063743678, -0.0552597528, 0.0448611777,
    -0.0337968025, 0.0229700898, -0.0151625689, 0.0110581785, -0.00628160565, 0.00136322796,
    -0.000778703498, 0.00164109906, -0.000728278486,
)  # fmt: skip
_I1_FAR = (
    0.389398459, -0.00974957716, -0.000219236518, -1.50391712e-05, -1.82872672e-06, -3.44378639e-07,
    -1.17874584e-07, -5.45093579e-08, -2.42879421e-09, 8.32666677e-09,
)  # fmt: skip
_I0_SMALL = (
    1.56608293, 0.635861728, 0.0735898684, 0.00392856482, 0.000119820683, 2.35815184e-06,
    3.23673585e-08,
)  # fmt: skip
_I1_SMALL = (
    0.635861728, 0.147179737, 0.0117856953, 0.000479282725, 1.17878948e-05, 1.94209199e-07,
    2.2915553e-09,
)  # fmt: skip
_K0_NEAR = (
    -0.303620773, 0.340497321, 0.0717770103, 0.00505339264, 0.000182805551, 4.05450657e-06,
    6.09445268e-08, 6.62377396e-10,
)  # fmt: skip
_K0_FAR = (
    1.21859534, -0.0310714626, 0.00303289304, -0.000479753043, 9.95465538e-05, -2.48216746e-05,
    7.05951949e-06, -2.00493368e-06, 6.39569437e-07, -4.34568823e-07, 1.83162768e-07,
)  # fmt: skip
_K1_NEAR = (
    0.885088288, -0.332240955, -0.243838529, -0.0278542352, -0.00138316874, -3.89186896e-05,
    -7.08284042e-07, -9.0335202e-09,
)  # fmt: skip
_K1_FAR = (
    1.36315189, 0.103349739, -0.0055667313, 0.000735705576, -0.000139574135, 3.29442465e-05,
    -9.02707841e-06, 2.51362511e-06, -7.87892278e-07, 5.1585277e-07, -2.1454612e-07,
)  # fmt: skip
_J0_NEAR = (
    0.0458296649, 0.930301247, -0.648469283, -0.808088808, 1.03837946, -0.50746804, 0.145988848,
    -0.028472738, 0.0040580801, -0.00044351363, 3.84715748e-05, -2.74355571e-06, 1.60740929e-07,
)  # fmt: skip
_J1_NEAR = (
    -0.058143828, 0.0810586604, 0.151516651, -0.259594865, 0.158583764, -0.054745818, 0.0124568144,
    -0.00202904021, 0.000249494619, -2.40445487e-05, 1.86839714e-06, -1.20629929e-07, 6.47176723e-09,
)  # fmt: skip
_Y0_NEAR = (
    -0.382250654, -0.82843589, 1.64709648, 0.144126324, -1.07754773, 0.672177078, -0.21895747,
    0.0463670476, -0.00702574341, 0.000806158723, -7.27919743e-05, 5.32116623e-06, -3.24353372e-07,
    1.64921851e-08,
)  # fmt: skip
_Y1_NEAR = (
    1.62769571, -5.5237623, -7.04031549, 8.27006924, 1.23755819, -3.77121694, 1.88541157, -0.518600514,
    0.0953176111, -0.0127725797, 0.00131425501, -0.00010761008, 7.26318823e-06, -4.04052582e-07,
)  # fmt: skip
_M0 = (
    0.797499819, -0.0003800699, 4.50670351e-06, -1.54615843e-07, 9.97509165e-09, -9.70551371e-10,
)  # fmt: skip
_P0 = (
    -0.0155629323, 6.06372361e-05, -1.35722125e-06, 6.69633767e-08, -5.57653532e-09, 6.66952984e-10,
)  # fmt: skip
_M1 = (
    0.799044207, 0.00115078302, -8.61132558e-06, 2.3651393e-07, -1.36387518e-08, 1.24772337e-09,
)  # fmt: skip
_P1 = (
    0.0467174835, -0.000154933832, 2.47378326e-06, -1.00498657e-07, 7.52507678e-09, -8.11479882e-10,
)  # fmt: skip


def polynomial(variable: Tensor, factors: Sequence[float]) -> Tensor:
    """The polynomial with these factors, that of the lowest power first, by Horner's rule."""
    out = torch.full_like(variable, factors[-1])
    for factor in reversed(factors[:-1]):
        out = out * variable + factor
    return out


def _scaled_i(self: Tensor, order: int) -> Tensor:
    """The modified function of the first kind, times exp(-|x|)."""
    near, far = (_I0_NEAR, _I0_FAR) if order == 0 else (_I1_NEAR, _I1_FAR)
    value = as_float(self)
    size = value.abs()
    inside, outside = torch.clamp(size, max=8.0), torch.clamp(size, min=8.0)
    low = polynomial(inside / 4 - 1, near)
    low = low if order == 0 else low * inside
    out = torch.where(size > 8, polynomial(16 / outside - 1, far) * torch.rsqrt(outside), low)
    return out if order == 0 else torch.where(value < 0, -out, out)


@rewrite("aten.special_i0e.default")
def scaled_bessel_i0(self: Tensor) -> Tensor:
    """A polynomial up to 8, and one of the reciprocal beyond."""
    return _scaled_i(self, 0)


@rewrite("aten.special_i1e.default")
def scaled_bessel_i1(self: Tensor) -> Tensor:
    """A polynomial up to 8, and one of the reciprocal beyond."""
    return _scaled_i(self, 1)


@rewrite("aten.i0.default", "aten.special_modified_bessel_i0.default")
def bessel_i0(self: Tensor) -> Tensor:
    """A polynomial up to 8, and one of the reciprocal beyond, times the exponential."""
    return _scaled_i(self, 0) * torch.exp(as_float(self).abs())


@rewrite("aten.special_i1.default", "aten.special_modified_bessel_i1.default")
def bessel_i1(self: Tensor) -> Tensor:
    """A polynomial up to 8, and one of the reciprocal beyond, times the exponential."""
    return _scaled_i(self, 1) * torch.exp(as_float(self).abs())


def _k(self: Tensor, order: int, scaled: bool) -> Tensor:
    """The modified function of the second kind, infinite at 0 and not a number below."""
    near, far = (_K0_NEAR, _K0_FAR) if order == 0 else (_K1_NEAR, _K1_FAR)
    value = as_float(self)
    inside, outside = torch.clamp(value, min=1e-30, max=2.0), torch.clamp(value, min=2.0)
    place = inside * inside / 2 - 1
    if order == 0:
        low = polynomial(place, near) - torch.log(inside / 2) * polynomial(place, _I0_SMALL)
    else:
        low = polynomial(place, near) / inside
        low = low + torch.log(inside / 2) * inside * polynomial(place, _I1_SMALL)
    high = polynomial(4 / outside - 1, far) * torch.rsqrt(outside)
    if scaled:
        low = low * torch.exp(inside)
    else:
        high = high * torch.exp(-outside)
    out = torch.where(value > 2, high, low)
    out = torch.where(value == 0, torch.full_like(out, math.inf), out)
    return torch.where(value < 0, torch.full_like(out, math.nan), out)


@rewrite("aten.special_modified_bessel_k0.default")
def bessel_k0(self: Tensor) -> Tensor:
    """A polynomial and a logarithm up to 2, and a polynomial of the reciprocal beyond."""
    return _k(self, 0, False)


@rewrite("aten.special_modified_bessel_k1.default")
def bessel_k1(self: Tensor) -> Tensor:
    """A polynomial and a logarithm up to 2, and a polynomial of the reciprocal beyond."""
    return _k(self, 1, False)


@rewrite("aten.special_scaled_modified_bessel_k0.default")
def scaled_bessel_k0(x: Tensor) -> Tensor:
    """A polynomial and a logarithm up to 2, and a polynomial of the reciprocal beyond."""
    return _k(x, 0, True)


@rewrite("aten.special_scaled_modified_bessel_k1.default")
def scaled_bessel_k1(x: Tensor) -> Tensor:
    """A polynomial and a logarithm up to 2, and a polynomial of the reciprocal beyond."""
    return _k(x, 1, True)


def _wave(size: Tensor, order: int, wave: str) -> Tensor:
    """The oscillation beyond 8: its height and its phase are smooth."""
    height, phase = (_M0, _P0) if order == 0 else (_M1, _P1)
    near = 8 / size
    place = 2 * near * near - 1
    angle = size - (0.25 + 0.5 * order) * math.pi + near * polynomial(place, phase)
    swing = torch.cos(angle) if wave == "cos" else torch.sin(angle)
    return polynomial(place, height) * torch.rsqrt(size) * swing


def _j(self: Tensor, order: int) -> Tensor:
    value = as_float(self)
    size = value.abs()
    inside, outside = torch.clamp(size, max=8.0), torch.clamp(size, min=8.0)
    low = polynomial(inside * inside / 32 - 1, _J0_NEAR if order == 0 else _J1_NEAR)
    low = low if order == 0 else low * inside
    out = torch.where(size > 8, _wave(outside, order, "cos"), low)
    return out if order == 0 else torch.where(value < 0, -out, out)


def _y(self: Tensor, order: int) -> Tensor:
    value = as_float(self)
    inside, outside = torch.clamp(value, min=1e-30, max=8.0), torch.clamp(value, min=8.0)
    place = inside * inside / 32 - 1
    logarithm = torch.log(inside) * (2 / math.pi)
    if order == 0:
        low = polynomial(place, _Y0_NEAR) + logarithm * polynomial(place, _J0_NEAR)
    else:
        low = polynomial(place, _Y1_NEAR) / inside + logarithm * inside * polynomial(place, _J1_NEAR)
    out = torch.where(value > 8, _wave(outside, order, "sin"), low)
    out = torch.where(value == 0, torch.full_like(out, -math.inf), out)
    return torch.where(value < 0, torch.full_like(out, math.nan), out)


@rewrite("aten.special_bessel_j0.default")
def bessel_j0(self: Tensor) -> Tensor:
    """A polynomial up to 8, and a wave of smooth height and phase beyond."""
    return _j(self, 0)


@rewrite("aten.special_bessel_j1.default")
def bessel_j1(self: Tensor) -> Tensor:
    """A polynomial up to 8, and a wave of smooth height and phase beyond."""
    return _j(self, 1)


@rewrite("aten.special_bessel_y0.default")
def bessel_y0(self: Tensor) -> Tensor:
    """A polynomial and a logarithm up to 8, and a wave of smooth height and phase beyond."""
    return _y(self, 0)


@rewrite("aten.special_bessel_y1.default")
def bessel_y1(self: Tensor) -> Tensor:
    """A polynomial and a logarithm up to 8, and a wave of smooth height and phase beyond."""
    return _y(self, 1)


@rewrite("aten.special_spherical_bessel_j0.default")
def spherical_bessel_j0(x: Tensor) -> Tensor:
    """The sine over its argument, 1 at 0."""
    value = as_float(x)
    zero, endless = value == 0, value.abs() == math.inf
    safe = torch.where(torch.logical_or(zero, endless), torch.ones_like(value), value)
    out = torch.where(zero, torch.ones_like(value), torch.sin(safe) / safe)
    return torch.where(endless, torch.zeros_like(value), out)
