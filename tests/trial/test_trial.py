"""The trial: all refusals in one pass, at their lines, whatever the converter does."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import coremltools
import pytest
import torch
from coremltools.converters.mil.frontend.torch import register_torch_op
from torch import nn

import convlint
from convlint.child import Channel, run_in_child
from convlint.model.verdict import unnamed_refusals, verdict
from convlint.output.concise import render_concise


class Five(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        a = torch.diff(x)
        b = torch.hypot(x, x)
        c = torch.fft.rfft(x).abs()
        d = torch.acosh(x)
        return a, b, c, d, x.new_ones(3) + a


def test_every_refused_op_is_found_in_one_pass_with_its_line() -> None:
    report = convlint.check(Five(), (torch.rand(2, 4),))
    assert report.trial is not None
    assert report.trial.status == "failed"
    told = {failure.op: failure for failure in report.trial.failures}
    assert set(told) == {
        "aten.diff.default",
        "aten.hypot.default",
        "aten.fft_rfft.default",
        "aten.acosh.default",
        "aten.new_ones.default",
    }
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    for op, failure in told.items():
        assert failure.site is not None
        name = op.split(".")[1].replace("fft_rfft", "rfft")
        assert name in lines[failure.site.line - 1]
    assert not report.disagreements


def test_the_model_is_converted_as_it_is_when_it_can_be() -> None:
    report = convlint.check(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), torch.rand(1, 3, 8, 8))
    assert report.convertible == "yes"
    assert report.trial is not None
    assert report.trial.status == "converted"
    assert report.trial.mil_ops["conv"] == 1
    assert report.exit_code == 0


class RankSix(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x.reshape(1, 2, 2, 2, 2, 2)
        return y.softmax(3) + y


class RankSixFolded(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(1, 2, 2, 2, 2, 2).permute(0, 2, 1, 3, 5, 4).reshape(4, 8).relu()


def test_a_rank_above_five_that_stays_is_refused_at_the_users_line() -> None:
    report = convlint.check(RankSix(), torch.rand(4, 8))
    assert report.convertible == "no"
    assert report.trial is not None
    failure = report.trial.failures[0]
    assert failure.stage == "backend"
    assert failure.site is not None
    assert failure.site.path == __file__
    assert "rank" in failure.error


def test_a_rank_above_five_that_coremltools_folds_away_is_fine() -> None:
    report = convlint.check(RankSixFolded(), torch.rand(4, 8))
    assert report.convertible == "yes"
    assert not [finding for finding in report.findings if finding.severity != "note"]


class HandsOn(nn.Module):
    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x * mask, mask


@pytest.mark.parametrize(("dtype", "convertible"), [(torch.bool, "no"), (torch.float32, "yes")])
def test_an_input_that_is_returned_is_for_the_passes_to_judge(dtype: torch.dtype, convertible: str) -> None:
    report = convlint.check(HandsOn(), (torch.rand(1, 4), torch.ones(1, 4).to(dtype)))
    assert report.convertible == convertible
    assert [finding.rule.code for finding in report.errors()] == ["CL153"] * (convertible == "no")


class Sine(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sin(x)  # the line


@pytest.fixture
def sine_converter() -> Any:
    """Puts another converter of sin into coremltools for one test."""
    from convlint.coremltools_adapter import converter_table, set_converter_table

    before = converter_table()  # a function is registered under its own name too

    def use(function: Any) -> None:
        register_torch_op(function, torch_alias=["sin"], override=True)

    yield use
    set_converter_table(before)


def test_a_converter_that_raises_anything_is_a_finding(sine_converter: Any) -> None:
    def raises(context: Any, node: Any) -> None:
        raise LookupError("a converter of the user's own")

    sine_converter(raises)
    report = convlint.check(Sine(), torch.rand(3))
    (finding,) = [finding for finding in report.findings if finding.severity == "error"]
    assert finding.rule.name == "refused-in-trial"
    assert "a converter of the user's own" in finding.message
    assert finding.site is not None
    assert finding.site.source == "return torch.sin(x)  # the line"
    assert [d.op for d in report.disagreements] == ["aten.sin.default"]


def test_a_converter_that_hangs_is_ended_and_named(sine_converter: Any) -> None:
    def hangs(context: Any, node: Any) -> None:
        while True:
            time.sleep(1)

    sine_converter(hangs)
    report = convlint.check(Sine(), torch.rand(3), timeout=6.0)
    assert report.trial is not None
    assert report.trial.status == "timeout"
    assert report.trial.failures[0].op == "aten.sin.default"
    assert report.convertible == "unknown"
    assert [finding.rule.name for finding in report.findings] == ["trial-stopped"]


def test_a_converter_that_kills_the_process_is_named(sine_converter: Any) -> None:
    def dies(context: Any, node: Any) -> None:
        os.kill(os.getpid(), 11)

    sine_converter(dies)
    report = convlint.check(Sine(), torch.rand(3))
    assert report.trial is not None
    assert report.trial.status == "crashed"
    assert "SIGSEGV" in report.trial.detail
    assert report.trial.failures[0].site is not None
    assert report.trial.failures[0].site.source == "return torch.sin(x)  # the line"


def test_what_the_child_sent_before_it_died_is_kept() -> None:
    def work(channel: Channel) -> None:
        channel.send("first")
        channel.at(7)
        os._exit(3)

    outcome = run_in_child(work, None)
    assert (outcome.ending, outcome.sent, outcome.position) == ("crashed", ["first"], 7)


def test_a_full_trial_writes_a_model_package(tmp_path: Path) -> None:
    target = tmp_path / "kept.mlpackage"
    report = convlint.check(
        lambda: nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8), trial="full", output=str(target)
    )
    assert report.trial is not None
    assert report.trial.status == "converted"
    assert report.trial.output == str(target)
    spec = coremltools.models.MLModel(str(target), skip_model_load=True).get_spec()
    assert [port.name for port in spec.description.input] == ["input"]


def test_the_passes_can_be_tried_too() -> None:
    report = convlint.check(nn.Conv2d(3, 4, 3), torch.rand(1, 3, 8, 8), trial="passes")
    assert report.trial is not None
    assert (report.trial.status, report.trial.level) == ("converted", "passes")


class BranchOnWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.scale.sum() > -1e9:
            x = x + 1
        return x * self.scale


def test_auto_tries_torchscript_where_export_refuses_and_says_so() -> None:
    report = convlint.check(BranchOnWeight(), torch.rand(3), frontend="auto")
    assert report.convertible == "yes"
    assert report.trial is not None
    assert report.trial.frontend == "torchscript"
    assert report.findings
    assert not list(report.errors()), "what the other frontend refuses is no error where one is open"
    assert verdict(report).headline.startswith("Converts as it is through the torchscript frontend, and not")
    assert report.exit_code == 0


def test_torchscript_refusals_have_lines_too() -> None:
    report = convlint.check(Five(), (torch.rand(2, 4),), frontend="torchscript")
    assert report.trial is not None
    told = {failure.op.rpartition(".")[2]: failure for failure in report.trial.failures}
    assert {"diff", "hypot", "acosh"} <= set(told)
    marked = {finding.op.split(".")[1]: finding.trial for finding in report.errors() if finding.calls}
    assert marked["diff"] == marked["hypot"] == "failed"
    assert all(failure.site is not None and failure.site.path == __file__ for failure in told.values())


class Written(nn.Module):
    """What a decoder found, written into its place: a number without axes, which only the input tells."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = torch.full((1, 4), 7, dtype=torch.int32)
        found[:, 1] = x.squeeze().argmax(-1).int()
        return found + 1


