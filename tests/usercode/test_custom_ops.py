"""Ops of the user's own: the finding with its template, and own converters wherever a model is converted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from convlint import coremltools_adapter as adapter
from convlint.cli import main
from convlint.errors import ModelError, UsageError
from convlint.model import Finding, Report
from convlint.runs.affected import affected_jobs
from convlint.runs.cache.store import Cache
from convlint.runs.session import CACHED_NOTE, Session
from convlint.settings.jobs import Job
from convlint.settings.project import find_project
from convlint.usercode.converters import own_converters

OPS = """
import torch

@torch.library.custom_op("acme::soft_step", mutates_args=())
def soft_step(x: torch.Tensor, slope: float = 4.0, *, shift: float = 0.0) -> torch.Tensor:
    return torch.sigmoid(slope * (x - shift))

@soft_step.register_fake
def _(x, slope=4.0, *, shift=0.0):
    return torch.empty_like(x)
"""
NET = """
import torch
from torch import nn
from .ops import soft_step

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        y = soft_step(self.linear(x), shift=0.25)
        return y + torch.diff(y, dim=-1, prepend=y[..., :1])
"""
BODY = """
    y = mb.mul(x=mb.sub(x=x, y=shift), y=slope)
    context.add(mb.sigmoid(x=y), torch_name=node.name)
"""
RAISES = 'raise NotImplementedError("write acme.soft_step.default here'
CONFIG = """
converters = ["acme.coreml_ops"]

[[models]]
name = "net"
spec = "acme.net:Net"
inputs = ["1x4"]
"""


@pytest.fixture
def acme(project: Path) -> Iterator[Path]:
    """A package with a custom op, a model that uses it, and no converter yet."""
    package = project / "acme"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ops.py").write_text(OPS)
    (package / "net.py").write_text(NET)
    table = adapter.converter_table()
    yield package
    assert adapter.converter_table() == table, "what is registered for one model is gone after it"


def test_the_template_filled_in_converts_everywhere(acme: Path, project: Path) -> None:
    without = _check(project, "")
    (finding,) = (found for found in without.errors() if found.rule.code == "CL460")
    assert finding.site is not None
    assert finding.site.source == "y = soft_step(self.linear(x), shift=0.25)"
    template = _template(finding)
    assert '@register_torch_op(torch_alias=["acme::soft_step"])' in template
    assert "# acme::soft_step(Tensor x, float slope=4., *, float shift=0.) -> Tensor" in template

    # The template as it stands is loaded, and says by raising what is left to write.
    module = acme / "coreml_ops.py"
    module.write_text(template)
    unwritten = _check(project, CONFIG)
    assert unwritten.convertible == "no"
    (told,) = (found for found in unwritten.errors() if "acme" in found.op)
    assert "your converter acme.coreml_ops.acme__soft_step raised" in told.message
    assert "write acme.soft_step.default here" in told.message

    # Written, under the name of another module, because a process imports a module once.
    lines = [line for line in template.splitlines() if "raise Not" not in line and "context.add" not in line]
    (acme / "written.py").write_text("\n".join(lines) + BODY)
    config = CONFIG.replace("coreml_ops", "written")
    report = _check(project, config, parity="float32")
    assert report.convertible == "no", "diff is still refused"
    assert {found.rule.code for found in report.errors()} == {"CL102"}
    assert main(["fix", "--model", "net", "--quiet"]) == 0

    source = (acme / "net.py").read_text().replace("y + torch.diff(y, dim=-1, prepend=y[..., :1])", "y * 2")
    (acme / "plain.py").write_text(source)
    report = _check(project, config.replace("acme.net", "acme.plain"), parity="float32")
    assert report.convertible == "yes"
    assert not list(report.errors())
    assert report.exit_code == 0
    assert report.parity is not None
    assert report.parity.status == "equal", report.parity.detail


def test_a_plan_knows_the_configured_converters(
    acme: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (acme / "coreml_ops.py").write_text("SLOPE = 4.0\n" + REGISTER)
    (acme / "net.py").write_text(NET.replace("torch.diff(y, dim=-1, prepend=y[..., :1])", "y"))
    (project / "convlint.toml").write_text(CONFIG)
    assert main(["plan", "--model", "net", "--format", "json", "--quiet"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["level"] == "mil", "without the converters, PyTorch's own ops would be planned"


def test_a_kept_result_knows_the_content_of_the_converters(acme: Path, project: Path) -> None:
    (acme / "coreml_ops.py").write_text("from acme.constants import SLOPE\n" + REGISTER)
    (acme / "constants.py").write_text("SLOPE = 4.0\n")
    (acme / "net.py").write_text(NET.replace("torch.diff(y, dim=-1, prepend=y[..., :1])", "y"))
    job = _job(project, CONFIG)
    cache = Cache(project / "kept")
    first = Session(cache, quiet=True).check(job).report
    assert first is not None
    assert first.convertible == "yes"
    assert not any(note == CACHED_NOTE for note in first.notes)
    again = Session(cache, quiet=True).check(job).report
    assert again is not None
    assert CACHED_NOTE in again.notes
    (acme / "constants.py").write_text("SLOPE = 5.0\n")
    assert cache.recall(job) is None
    project_read = find_project(project, environment={})
    assert affected_jobs([job], [str(acme / "constants.py")], project_read, None) == [job]
    assert affected_jobs([job], [str(project / "other.py")], project_read, None) == []


REGISTER = """
from coremltools.converters.mil import Builder as mb
from coremltools.converters.mil.frontend.torch.ops import _get_inputs
from coremltools.converters.mil.frontend.torch.torch_op_registry import register_torch_op

