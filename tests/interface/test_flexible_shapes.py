"""Flexible sizes: read, captured, tried for real, and blamed on the line that does not bear them."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import convlint
from convlint import check
from convlint.errors import UsageError
from convlint.interface.inputs import InputSpec, parse_input
from convlint.interface.sizes import Range
from convlint.model import Finding, Report


class Pooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(F.adaptive_avg_pool2d(F.relu(self.conv(x)), 1).flatten(1))


class FlatHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3 * 24 * 24))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1) @ self.weight.t()


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 7, 7))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.conv2d(x, self.weight)
        small = F.max_pool2d(y, 2, 2)
        return torch.cat([F.interpolate(small, scale_factor=2.0), y], 1)


class Arithmetic(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        width = x.shape[3]
        return F.pad(torch.relu(x), (0, (4 - width % 4) % 4))


class Two(nn.Module):
    def forward(self, x: torch.Tensor, *, mask: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) * mask


def line_of(model: type[nn.Module], text: str) -> int:
    lines, first = inspect.getsourcelines(model)
    return first + next(number for number, line in enumerate(lines) if text in line)


def findings_of(report: Report, code: str) -> list[Finding]:
    return [finding for finding in report.findings if finding.rule.code == code]


@pytest.mark.parametrize(
    ("text", "shape", "ranges", "shapes"),
    [
        ("1x3x[224..512]x64", (1, 3, 224, 64), (None, None, Range(224, 512), None), ()),
        ("[1..8]x4", (2, 4), (Range(1, 8), None), ()),
        ("1x{8,16}x{8,32}", (1, 8, 8), (), ((1, 8, 8), (1, 16, 32))),
        ("{1x8,4x8}", (4, 8), (), ((1, 8), (4, 8))),
        ("{8,16}", (8,), (), ((8,), (16,))),
    ],
)
def test_sizes_are_read_and_written(
    text: str, shape: tuple[int, ...], ranges: tuple[Range | None, ...], shapes: tuple[tuple[int, ...], ...]
) -> None:
    spec = parse_input(f"x={text}:float16")
    assert spec == InputSpec("x", shape, "float16", ranges, shapes)
    assert parse_input(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("1x[512..224]", "reversed; write [224..512]"),
        ("1x[8..8]", "one size only; write 8"),
        ("1x[8..]", "no upper end"),
        ("1x[]", "written [224..512]"),
        ("1x[0..8]", "size 0 must be above 0"),
        ("1x[8..9999999999]", "must be at most"),
        ("1x{}", "empty"),
        ("1x{8}", "one choice only; write 8"),
        ("1x{8,8}", "is in it twice"),
        ("{1x8,1x8x8}", "2 and 3 axes"),
        ("1x{8,16}x{8,16,32}", "list whole shapes instead"),
        ("1x{8,16}x[8..16]", "does not allow both"),
        ("1x{" + ",".join(map(str, range(1, 131))) + "}", "130 shapes, and Core ML takes 128"),
    ],
)
def test_sizes_that_make_no_sense(text: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_input(f"x={text}")
    assert why in str(refused.value)
    assert str(refused.value).count("\n") == 0


def test_a_model_that_bears_every_size() -> None:
    report = check(Pooled, ["x=1x3x[32..96]x[32..96]"])
    assert report.convertible == "yes"
    assert {f.rule.code for f in report.findings if f.rule.code.startswith("CL42")} == {"CL425"}
    assert report.graph is not None
    (port,) = report.graph.inputs
    assert (port.flexible, [type(size) for size in port.meta.shape]) == ("range", [int, int, str, str])

    listed = check(Pooled, ["1x3x{32,64}x{32,64}"], trial="full")
    assert (listed.convertible, findings_of(listed, "CL425")) == ("yes", [])


def test_a_size_that_a_line_fixes() -> None:
    report = check(FlatHead, ["1x3x[16..32]x24"])
    (finding,) = findings_of(report, "CL421")
    assert "axis 2 of x is fixed at 24 (16..32 was asked for)" in finding.message
    assert finding.site is not None
    assert finding.site.line == line_of(FlatHead, "flatten")
    assert report.convertible == "no"
    assert "inconsistent shape" in report.trial.failures[0].error
    assert report.exit_code == 1


def test_sizes_that_break_a_line() -> None:
    report = check(Skip, ["1x3x[4..40]x32"])
    messages = {finding.site.line: finding.message for finding in findings_of(report, "CL423")}
    assert set(messages) == {line_of(Skip, text) for text in ("F.conv2d", "F.max_pool2d", "torch.cat")}
    assert "sizes 4..6 of axis 2 of x" in messages[line_of(Skip, "F.conv2d")]
    assert "all sizes but multiples of 2" in messages[line_of(Skip, "torch.cat")]
    fitting = check(Skip, ["1x3x{8,16,32}x32"])
    assert (fitting.convertible, findings_of(fitting, "CL423")) == ("yes", [])


def test_arithmetic_with_sizes_that_coremltools_refuses() -> None:
    report = check(Arithmetic, ["1x3x8x[8..32]"])
    (finding,) = findings_of(report, "CL100")
    assert "_operator.mod" in finding.message
    assert finding.site.line == line_of(Arithmetic, "F.pad")
    assert finding.trial == "failed"
    assert report.convertible == "no"


def test_inputs_that_vary_together() -> None:
    report = check(Two, ["1x[4..8]", "mask=1x[4..8]"])
    (finding,) = findings_of(report, "CL422")
    assert "axis 1 of x and axis 1 of mask must be equal" in finding.message
    below = check(Two, ["1x{4,8}", "mask=1x{4,8}"], target="iOS17")
    assert (below.convertible, len(findings_of(below, "CL426"))) == ("no", 1)
    above = check(Two, ["1x{4,8}", "mask=1x{4,8}"], target="iOS18")
    assert (above.convertible, findings_of(above, "CL426"), findings_of(above, "CL422")) == ("yes", [], [])


class Remembers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(1, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.last = self.last + x.mean(1, keepdim=True)
        return torch.relu(x) + self.last[:, :1]


def test_a_model_that_exists_is_left_as_it_was() -> None:
    model = Remembers()
    before = model.last
    assert check(model, ["1x[2..8]"], target="iOS18").convertible == "yes"
    assert model.last is before
    assert torch.equal(before, torch.zeros(1, 4))


def test_the_assertion_for_tests_takes_flexible_sizes() -> None:
    assert convlint.assert_convertible(Pooled, "x=1x3x[32..64]x32").graph.inputs[0].flexible == "range"
    with pytest.raises(AssertionError, match="CL421"):
        convlint.assert_convertible(FlatHead, ["1x3x[16..32]x24"])
    report = check(Two, ["1x[4..8]"], {"mask": torch.ones(1)})
    assert (report.convertible, findings_of(report, "CL422")) == ("yes", [])


def test_the_other_frontend_takes_flexible_sizes() -> None:
    report = check(Pooled, ["1x3x[32..64]x32"], frontend="torchscript")
    assert (report.convertible, report.trial.frontend) == ("yes", "torchscript")


class Wide(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[3] != 2 * x.shape[2]:
            raise ValueError("twice as wide as high")
        return torch.relu(x)


def test_shapes_of_a_list_are_taken_whole() -> None:
    fitting = check(Wide, ["1x3x{8,16}x{16,32}"])
    assert (fitting.convertible, findings_of(fitting, "CL423"), findings_of(fitting, "CL424")) == (
        "yes",
        [],
        [],
    )
    wrong = check(Wide, ["{1x3x8x16,1x3x16x32,1x3x16x16}"])
    (finding,) = findings_of(wrong, "CL423")
    assert "size 16 for axis 2 of x, 16 for axis 3 of x: ValueError: twice as wide" in finding.message
    assert finding.site.line == line_of(Wide, "raise ValueError")


@pytest.mark.parametrize("frontend", ["export", "torchscript"])
def test_parity_runs_at_the_ends_of_what_is_asked_for(frontend: str) -> None:
    report = check(Pooled, ["x=1x3x[16..40]x[16..32]:image"], parity="float32", frontend=frontend)
    assert report.parity.status == "equal", report.parity
    assert [(run.sizes, run.status) for run in report.parity.sizes] == [
        ("1x3x16x16", "equal"),
        ("1x3x28x24", "equal"),
        ("1x3x40x32", "equal"),
    ]
    listed = check(Pooled, ["{1x3x16x16,1x3x24x16}"], parity="float32", frontend=frontend)
    assert [run.sizes for run in listed.parity.sizes] == ["1x3x16x16", "1x3x24x16"]


def test_parity_at_one_size_is_that_alone() -> None:
    assert check(Pooled, ["1x3x16x16"], parity="float32").parity.sizes == ()
