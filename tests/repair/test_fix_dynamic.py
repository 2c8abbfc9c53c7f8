"""Sizes that are dynamic in the capture stay dynamic through ``convlint.fix``."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.export import Dim

import convlint


class Mixed(nn.Module):
    """Calls that are refused: elementwise ones, a difference of neighbours, a mask and a new tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = self.mix(x)
        kept = torch.where((y > 0) & (x < 1), y, 0.0)
        return torch.hypot(kept, x), torch.addcmul(x, y, y).diff(dim=1), y + x.new_ones(x.shape[1], 8)


SHAPES = {"x": {0: Dim("batch", min=1, max=8), 1: Dim("length", min=3, max=64)}}


@pytest.fixture(scope="module")
def mixed() -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    model = Mixed()
    return model, convlint.fix(model, (torch.randn(2, 6, 8),), dynamic_shapes=SHAPES)


def test_a_program_with_dynamic_sizes_is_fixed_and_compared_at_other_sizes(mixed: Any) -> None:
    model, fixed = mixed
    assert fixed.converts == "yes", fixed.remaining
    assert fixed.applied
    assert "outputs at 2 other sizes" in fixed.checked
    for batch, length in ((1, 3), (5, 64), (8, 17)):
        x = torch.randn(batch, length, 8)
        with torch.no_grad():
            for one, other in zip(model(x), fixed.module(x), strict=True):
                torch.testing.assert_close(other, one)


class Chosen(nn.Module):
    """A pad of as many rows as are above a threshold, as a spline of a flow has it; then hypot."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = x > 0.3
        knots = nn.functional.pad(x[chosen][:, None].expand(-1, 10).softmax(-1).cumsum(-1), (1, 0))
        out = torch.zeros_like(x)
        out[chosen] = knots[:, 3]
        return torch.hypot(out, x)


def test_sizes_that_only_data_tells_are_kept() -> None:
    """Its pad cannot be computed again for a size without a number: torch refuses it outside of an export."""
    torch.manual_seed(0)
    fixed = convlint.fix(Chosen(), (torch.rand(4, 8),))
    assert (fixed.converts, [made.op for made in fixed.applied]) == ("yes", ["aten.hypot.default"])
    x = torch.rand(4, 8)
    torch.testing.assert_close(fixed.module(x), Chosen()(x))


def test_coremltools_converts_it_with_ranges(mixed: Any) -> None:
    import coremltools

    _, fixed = mixed
    made = coremltools.convert(
        fixed.program, minimum_deployment_target=coremltools.target.iOS17, skip_model_load=True
    )
    sizes = made.get_spec().description.input[0].type.multiArrayType.shapeRange.sizeRanges
    assert [(size.lowerBound, size.upperBound) for size in sizes] == [(1, 8), (3, 64), (8, 8)]


class CountsOnItsLength(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cummax(torch.hypot(x, x), 1)[0]


def test_a_rewrite_that_would_fix_a_size_is_refused_and_told() -> None:
    model, x = CountsOnItsLength(), torch.randn(2, 6)
    fixed = convlint.fix(model, (x,), dynamic_shapes={"x": {1: Dim("length", min=2, max=32)}})
    assert fixed.converts == "no"
    assert "aten.cummax.default" in [failure.op for failure in fixed.remaining]
    assert any("cummax" in note and "dynamic" in note for note in fixed.notes)
    assert convlint.fix(model, (x,)).converts == "yes"


def test_the_layout_of_the_engine_asks_for_fixed_sizes() -> None:
    model = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 4))
    shapes = {"input": {1: Dim("length", min=2, max=32)}}
    fixed = convlint.fix(model, (torch.randn(1, 6, 8),), for_="ane", dynamic_shapes=shapes)
    assert fixed.module is model
    assert "fixed sizes" in fixed.notes[-1]