@register_torch_op(torch_alias=["acme::soft_step"])
def acme_soft_step(context, node):
    x = _get_inputs(context, node)[0]
    context.add(mb.sigmoid(x=mb.mul(x=x, y=SLOPE)), torch_name=node.name)
"""


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (
            "mb.reduce_sum(x=x, axes=[-1], keep_dims=True)",
            "its result has the shape 1x1, and that of",
        ),
        ("mb.squeeze(x=x, axes=[0])", "its result has the shape 4, and that of the op in PyTorch is 1x4"),
        ("", "it adds no result; it ends with context.add(result, torch_name=node.name)"),
    ],
    ids=["size", "rank", "nothing"],
)
def test_a_converter_that_gives_something_else_is_told_at_the_line(
    acme: Path, project: Path, result: str, words: str
) -> None:
    name = f"gives_{len(result)}"  # a process imports a module once
    text = REGISTER.replace("mb.sigmoid(x=mb.mul(x=x, y=SLOPE))", result or "None")
    lines = [line for line in text.splitlines() if result or "context.add" not in line]
    (acme / f"{name}.py").write_text("\n".join(lines) + "\n")
    report = _check(project, CONFIG.replace("coreml_ops", name))
    (told,) = (found for found in report.errors() if "acme" in found.op)
    assert f"your converter acme.{name}.acme_soft_step: {words}" in told.message
    assert told.site is not None
    assert "soft_step(self.linear(x)" in told.site.source
    assert report.convertible == "no"


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (None, ModelError, "there is no module 'acme.broken'"),
        ("x = 1 / 0\n", ModelError, "importing the converters acme.broken raised ZeroDivisionError"),
        ("x = 1\n", UsageError, "the converters acme.broken register nothing with coremltools"),
        (REGISTER.replace("acme::soft_step", "relu"), ModelError, "already registered"),
    ],
    ids=["missing", "raises", "empty", "clashes"],
)
def test_converters_that_cannot_be_loaded(
    acme: Path, project: Path, text: str | None, error: type[Exception], words: str
) -> None:
    if text is not None:
        (acme / "broken.py").write_text(text)
    with pytest.raises(error, match=words.replace("(", r"\(")):
        with own_converters(["acme.broken"], str(project), 10):
            raise AssertionError("it must not come so far")


def test_a_check_with_a_broken_module_ends_with_its_line(acme: Path, project: Path) -> None:
    (acme / "coreml_ops.py").write_text("import nowhere_to_be_found\n")
    error = Session(quiet=True).check(_job(project, CONFIG)).error
    assert error is not None
    assert error.exit_code == 3
    assert "importing the converters acme.coreml_ops raised ModuleNotFoundError" in str(error)
    assert "coreml_ops.py:1: import nowhere_to_be_found" in str(error)


def _job(folder: Path, config: str) -> Job:
    (folder / "convlint.toml").write_text(config)
    project = find_project(folder, environment={})
    return project.model("net")


def _check(folder: Path, config: str, parity: str | None = None) -> Report:
    job = _job(folder, config or CONFIG.replace("converters =", "# ").replace("[[models", "[[models"))
    outcome = Session(quiet=True).check(replace(job, options=replace(job.options, parity=parity)))
    assert outcome.report is not None, outcome.error
    return outcome.report


def _template(finding: Finding) -> str:
    (template,) = (each.after for each in finding.replacements if each.kind == "converter")
    return template
