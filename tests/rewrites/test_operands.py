"""Masks through ops for numbers, and indices that are floats in coremltools, converted by it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from convlint import fix

INDEX = torch.tensor([[0, 2, 1], [1, 1, 0]])


class Gathers(nn.Module):
    def forward(self, x: Tensor, i: Tensor) -> tuple[Tensor, ...]:
        mask = x > 0
        return mask.gather(1, i).float(), mask.index_select(1, i[0]).float()


class Scatters(nn.Module):
    def forward(self, x: Tensor, i: Tensor) -> tuple[Tensor, ...]:
        mask = x > 0
        return mask.scatter(1, i, True).float(), mask.scatter(1, i, mask[:, :3]).float()


class Reduces(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        mask = x > 0
        most, place = mask.max(1)
        least, other = mask.min(1)
        extremes = mask.amax(0).float(), mask.amin(0).float(), mask.max().float(), mask.min().float()
        return (
            *extremes,
            most.float(),
            place,
            least.float(),
            other,
            mask.roll(1, 0).float(),
            mask.cumprod(1),
        )


class FloatIndices(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        zeros = torch.zeros(2, 1, dtype=torch.long)
        every = torch.clamp(torch.arange(3) * 2, max=x.shape[1] - 1).unsqueeze(0).expand(2, -1)
        return (
            x.gather(1, zeros),
            x.index_select(1, every[0]),
            x.scatter(1, every, 1.0),
            x.scatter(1, every, x),
        )


class SmallIndices(nn.Module):
    def forward(self, x: Tensor, i: Tensor) -> tuple[Tensor, ...]:
        return (
            x.gather(1, i[:1]),
            x.scatter(1, i[:1], 2.0),
            x.scatter(-1, i, x),
            x.scatter(0, i[:, :2] % 2, x),
        )


@pytest.mark.parametrize(
    ("model", "more"),
    [
        (Gathers(), (INDEX,)),
        (Scatters(), (INDEX,)),
        (Reduces(), ()),
        (FloatIndices(), ()),
        (SmallIndices(), (INDEX,)),
    ],
)
def test_what_takes_numbers_only_converts_and_computes_the_same(
    model: nn.Module, more: tuple[Tensor, ...]
) -> None:
    fixed = fix(model, (torch.randn(2, 4, generator=torch.Generator().manual_seed(0)), *more))
    assert fixed.converts == "yes", fixed.headline
    assert fixed.parity is not None
    assert fixed.parity.status == "equal"
    assert fixed.max_rel_error == 0
