"""The deformable convolution of torchvision, which coremltools has no converter for, as a sampled picture."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import convlint
from convlint.rewrites.table import NotApplicable, rewrites_of

torchvision = pytest.importorskip("torchvision")


class Deformed(nn.Module):
    """Offsets of several pixels, so that places outside of the picture are met too."""

    def __init__(self, groups: int = 1, of_offsets: int = 1, masked: bool = False, **how: int) -> None:
        super().__init__()
        self.conv = torchvision.ops.DeformConv2d(4, 6, (3, 2), groups=groups, **how)
        self.offset = nn.Conv2d(4, 2 * 6 * of_offsets, (3, 2), **how)
        self.mask = nn.Conv2d(4, 6 * of_offsets, (3, 2), **how) if masked else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = self.mask(x).sigmoid() if self.mask is not None else None
        result: torch.Tensor = self.conv(x, 4 * self.offset(x), mask)
        return result


@pytest.mark.parametrize(
    "model",
    [
        Deformed(),
        Deformed(padding=1, masked=True),
        Deformed(groups=2, of_offsets=2, stride=2, padding=2, masked=True),
        Deformed(of_offsets=4, dilation=2, padding=1),
    ],
)
def test_it_converts_and_computes_what_torchvision_does(model: nn.Module) -> None:
    torch.manual_seed(0)
    fixed = convlint.fix(model, (torch.rand(2, 4, 9, 11),))
    assert fixed.converts == "yes"
    assert [made.op for made in fixed.applied] == ["torchvision.deform_conv2d.default"]
    x = torch.rand(2, 4, 9, 11)
    torch.testing.assert_close(fixed.module(x), model(x))
    kinds = {str(node.target) for node in fixed.program.graph.nodes}
    assert "aten.grid_sampler.default" in kinds, "as one op that coremltools has, and not by its parts"


def test_a_picture_of_one_row_is_left_alone() -> None:
    function = rewrites_of("torchvision.deform_conv2d.default")[0].function
    x, weight, offset, none = (
        torch.rand(1, 1, 1, 4),
        torch.rand(1, 1, 1, 1),
        torch.rand(1, 2, 1, 4),
        torch.rand(1),
    )
    with pytest.raises(NotApplicable, match="one row or column"):
        function(x, weight, offset, none, none, 1, 1, 0, 0, 1, 1, 1, 1, False)