def test_an_integer_that_coremltools_does_not_know_is_refused_as_it_is_when_written() -> None:
    """The frontend and the passes hand ``None`` on; a real conversion ends where it writes the program."""
    import coremltools

    with pytest.raises(TypeError, match="'NoneType' object cannot be interpreted as an integer"):
        coremltools.convert(
            torch.jit.trace(Written(), torch.rand(1, 5)),
            inputs=[coremltools.TensorType(shape=(1, 5))],
            minimum_deployment_target=coremltools.target.iOS17,
            skip_model_load=True,
        )
    report = convlint.check(Written(), torch.rand(1, 5), frontend="torchscript")
    assert report.trial is not None
    assert [failure.error_type for failure in report.trial.failures] == ["TypeError"]
    assert "'NoneType' object cannot be interpreted as an integer" in report.trial.failures[0].error
    assert {finding.rule.code for finding in report.errors()} >= {"CL1169"}
    assert report.convertible == "no"


class Elsewhere(nn.Module):
    """`roll` is refused by export alone; what comes after the first refusal is never reached by a trace."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.roll(x, 3)
        return torch.linalg.svdvals(x) + torch.hypot(x, x).sum()


def test_refused_by_one_frontend_only_is_said_of_what_the_other_has_passed() -> None:
    report = convlint.check(Elsewhere(), torch.rand(4, 4))
    (note,) = [note for note in report.notes if "frontend only" in note]
    assert note == "refused by the export frontend only: roll"
    by_frontend = {trial.frontend: trial for trial in report.trials}
    assert "roll" in by_frontend["torchscript"].passed
    assert "roll" not in by_frontend["export"].passed


class Silenced(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.hypot(x, x)  # convlint: ignore[CL104] the next release has it


def test_what_is_silenced_does_not_come_back_as_a_refusal() -> None:
    report = convlint.check(Silenced(), torch.rand(4))
    assert not report.findings
    assert not unnamed_refusals(report)
    assert render_concise(report) == ""
    assert verdict(report).headline == "Does not convert (1 known error, silenced by comments)."


class AllOfFloats(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.all(x, 1)


def test_an_error_about_numbers_is_no_success() -> None:
    report = convlint.check(AllOfFloats(), torch.rand(4, 6))
    (error,) = report.errors()
    assert error.rule.code == "CL328"
    result = verdict(report)
    assert (report.convertible, report.exit_code, result.kind) == ("yes", 1, "converts-differently")
    assert result.headline.startswith("Converts, but computes something else than PyTorch: 1 error (CL328 at")


def test_a_program_that_cannot_be_read_is_converted_all_the_same() -> None:
    from convlint.trial.run import run_trial

    def fails(program: Any) -> Any:
        raise KeyError("an operation that nobody has met")

    program = torch.export.export(nn.ReLU(), (torch.rand(2),)).run_decompositions({})
    trial = run_trial(program, None, "export", "iOS17", "passes", 60.0, read=fails)
    assert (trial.status, trial.operations) == ("converted", ())
