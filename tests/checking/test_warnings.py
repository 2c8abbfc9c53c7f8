"""Warnings are true of the program that a conversion has made."""

from __future__ import annotations

import torch
from torch import nn

import convlint


class Windows(nn.Module):
    """Export refuses the slice that keeps everything; a trace drops it, and its passes fold rank 6 away."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        windows = x.reshape(1, 4, 2, 4, 2, 4).permute(0, 2, 4, 1, 3, 5).reshape(4, 16, 4)
        return windows[:, :16] * 2


def test_what_one_frontend_has_folded_is_no_doubt_any_more() -> None:
    report = convlint.check(Windows(), torch.randn(1, 4, 8, 8))
    assert report.convertible == "yes"
    assert [trial.status for trial in report.trials] == ["failed", "converted"]
    assert {finding.rule.code for finding in report.findings if finding.severity == "warning"} == {"CL101"}


def test_without_a_conversion_the_doubt_stays() -> None:
    report = convlint.check(Windows(), torch.randn(1, 4, 8, 8), trial=None)
    assert "CL192" in {finding.rule.code for finding in report.findings}
