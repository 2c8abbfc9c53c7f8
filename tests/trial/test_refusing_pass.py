"""What a pass behind the frontend refuses is told at its line, as what a converter refuses is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import convlint


class Shifted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        mask = x.new_zeros((4, 8, 6))
        for row in range(8):  # more writes than a search has rounds
            for column in range(6):
                mask[-2:0, row : row + 1, column : column + 1] = row
        mask[1:3, 0:4] = 9
        return x + mask


def test_a_write_into_an_empty_slice_is_refused_at_its_line_and_fixed() -> None:
    x = torch.randn(4, 8, 6)
    report = convlint.check(Shifted(), x, frontend="export")
    [finding] = [each for each in report.findings if each.severity == "error"]
    assert finding.rule.code == "CL1172"
    [failure] = [each for trial in report.trials for each in trial.failures]
    assert failure.stage == "passes"
    assert failure.site is not None
    assert failure.site.source == "mask[-2:0, row : row + 1, column : column + 1] = row"
    fixed = convlint.fix(Shifted(), x)
    assert fixed.converts == "yes", fixed.headline
    assert fixed.parity is not None
    assert fixed.parity.status == "equal"
