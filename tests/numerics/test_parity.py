"""Whether the converted program computes what PyTorch computes, and where it does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import ROOT, run_warm
from torch import nn

import convlint
from convlint.capture.methods import Source
from convlint.errors import UsageError
from convlint.model.verdict import verdict
from convlint.numerics import device
from convlint.numerics.conversion import convert
from convlint.numerics.program_errors import WrongShape, measure
from convlint.numerics.samples import draws, edge_cases_of, varied


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


class Counted(nn.Module):
    """A sum over buffers, which coremltools folds, and takes for a plain writing."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("where", torch.tensor([0, 1, 1]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        counts = torch.ones(4).scatter_add(0, self.where, torch.ones(3))
        return x * counts


@pytest.mark.parametrize("frontend", ["export", "torchscript"])
def test_what_coremltools_folds_wrongly_is_blamed_itself(frontend: str) -> None:
    first = convlint.parity(Counted(), torch.ones(4), frontend=frontend, seeds=1).first_divergence
    assert first is not None
    assert (first.op, first.mil_op) == ("aten.scatter_add.default", "scatter_along_axis")
    assert "scatter_add" in str(first.site and first.site.source)


def test_the_other_frontend() -> None:
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


def test_what_does_not_convert_is_refused_and_says_why() -> None:
    p = convlint.parity(Unknown(), torch.ones(2))
    assert p.status == "refused"
    assert "airy" in p.detail


def test_mistakes_of_the_caller() -> None:
    with pytest.raises(UsageError, match="it is float32 or float16"):
        convlint.parity(Classifier(), IMAGE, precision="int8")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="at least 1"):
        convlint.parity(Classifier(), IMAGE, seeds=0)


def test_a_parity_has_no_truth_value() -> None:
    p = convlint.parity(Classifier(), IMAGE, seeds=1)
    with pytest.raises(TypeError, match="five states"):
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
sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parent.parent)!r}]
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


