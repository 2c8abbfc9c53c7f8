"""The search for changes asks coremltools no more than it has to, and leaves out what computes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import convlint
from convlint.model import Trial
from convlint.trial import run


class ChecksTheMask(nn.Module):
    """A constant mask, which a check of its dtype would keep after it is folded."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = torch.diff(torch.arange(x.shape[-1]), prepend=torch.tensor([-1]))
        mask = (steps == 1).cumsum(-1).to(x.device)
        return x * mask.new_ones((8,)) + torch.where(mask == mask.to(torch.int64), x, 0.0)


def test_what_only_a_check_reads_is_no_change() -> None:
    report = convlint.check(ChecksTheMask(), torch.rand(2, 8))
    assert report.convertible == "no"
    assert report.repair is not None
    assert report.repair.converts
    assert "aten.diff.default" not in {change.op for change in report.repair.applied}


class TwoRounds(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.diff(x, dim=-1)


def test_the_trial_of_the_check_is_the_first_of_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    statuses = []
    whole = run.run_trial

    def counted(*args: Any, **kwargs: Any) -> Trial:
        trial = whole(*args, **kwargs)
        statuses.append(trial.status)
        return trial

    monkeypatch.setattr(run, "run_trial", counted)
    report = convlint.check(TwoRounds(), torch.rand(2, 8), frontend="export")
    assert report.repair is not None
    assert report.repair.converts
    assert statuses == ["failed", "converted"], "one of the model, one of the changed program"
