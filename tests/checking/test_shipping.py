"""The program that would ship: what a check says of it, and what `plan` says, is about one program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import Convlint
from torch import nn

import convlint
from convlint.errors import UsageError
from convlint.output.terminal import render_text


class Converts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))


class Refused(Converts):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = super().forward(x)
        return torch.hypot(y, y + 1)


class Hopeless(Converts):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.eigvalsh(super().forward(x)[0, 0, :4, :4])


X = torch.zeros(1, 3, 16, 16)


def test_a_model_that_converts_is_forecast_as_it_was_converted() -> None:
    report = convlint.check(Converts(), X)
    assert report.repair is None
    assert report.plan is not None
    assert report.plan.level == "mil"
    assert [op.kind for op in report.plan.ops] == ["conv", "relu"]
    assert "A17 Pro, iOS17: About" in render_text(report)


def test_a_model_that_is_refused_is_forecast_as_it_would_be_repaired() -> None:
    report = convlint.check(Refused(), X)
    assert (report.convertible, report.exit_code) == ("no", 1)
    assert report.repair is not None
    assert report.repair.converts
    assert [change.op for change in report.repair.applied] == ["aten.hypot.default"]
    assert report.plan is not None
    assert report.plan.level == "mil"
    assert "after 1 change at 1 line it does" in render_text(report)
    assert "A17 Pro, iOS17, after the changes: About" in render_text(report)
    assert convlint.fix(Refused(), X).converts == "yes"


def test_a_model_that_no_change_helps_has_no_forecast_and_says_what_stops_it() -> None:
    report = convlint.check(Hopeless(), X)
    assert report.repair is None or not report.repair.converts
    assert report.plan is None
    assert report.to_dict()["forecast"] is None


def test_the_lines_of_a_traced_program_are_known() -> None:
    report = convlint.check(Converts(), X, frontend="torchscript")
    assert report.plan is not None
    conv, relu = report.plan.ops
    assert conv.module == "conv"
    assert relu.site is not None
    assert Path(relu.site.path).name == "test_shipping.py"
    assert relu.op == "aten.relu"


@pytest.mark.parametrize("model", [Converts, Refused])
def test_plan_is_about_the_same_program(model: type[nn.Module]) -> None:
    checked = convlint.check(model(), X, chip="M2").plan
    planned = convlint.plan(model(), X, chip="M2")
    assert checked is not None
    assert [(op.kind, op.unit, op.site) for op in planned.ops] == [
        (op.kind, op.unit, op.site) for op in checked.ops
    ]
    assert planned.latency_ms == checked.latency_ms
    assert (planned.chip, planned.os) == (checked.chip, checked.os)


def test_the_system_of_the_forecast_is_that_of_the_target() -> None:
    for target, device in (("iOS18", ("A17 Pro", "iOS18")), ("macOS14", ("M2", "macOS14"))):
        plan = convlint.check(Converts(), X, target=target).plan
        assert plan is not None
        assert (plan.chip, plan.os) == device
    with pytest.raises(UsageError, match="unknown chip"):
        convlint.check(Converts(), X, chip="A99")


def test_sizes_that_vary_are_forecast_at_those_of_the_example() -> None:
    varying = convlint.check(Converts(), "1x3x[16..64]x[16..64]").plan
    assert varying is not None
    assert all(isinstance(size, int) for op in varying.ops for meta in op.outputs for size in meta.shape)


class MaskOfConstants(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.zeros(8, 8)
        mask[2:4, 2:4] = 1.0
        return self.conv(x) * mask[None, :1, :1, None].reshape(1, 1, 1, 1)


class MaskOfValues(MaskOfConstants):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        y[:, :, 2:4, ::2] = 1.0
        return y.scatter(1, torch.zeros(1, 1, 1, 1, dtype=torch.long) + x[:, :1, :1, :1].long(), 2.0)


def codes(model: nn.Module) -> set[str]:
    return {finding.rule.code for finding in convlint.check(model, X).findings}


def test_a_warning_about_the_neural_engine_is_about_what_is_left_of_the_program() -> None:
    assert "CL206" not in codes(MaskOfConstants())
    assert "CL206" in codes(MaskOfValues())


NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x):
        best, place = torch.median(x, dim=1)
        return best
"""


def test_the_help_is_the_line_as_fix_would_write_it(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(NET)
    checked = convlint("check", "net.py:Net", "--input", "1x3x8x8", "--no-cache")
    assert "+ best, place = coreml_ops.median(x, dim=1)" in checked.out
    document = json.loads(
        convlint("check", "net.py:Net", "--input", "1x3x8x8", "--no-cache", "--format", "json").out
    )
    (edit,) = [each["edit"] for each in document["findings"][0]["replacements"] if each["edit"]]
    assert edit["needs"] == "coreml_ops.py"
    # It does not run without that file, so no tool may apply it alone.
    sarif = convlint("check", "net.py:Net", "--input", "1x3x8x8", "--no-cache", "--format", "sarif")
    assert "coreml_ops.median" not in json.dumps(
        [result.get("fixes") for result in json.loads(sarif.out)["runs"][0]["results"]]
    )
    written = convlint("fix", "net.py:Net", "--input", "1x3x8x8", "--write")
    assert written.code == 0
    assert "best, place = coreml_ops.median(x, dim=1)" in (tmp_path / "net.py").read_text()


def test_a_model_without_data_has_no_parity_after_changes() -> None:
    with torch.device("meta"):
        model = Refused()
    with pytest.raises(convlint.errors.ConvlintError, match="meta"):
        convlint.check(model, X, parity="float32")