class Scaled(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a = x * 2
        b = torch.sub(y, a, alpha=3)
        return b.relu() + 1


class Highest(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a = x + y
        b = a.argmax()
        return a.flatten()[0] + b


class Inverse(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a = x * 1e-3
        b = torch.reciprocal(a)
        return torch.cat([b, y]) / 2


class Triangle(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a = torch.full((4, 4), float("-inf"))
        b = torch.triu(a, 1)
        return (x + b).softmax(-1) + y


class Blended(nn.Module):
    """Two calls are wrong; what becomes of the first is multiplied by nothing."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a = torch.reciprocal(x * 1e-3)
        b = y.argmax()
        return a * 0 + b


class Angle(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        a = x * 3
        return torch.atan2(a, y) + 1


PAIR = tuple(torch.randn(4, 4, generator=torch.Generator().manual_seed(seed)) for seed in (3, 4))


@pytest.mark.parametrize(
    ("model", "frontend", "op", "line"),
    [
        (Highest, "export", "aten.argmax.default", "b = a.argmax()"),
        (Highest, "torchscript", "aten.argmax.default", "b = a.argmax()"),
        (Inverse, "export", "aten.reciprocal.default", "b = torch.reciprocal(a)"),
        (Inverse, "torchscript", "aten.reciprocal.default", "b = torch.reciprocal(a)"),
        (Triangle, "export", "aten.triu.default", "b = torch.triu(a, 1)"),
        (Angle, "export", "aten.atan2.default", "return torch.atan2(a, y) + 1"),
        (Angle, "torchscript", "aten.atan2.default", "return torch.atan2(a, y) + 1"),
    ],
)
def test_wrong_conversions_of_coremltools_are_found_at_their_line(
    model: type[nn.Module], frontend: Any, op: str, line: str
) -> None:
    p = convlint.parity(model(), PAIR, frontend=frontend)
    assert p.status in ("differs", "overflows")
    first = p.first_divergence
    assert first is not None
    assert first.site is not None
    assert (first.op, first.site.source) == (op, line)
    assert not first.script.startswith("#"), "the call shows it by itself"
    assert f"torch.ops.{op}(" in first.script


@pytest.mark.skipif(version("coremltools") != "9.0", reason="a mistake of 9.0 that later releases have not")
def test_a_mistake_of_the_export_frontend_is_none_of_the_other() -> None:
    p = convlint.parity(Scaled(), PAIR)
    assert p.first_divergence is not None
    assert p.first_divergence.op == "aten.sub.Tensor"
    assert "alpha=3" in p.first_divergence.script
    assert convlint.parity(Scaled(), PAIR, frontend="torchscript").status != "differs"


def test_the_call_to_blame_is_the_one_whose_correction_mends_the_outputs() -> None:
    for frontend in ("export", "torchscript"):
        p = convlint.parity(Blended(), PAIR, frontend=frontend)
        assert p.first_divergence is not None
        assert p.first_divergence.op == "aten.argmax.default"


def test_edge_cases_are_an_option_and_say_what_they_are() -> None:
    p = convlint.parity(Angle(), PAIR)
    assert p.detail == "random inputs come out equal, zeros and ones of both signs do not"
    assert convlint.parity(Angle(), PAIR, edge_cases=False).status == "equal"


class Largest(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values, indices = x.topk(2)
        return values * 2, indices + 1


def test_equal_values_in_another_order_are_no_difference_at_edge_cases() -> None:
    assert convlint.parity(Largest(), torch.rand(8, 8), frontend="torchscript").status == "equal"


def test_a_script_of_the_traced_frontend_runs_and_shows_the_difference(
    capsys: pytest.CaptureFixture[str],
) -> None:
    p = convlint.parity(Highest(), PAIR, frontend="torchscript", seeds=1)
    assert p.first_divergence is not None
    exec(compile(p.first_divergence.script, "script.py", "exec"), {"__name__": "script"})
    printed = capsys.readouterr().out
    assert "PyTorch: tensor(" in printed
    assert "reduce_argmax" in printed
    assert printed.rstrip().endswith("dtype=int32)}")


class Buckets(nn.Module):
    """coremltools rounds the mean of integers down."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.mean(x, 1, dtype=torch.float32) * 2


class Looked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.table(x) * 2


def test_integers_leave_the_range_of_the_example_where_the_model_takes_them() -> None:
    zeros = torch.zeros(4, 5, dtype=torch.int64)
    p = convlint.parity(Buckets(), zeros)
    assert p.detail == "random inputs come out equal, the first numbers do not"
    assert p.first_divergence is not None
    assert p.first_divergence.op == "aten.mean.dim"
    assert convlint.parity(Looked(), zeros).status == "equal"


class Noisy(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.randn_like(x)


def test_a_model_that_draws_random_numbers_cannot_be_compared_and_says_where() -> None:
    p = convlint.parity(Noisy(), IMAGE)
    assert p.status == "unsupported"
    assert p.detail.startswith("aten.randn_like.default at ")


def test_complex_inputs_are_refused_on_the_traced_frontend() -> None:
    p = convlint.parity(nn.SiLU(), torch.ones(2, dtype=torch.complex64), frontend="torchscript")
    assert p.status == "refused"
    assert "complex" in p.detail


def test_errors_are_relative_to_the_output_and_infinities_must_stay() -> None:
    errors = measure([np.array([1.0, np.inf])], [np.array([2.0, np.inf])])
    assert (errors.max_abs_error, errors.max_rel_error, errors.misplaced) == (1, 0.5, 0)
    assert measure([np.array([1.0])], [np.array([np.inf])]).misplaced == 1
    assert measure([np.array([-3.4e38])], [np.array([-np.inf])]).misplaced == 0
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


def test_edge_cases_keep_shapes_and_the_range_of_integers() -> None:
    example = ((torch.tensor([3, 9]), torch.randn(100), torch.tensor([True])), {})
    (integers, floats, _), _ = edge_cases_of(example, "signs")
    assert 3 <= int(integers.min()) <= int(integers.max()) <= 9
    assert set(floats.tolist()) <= {0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0}
    (freed, _, _), _ = edge_cases_of(example, "large", integers=True)
    assert freed.dtype is torch.int64
    assert draws(example) == 8
    assert draws(((torch.rand(100),), {})) == 1


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
    assert "leave --trial none out" in done.stderr
    assert done.returncode == 2


def test_an_output_of_another_shape_is_a_difference() -> None:
    with pytest.raises(WrongShape, match=r"shape \(2,\), and PyTorch gives \(3,\)"):
        measure([np.zeros(2)], [np.zeros(3)])


class Predicting:
    """What ``ct.convert`` returns on macOS: Core ML exists nowhere else."""

    def predict(self, inputs: dict[str, Any]) -> dict[str, Any]:
        (x,) = inputs.values()
        assert x.dtype == np.float32
        return {"y": np.maximum(x, 0)}


def test_on_macos_core_ml_itself_is_asked_for_each_compute_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 3)
    source = Source(None, nn.ReLU(), lambda: ((x,), {}))
    converted = convert(source, "iOS17", "float32", "export", None)
    wanted = [x.relu().numpy()]
    assert device.device_runs(converted, {"x": x}, wanted, 1e-3) == ()
    asked = []

    def predicting(model: Any, **options: Any) -> Predicting:
        asked.append((options["convert_to"], options["compute_units"].name))
        return Predicting()

    monkeypatch.setattr(device, "has_core_ml", lambda: True)
    monkeypatch.setattr("coremltools.convert", predicting)
    runs = device.device_runs(converted, {"x": x}, wanted, 1e-3)
    assert [(run.unit, run.status) for run in runs] == [(unit, "equal") for unit in device.UNITS]
    assert asked == [("mlprogram", unit) for unit in device.UNITS]
    (cpu, *_) = device.device_runs(converted, {"x": x}, [wanted[0] + 1], 1e-3)
    assert cpu.status == "differs"


class WrittenView(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y[:, 0] = x[:, 1]
        y[:, 1].mul_(3)
        return y


class ReadBehind(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        view = y[:, 0]
        y.add_(1)
        return view * 3


@pytest.mark.parametrize(
    ("model", "op", "line"),
    [(WrittenView(), "aten.mul_", "y[:, 1].mul_(3)"), (ReadBehind(), "aten.add_", "y.add_(1)")],
)
def test_a_write_that_a_traced_program_lost_is_named(model: nn.Module, op: str, line: str) -> None:
    """The call itself comes out right: what is wrong is what reads the same memory by another name."""
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    assert convlint.parity(model, x, seeds=1, edge_cases=False).status == "equal"
    p = convlint.parity(model, x, seeds=1, frontend="torchscript", edge_cases=False)
    assert p.status == "differs"
    assert p.first_divergence is not None
    assert p.first_divergence.site is not None
    assert p.first_divergence.op.startswith(op)
    assert p.first_divergence.site.source == line


class CausalAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.register_buffer("mask", torch.ones(4, 4).tril() == 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.attention(x, x, x, attn_mask=self.mask, need_weights=False)[0]
        return found


def test_a_mask_that_became_booleans_is_named_and_not_what_reads_it() -> None:
    p = convlint.parity(CausalAttention(), torch.randn(2, 4, 6), seeds=1, edge_cases=False)
    assert p.status == "differs"
    assert p.first_divergence is not None
    assert p.first_divergence.op.startswith("aten.masked_fill")


class Vanishing(nn.Module):
    """Its outputs are below what float16 holds, as those of deep untrained models are."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[nn.Linear(8, 8, bias=False) for _ in range(3)])
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=1e-4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def test_outputs_that_vanish_before_training_are_told_as_that() -> None:
    report = convlint.check(Vanishing(), torch.rand(1, 8), parity="float16")
    assert report.parity is not None
    assert report.parity.status == "differs"
    assert 0 < report.parity.errors.scale < 1e-6
    step = verdict(report).next_step
    assert step.startswith("PyTorch's own outputs are at most")
    assert "--checkpoint" in step
    assert convlint.parity(Vanishing(), torch.rand(1, 8)).status == "equal"
