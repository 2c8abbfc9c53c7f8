"""Whether the converted program computes what PyTorch computes, and where it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import ROOT, run_warm
from torch import nn

import convlint
from convlint.errors import UsageError
from convlint.parity.errors import WrongShape, measure
from convlint.parity.inputs import varied


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x).mean((2, 3))).softmax(-1)


IMAGE = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_a_model_that_converts_well_is_equal() -> None:
    p = convlint.parity(Classifier(), IMAGE)
    assert p.status == "equal"
    assert p.max_rel_error < 1e-5
    assert p.snr_db > 100
    assert p.first_divergence is None


def test_half_precision_is_equal_within_its_own_tolerance() -> None:
    p = convlint.parity(Classifier(), IMAGE, precision="float16")
    assert p.status == "equal"
    assert 1e-6 < p.max_rel_error < 2e-2


def test_the_other_door() -> None:
    assert convlint.parity(Classifier(), IMAGE, frontend="torchscript", seeds=1).status == "equal"


class Loud(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 300
        z = y * y  # beyond 65504 for any x above 0.85
        return z / 90000


def test_an_overflow_is_told_with_the_line_that_made_it() -> None:
    model, x = Loud(), torch.full((1, 4), 2.0)
    assert convlint.parity(model, x).status == "equal"
    p = convlint.parity(model, x, precision="float16")
    assert p.status == "overflows"
    assert p.first_divergence is not None
    assert p.first_divergence.op == "aten.mul.Tensor"
    assert p.first_divergence.site is not None
    assert p.first_divergence.site.source.startswith("z = y * y")


class Product(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1, bias=False)
        nn.init.constant_(self.linear.weight, 1.0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) * 0.001


def test_the_narrow_accumulator_is_an_option() -> None:
    x = torch.full((1, 2), 20000.0)
    wide = convlint.parity(Product(), x, precision="float16", seeds=1)
    narrow = convlint.parity(Product(), x, precision="float16", seeds=1, accumulator_limit=32752)
    assert (wide.status, narrow.status) == ("equal", "overflows")


class Unknown(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.airy_ai(x)


def test_what_does_not_convert_is_unsupported_and_says_why() -> None:
    p = convlint.parity(Unknown(), torch.ones(2))
    assert p.status == "unsupported"
    assert "airy" in p.detail


def test_mistakes_of_the_caller() -> None:
    with pytest.raises(UsageError, match="it is float32 or float16"):
        convlint.parity(Classifier(), IMAGE, precision="int8")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least 1"):
        convlint.parity(Classifier(), IMAGE, seeds=0)


def test_a_parity_has_no_truth_value() -> None:
    p = convlint.parity(Classifier(), IMAGE, seeds=1)
    with pytest.raises(TypeError, match="four states"):
        bool(p)


class WithReduced(nn.Module):
    """A decomposed op whose converter is replaced below by a wrong one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = x + 1
        b = torch.atan(a)
        return b * 2


def test_a_wrong_converter_is_found_with_its_op_its_line_and_a_script(tmp_path: Path) -> None:
    """The converter of one op is made wrong in a process of its own."""
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch
from coremltools.converters.mil import Builder as mb, register_torch_op
import convlint
from test_parity import WithReduced

@register_torch_op(torch_alias=["atan"], override=True)
def atan(context, node):
    context.add(mb.tanh(x=context[node.inputs[0]], name=node.name))

p = convlint.parity(WithReduced(), torch.randn(2, 3))
d = p.first_divergence
print(p.status, d.mil_op, d.op, d.site.source, sep="|")
open({str(tmp_path / "script.py")!r}, "w").write(d.script)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "differs|tanh|aten.atan.default|b = torch.atan(a)"
    script = (tmp_path / "script.py").read_text()
    assert "torch.ops.aten.atan.default(x0)" in script
    run = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, timeout=120, check=True
    )
    assert "PyTorch: tensor" in run.stdout
    assert "atan(" in run.stdout


def test_errors_are_relative_to_the_output_and_infinities_must_stay() -> None:
    errors = measure([np.array([1.0, np.inf])], [np.array([2.0, np.inf])])
    assert (errors.max_abs_error, errors.max_rel_error, errors.misplaced) == (1, 0.5, 0)
    assert measure([np.array([1.0])], [np.array([np.inf])]).misplaced == 1
    assert measure([np.array([np.nan])], [np.array([1.0])]).nonfinite == 1
    assert measure([np.array([1.0])], [np.array([1.0])]).snr_db == float("inf")


def test_inputs_vary_within_what_the_example_shows() -> None:
    example = ((torch.tensor([3, 9]), torch.tensor([True, False]), torch.randn(100) * 5 + 50), {})
    assert varied(example, 0) is example
    (integers, flags, floats), _ = varied(example, 1)
    assert 3 <= int(integers.min()) <= int(integers.max()) <= 9
    assert flags.dtype is torch.bool
    assert 40 < float(floats.mean()) < 60
    assert 3 < float(floats.std()) < 7


def command_line(tmp_path: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "model.py").write_text(f"import torch\nfrom torch import nn\n\n{code}")
    ran = run_warm(["check", str(tmp_path / "model.py:Model"), *arguments], ROOT, os.environ)
    return subprocess.CompletedProcess(arguments, ran.code, ran.out, ran.err)


OVERFLOWING = """
class Model(nn.Module):
    def forward(self, x):
        y = (x.abs() + 1) * 300
        return (y * y) / 90000
"""


def test_the_command_line_compares_too(tmp_path: Path) -> None:
    done = command_line(tmp_path, OVERFLOWING, "--input", "1x4", "--parity")
    assert "parity equal: largest error" in done.stdout
    assert done.returncode == 0
    done = command_line(tmp_path, OVERFLOWING, "--input", "1x4", "--parity", "float16")
    assert "The converted program overflows, first here" in done.stdout
    assert "return (y * y) / 90000" in done.stdout
    assert done.returncode == 1


def test_parity_stands_in_the_json(tmp_path: Path) -> None:
    done = command_line(tmp_path, OVERFLOWING, "--input", "1x4", "--parity", "float16", "--format", "json")
    found = json.loads(done.stdout)["parity"]
    assert found["status"] == "overflows"
    assert found["first_divergence"]["op"] == "aten.mul.Tensor"


def test_parity_needs_a_trial(tmp_path: Path) -> None:
    done = command_line(tmp_path, OVERFLOWING, "--input", "1x4", "--parity", "--no-trial")
    assert "leave --no-trial out" in done.stderr
    assert done.returncode == 2


def test_an_output_of_another_shape_is_a_difference() -> None:
    with pytest.raises(WrongShape, match=r"shape \(2,\), and PyTorch gives \(3,\)"):
        measure([np.zeros(2)], [np.zeros(3)])
