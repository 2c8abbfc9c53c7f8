"""What ``convlint.fix`` is to bring through, kind by kind: refused before, converted after, the same values.

One table, one small function a row. The rows that plain coremltools takes are there too: fix must
leave them alone or prove what it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import convlint

LINE, TABLE, IMAGE = torch.Size((8,)), torch.Size((3, 8)), torch.Size((1, 4, 6, 8))
HEADS = torch.Size((1, 4, 6, 8))
WORDS = torch.Size((2, 6, 8))


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.function(*tensors)


def written(x: torch.Tensor) -> torch.Tensor:
    y = x.clone()
    y[:, 1:3] = 0.0
    y[:, -1] += 1.0
    y[0, ::2] = y[1, ::2]
    return y


def rotary(x: torch.Tensor) -> torch.Tensor:
    angles = torch.outer(torch.arange(6.0), 1.0 / 100.0 ** (torch.arange(0, 8, 2) / 8))
    turns = torch.polar(torch.ones_like(angles), angles)
    pairs = torch.view_as_complex(x.reshape(1, 4, 6, 4, 2))
    return torch.view_as_real(pairs * turns).flatten(3)


def half_rotary(x: torch.Tensor) -> torch.Tensor:
    angles = torch.outer(torch.arange(6.0), 1.0 / 100.0 ** (torch.arange(0, 8, 2) / 8)).repeat(1, 2)
    one, two = x.chunk(2, -1)
    return x * angles.cos() + torch.cat((-two, one), -1) * angles.sin()


def positions(x: torch.Tensor) -> torch.Tensor:
    query = x.reshape(1, 4, 2, 3, 4, 2)
    rows = torch.einsum("bythwc,hkc->bythwk", query, POSITIONS[:3, :3])
    columns = torch.einsum("bythwc,wkc->bythwk", query, POSITIONS)
    return (rows[:, :, :, :, :, None, :, None] + columns[:, :, :, :, :, None, None, :]).flatten(2)


def along(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    y = x.reshape(1, 4, 2, 3, 4, 2).transpose(2, 4)
    z = x.reshape(2, 2, 2, 3, 8)
    return (
        y.max(2).values,
        torch.stack((z, z + 1), 3).transpose(1, 4).sum(0),
        (y @ x.reshape(4, 1, 1, 2, 24)).logsumexp((2, 4)),
    )


def filtered(x: torch.Tensor) -> torch.Tensor:
    """As sound is cleaned: a mask over a spectrum, and back."""
    window = torch.hann_window(16)
    spectrum = torch.stft(x, 16, 4, window=window, return_complex=True)
    return torch.istft(spectrum * spectrum.abs().tanh(), 16, 4, window=window, length=96)


def spectrum(x: torch.Tensor) -> torch.Tensor:
    window = torch.hann_window(8)
    return torch.stft(x.reshape(1, 24), 8, 4, window=window, return_complex=True).abs()


def windows(x: torch.Tensor) -> torch.Tensor:
    parts = x.view(1, 4, 3, 2, 4, 2).permute(0, 2, 4, 3, 5, 1).contiguous()
    return (torch.softmax(parts, -1) * 2.0).reshape(12, 4, 4)


CELLS = nn.ModuleDict({"lstm": nn.LSTMCell(8, 5), "gru": nn.GRUCell(8, 5), "rnn": nn.RNNCell(8, 5)})
MASK = torch.tensor([True, False, True, True, False, True, False, True])
PLACES = torch.tensor([2, 0])
GROUPS = torch.tensor([[0, 1, 0, 1, 2, 2, 0, 1]]).expand(3, 8)
BOUNDS = torch.tensor([-1.0, 0.0, 1.0])
POSITIONS = torch.linspace(-1.0, 1.0, 32).reshape(4, 4, 2)
GRID = torch.rand(1, 5, 7, 2) * 2.4 - 1.2

ROWS: dict[str, tuple[Callable[..., Any], tuple[torch.Size, ...]]] = {
    "alias": (lambda x: torch.ops.aten.alias.default(x) + 1, (TABLE,)),
    "diff": (lambda x: (x.diff(), x.diff(n=2, dim=0), x.diff(prepend=x[:, :1])), (TABLE,)),
    "new_ones": (
        lambda x: x + x.new_ones(3, 8) + x.new_full((8,), 2.0) + x.new_zeros(8) + x.new_tensor(1.0),
        (TABLE,),
    ),
    "bool operators": (lambda x, y: ((x > 0) & (y > 0) | ~(x < y) ^ (y > 1)).float(), (TABLE, TABLE)),
    "bits": (lambda x: ((x * 9).int() & 3 | 4 ^ (x * 5).int()).float(), (TABLE,)),
    "cdist": (lambda x, y: (torch.cdist(x, y), torch.cdist(x, y, p=1.0)), (TABLE, TABLE)),
    "hypot": (torch.hypot, (TABLE, TABLE)),
    "logaddexp": (lambda x, y: torch.logaddexp(x, y) + torch.logaddexp2(x, y), (TABLE, TABLE)),
    "lerp": (lambda x, y: torch.lerp(x, y, 0.3) + torch.lerp(x, y, torch.sigmoid(x)), (TABLE, TABLE)),
    "addcmul": (
        lambda x, y: torch.addcmul(x, x, y, value=0.5) + torch.addcdiv(x, x, y * y + 1),
        (TABLE,) * 2,
    ),
    "bicubic": (
        lambda x: (
            functional.interpolate(x, scale_factor=1.5, mode="bicubic"),
            functional.interpolate(x, (9, 5), mode="bicubic", align_corners=True),
        ),
        (IMAGE,),
    ),
    "nearest-exact": (lambda x: functional.interpolate(x, (9, 5), mode="nearest-exact"), (IMAGE,)),
    "roll": (lambda x: torch.roll(x, (-1, 2), (0, 1)) + torch.roll(x, 3), (TABLE,)),
    "bucketize": (lambda x: torch.bucketize(x, BOUNDS, right=True), (TABLE,)),
    "searchsorted": (lambda x, y: torch.searchsorted(x.cumsum(-1).abs().cumsum(-1), y), (TABLE, TABLE)),
    "masked_select": (lambda x: torch.masked_select(x, MASK), (LINE,)),
    "boolean indexing": (lambda x: x[:, MASK], (TABLE,)),
    "index_add": (lambda x, y: x.index_add(0, PLACES, y[:2], alpha=2.0), (TABLE, TABLE)),
    "index_copy": (lambda x, y: x.index_copy(0, PLACES, y[:2]), (TABLE, TABLE)),
    "scatter_reduce": (
        lambda x: tuple(
            torch.zeros(3, 4).scatter_reduce(1, GROUPS, x, kind, include_self=False)
            for kind in ("sum", "mean", "amax", "amin")
        ),
        (TABLE,),
    ),
    "cummax": (lambda x: (x.cummax(1)[0], x.cummin(0)[0], x.cummax(1)[1]), (TABLE,)),
    "prod": (lambda x: (x.prod(1), x.prod(), x.prod(0, keepdim=True)), (TABLE,)),
    "std and var": (
        lambda x: (
            x.std(),
            x.var(1, unbiased=False),
            x.std((0, 1), correction=0),
            *torch.var_mean(x, 1),
            *torch.std_mean(x, 0, keepdim=True),
        ),
        (TABLE,),
    ),
    "fft": (
        lambda x: (
            torch.fft.fft(x).real,
            torch.fft.rfft(x).abs(),
            torch.fft.irfft(torch.fft.rfft(x)),
            torch.fft.fft2(x).imag,
        ),
        (TABLE,),
    ),
    "ihfft": (lambda x: (torch.fft.ihfft(x).real, torch.fft.ihfft(x, 6).abs()), (TABLE,)),
    "stft": (spectrum, (TABLE,)),
    "istft": (filtered, (torch.randn(2, 96),)),
    "grid_sample": (
        lambda x: tuple(
            functional.grid_sample(x, GRID, mode, padding, corners)
            for mode in ("bilinear", "nearest", "bicubic")
            for padding in ("zeros", "border", "reflection")
            for corners in (False, True)
        ),
        (IMAGE,),
    ),
    "unfold of a tensor": (lambda x: (x.unfold(1, 3, 2), x.unfold(0, 2, 1)), (TABLE,)),
    "scatter of a number": (lambda x: torch.zeros_like(x).scatter(1, x.argsort(1)[:, :2], 1), (TABLE,)),
    "as_strided": (
        lambda x: (
            x.as_strided((5, 4), (3, 1)),
            x.as_strided((4, 4, 2), (4, 2, 1), 2),
            x.T.as_strided((8, 2), (1, 8)),
        ),
        (TABLE,),
    ),
    "nan_to_num": (lambda x: torch.nan_to_num(x / x.round(), 1.0, 2.0, -2.0), (TABLE,)),
    "isnan": (lambda x: torch.isnan(x / x.round()).float() + torch.isinf(1 / x.round()).float(), (TABLE,)),
    "complex product": (
        lambda x, y: torch.view_as_real(torch.complex(x, y) * torch.complex(y, x + 1)),
        (TABLE, TABLE),
    ),
    "rotary by complex numbers": (rotary, (HEADS,)),
    "rotary by halves": (half_rotary, (HEADS,)),
    "einsum": (
        lambda x, y: (
            torch.einsum("bij,bkj->bik", x, y),
            torch.einsum("bii->b", x[:, :, :6]),
            torch.einsum("...ij,...j", x, y[:, 0]),
            torch.einsum("bij,bij,bij->b", x, y, x),
            torch.einsum("bij->jb", x),
        ),
        (WORDS, WORDS),
    ),
    "repeat_interleave": (
        lambda x: (x.repeat_interleave(2, 1), x.repeat_interleave(torch.tensor([1, 2, 3]), 0)),
        (TABLE,),
    ),
    "norms": (
        lambda x: (
            torch.linalg.norm(x),
            torch.linalg.vector_norm(x, 3.0, -1),
            torch.linalg.matrix_norm(x),
            torch.linalg.vector_norm(x, float("inf")),
            torch.linalg.matrix_norm(x, 1),
        ),
        (TABLE,),
    ),
    "small inverses": (
        lambda x: (
            torch.linalg.inv(x[:, :3] + 4 * torch.eye(3)),
            torch.linalg.det(x[:, :3]),
            torch.linalg.solve(x[:, :3] + 4 * torch.eye(3), x[:, 3:5]),
        ),
        (TABLE,),
    ),
    "adaptive pooling": (
        lambda x: (
            functional.adaptive_avg_pool2d(x, (4, 3)),
            functional.adaptive_max_pool2d(x, (5, 3)),
            functional.adaptive_avg_pool3d(x, (3, 4, 5)),
            functional.adaptive_avg_pool1d(x[0], 5),
        ),
        (IMAGE,),
    ),
    "LSTMCell": (lambda x: CELLS["lstm"](x), (TABLE,)),
    "GRUCell": (lambda x: CELLS["gru"](x), (TABLE,)),
    "RNNCell": (lambda x: CELLS["rnn"](x), (TABLE,)),
    "rank 6": (windows, (IMAGE,)),
    "rank 8 by einsum": (positions, (IMAGE,)),
    "rank 6 along an axis": (along, (IMAGE,)),
    "attention with a mask": (
        lambda x: functional.scaled_dot_product_attention(x, x, x, torch.ones(6, 6, dtype=torch.bool).tril()),
        (HEADS,),
    ),
    "grouped-query attention": (
        lambda x: functional.scaled_dot_product_attention(x, x[:, :2], x[:, 2:], enable_gqa=True),
        (HEADS,),
    ),
    "causal attention": (
        lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True, scale=0.3),
        (HEADS,),
    ),
    "group norm": (
        lambda x: (
            functional.group_norm(x, 2),
            functional.group_norm(x[:, :, 0], 4),
            functional.group_norm(x.reshape(1, 4, 2, 3, 8), 2),
            functional.instance_norm(x),
            functional.group_norm(x[:, :, 0, 0], 2),
        ),
        (IMAGE,),
    ),
    "in-place slice writes": (written, (TABLE,)),
}


@pytest.mark.corpus
@pytest.mark.parametrize("row", ROWS)
def test_a_kind_of_call_converts_after_fix(row: str) -> None:
    torch.manual_seed(0)
    function, shapes = ROWS[row]
    model = Call(function).eval()
    inputs = tuple(torch.randn(shape) for shape in shapes)
    fixed = convlint.fix(model, inputs)
    assert fixed.converts == "yes", [(failure.op, failure.error[:200]) for failure in fixed.remaining]
    assert not fixed.rolled_back
    with torch.no_grad():
        wanted, found = model(*inputs), fixed.module(*inputs)
    pairs = zip(_leaves(wanted), _leaves(found), strict=True)
    for one, other in pairs:
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-4, equal_nan=True)


def _leaves(value: Any) -> tuple[torch.Tensor, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
