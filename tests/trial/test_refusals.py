"""Refusals stand at their own op and line, and what follows from one is none of its own."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn

import convlint
from convlint.model import Report
from convlint.model.verdict import unnamed_refusals


def line_of(of: Any, text: str) -> int:
    lines, first = inspect.getsourcelines(of)
    return first + next(number for number, line in enumerate(lines) if text in line)


def refused(report: Report) -> dict[str, int | None]:
    assert report.trial is not None
    return {f.op: f.site.line if f.site else None for f in report.trial.failures if not f.follows}


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.linear(x)
        y = x * torch.rsqrt(torch.tensor(2))
        y = torch.index_add(y, 0, torch.tensor([0]), x[:1])
        y = self.linear(y) * torch.ones(2, dtype=torch.int64).prod()
        return torch.special.bessel_j0(y)


def test_torchscript_refusals_land_on_their_own_ops_and_lines() -> None:
    report = convlint.check(Several(), torch.rand(4, 8), frontend="torchscript")
    assert refused(report) == {
        "aten.rsqrt": line_of(Several.forward, "rsqrt"),
        "aten.index_add": line_of(Several.forward, "index_add"),
        "aten.prod": line_of(Several.forward, "prod"),
        "aten.special_bessel_j0": line_of(Several.forward, "bessel"),
    }
    assert not unnamed_refusals(report)


class Unforetold(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(x)
        return torch.digamma(y)


def test_a_refusal_that_no_rule_names_is_an_error_at_its_line() -> None:
    """Without the rule about ops that have no converter, nobody foretells this one."""
    report = convlint.check(Unforetold(), torch.rand(4), frontend="export", ignore=("CL100",))
    (finding,) = report.errors()
    assert (finding.rule.code, finding.op, finding.trial) == ("CL190", "aten.digamma.default", "failed")
    assert finding.site is not None
    assert finding.site.line == line_of(Unforetold.forward, "digamma")
    assert (finding.subject.kind, finding.subject.thing) == ("trial", report.trial.failures[0])
    assert not unnamed_refusals(report)


class Chunks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 1e9:
            x = x * 2
        with torch.no_grad():
            a, b = torch.chunk(x.to(torch.float16).to(torch.float32), 2, 1)
        return torch.linalg.svdvals(torch.flatten(a * b, 2))


def test_ops_of_a_recorded_run_are_judged_as_what_the_frontend_meets() -> None:
    for frontend in ("auto", "export", "torchscript"):
        report = convlint.check(Chunks(), torch.rand(4, 4, 8, 8), frontend=frontend)
        missing = {call.op for f in report.errors() if f.rule.code == "CL100" for call in f.calls}
        assert missing == {"aten.linalg_svdvals.default"}, frontend
        assert "CL190" not in {finding.rule.code for finding in report.findings}


class Equation(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.einsum("oi,...ihw->...ohw", torch.ones(3, 3), x)


def test_what_follows_from_a_refusal_is_no_error_of_its_own() -> None:
    report = convlint.check(Equation(), torch.rand(2, 3, 4, 4), frontend="auto")
    assert [finding.rule.code for finding in report.errors()] == ["CL136"]
    assert "NoneType" not in str(report)


class Autocast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            y = self.linear(x)
        with torch.autocast("cpu", torch.bfloat16):
            y = self.linear(y + 1)
        return y.float()


def test_lines_under_autocast_are_the_user_s() -> None:
    report = convlint.check(Autocast(), torch.rand(4, 8), frontend="export")
    assert report.graph is not None
    linears = [call for call in report.graph.calls if "linear" in call.op]
    assert [call.site and call.site.path for call in report.graph.calls] == [__file__] * len(
        report.graph.calls
    )
    assert [call.site and call.site.line for call in linears] == [
        line_of(Autocast.forward, "self.linear(x)"),
        line_of(Autocast.forward, "self.linear(y + 1)"),
    ]
    assert {call.module for call in linears} == {"linear"}


@torch.jit.script
def scripted(x: torch.Tensor) -> torch.Tensor:
    if x.sum() > 0:  # noqa: SIM108
        y = torch.linalg.svdvals(x)[0] * x
    else:
        y = torch.acosh(x)
    return y


class Scripted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return scripted(x) + 1


def test_a_refusal_inside_a_scripted_function_has_its_line_there() -> None:
    report = convlint.check(Scripted(), torch.rand(4, 8), frontend="torchscript")
    assert report.trial is not None
    (failure,) = report.trial.failures
    assert failure.op == "aten.linalg_svdvals"
    assert failure.site is not None
    assert failure.site.source.startswith("y = torch.linalg.svdvals")
