"""An assertion about values stops torch.export; it is no branch, and a fix needs no leave to pass it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import convlint
from convlint.errors import ModelError
from convlint.torch_adapter import has_sizes_from_data


class Asserting(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = x.relu()
        assert (y >= 0).all(), "negative"
        return torch.hypot(y, x)


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return torch.hypot(x, x)
        return x


class Checking(nn.Module):
    """What a check becomes in an exported program is refused, and nothing is computed of it."""

    def forward(self, x: Tensor) -> Tensor:
        torch._check_tensor_all(x < 100)
        return torch.hypot(x, x * 2)


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        assert x.abs().max() < 1e6
        window = torch.hann_window(64)
        z = torch.stft(x, 64, 16, window=window, return_complex=True)
        z = functional.pad(functional.pad(z[:, :-1], (0, 0, 0, 1)), (2, 2))[..., 2:-2]
        return torch.istft(z * 0.5, 64, 16, window=window, length=x.shape[-1])


X = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))


def test_the_help_keeps_the_check_where_there_are_values() -> None:
    report = convlint.check(Asserting(), X)
    [finding] = [each for each in report.findings if each.rule.code == "CL010"]
    assert finding.severity == "error"
    wanted = 'assert (torch.compiler.is_exporting() or (y >= 0).all()), "negative"'
    assert any(wanted in str(each) for each in finding.replacements), finding.replacements
    assert "CL001" not in {each.rule.code for each in report.findings}


def test_a_branch_is_still_a_branch() -> None:
    codes = {each.rule.code for each in convlint.check(Branching(), X).findings}
    assert "CL001" in codes
    assert "CL010" not in codes
    assert convlint.fix(Branching(), X).converts == "no"


def test_a_fix_passes_an_assertion_without_leave() -> None:
    fixed = convlint.fix(Asserting(), X)
    assert fixed.converts == "yes", fixed.headline
    assert fixed.parity is not None
    assert fixed.parity.status == "equal"
    [step] = [each for each in fixed.applied if each.kind == "branch"]
    assert step.safety == "safe"
    assert "the program checks nothing" in step.title


def test_a_check_of_torch_is_left_out_and_is_no_frozen_value() -> None:
    report = convlint.check(Checking(), X)
    assert "CL389" not in {each.rule.code for each in report.findings}
    fixed = convlint.fix(Checking(), X)
    assert fixed.converts == "yes", fixed.headline
    assert {step.kind for step in fixed.applied} == {"drop", "rewrite"}
    with pytest.raises(ModelError, match=r"in the line `torch\._check_tensor_all\(x < 100\)`"):
        convlint.fix(Checking(), X + 1000)


def test_a_transform_that_checks_its_window_is_no_end_of_the_model() -> None:
    z, window = torch.randn(2, 33, 65, dtype=torch.complex64), torch.hann_window(64)
    assert not has_sizes_from_data(torch.ops.aten.istft.default, (z, 64, 16, 64, window), {})
    assert has_sizes_from_data(torch.ops.aten.nonzero.default, (window,), {})
    assert has_sizes_from_data(torch.ops.aten.repeat_interleave.Tensor, (torch.tensor([1, 2]),), {})
    fixed = convlint.fix(Spectrum(), torch.randn(2, 1024, generator=torch.Generator().manual_seed(0)))
    assert fixed.converts == "yes", fixed.headline
    assert fixed.left_out is None
    assert fixed.max_rel_error == pytest.approx(0, abs=1e-5)
