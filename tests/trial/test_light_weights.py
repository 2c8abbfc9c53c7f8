"""Weights without memory make the program that real weights make, and show what its passes refuse."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import coremltools as ct
import pytest
import torch
from torch import nn

import convlint
from convlint.coremltools_adapter import light_constants
from convlint.trial.light import KEEP_BYTES, take_weights, without_memory


def _program(model: nn.Module, *inputs: torch.Tensor) -> torch.export.ExportedProgram:
    with torch.no_grad():
        return torch.export.export(model.eval(), inputs).run_decompositions({})


def _kinds(program: torch.export.ExportedProgram) -> Counter[str]:
    made = ct.convert(program, convert_to="milinternal", minimum_deployment_target=ct.target.iOS17)
    return Counter(op.op_type for op in made.functions["main"].operations if op.op_type != "const")


class Attention(nn.Module):
    """Three equal projections, an embedding of positions, and chunks that go different ways."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.rand(1, 16, 192))
        self.q, self.k, self.v = (nn.Linear(192, 192) for _ in range(3))
        self.up = nn.Linear(192, 384)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.position
        y = torch.softmax(self.q(x) @ self.k(x).transpose(1, 2), -1) @ self.v(x)
        gate, value = self.up(y).chunk(2, -1)
        return torch.sigmoid(gate) * value


@pytest.mark.parametrize(
    "name",
    [
        "attention",
        "squeezenet1_1",
        *(pytest.param(name, marks=pytest.mark.corpus) for name in ("shufflenet_v2_x0_5", "vit_b_16")),
    ],
)
def test_the_program_is_that_of_real_weights(name: str) -> None:
    import torchvision

    if name == "attention":
        model, inputs = Attention(), torch.rand(1, 16, 192)
    else:
        model, inputs = getattr(torchvision.models, name)(), torch.rand(1, 3, 224, 224)
    program = _program(model, inputs)
    real = _kinds(program)
    take_weights(program)
    with light_constants():
        assert _kinds(program) == real


def test_a_large_weight_takes_no_memory_and_equals_no_other() -> None:
    one, other = (without_memory(torch.empty(1000, 512, device="meta"), number) for number in (1, 2))
    assert one.shape == (1000, 512)
    assert one.untyped_storage().nbytes() < KEEP_BYTES
    assert float(one.min()) > 0
    assert not torch.equal(one, other)
    assert len(one[0].unique()) > 500


class LateOffset(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 1, 3)
        self.offset = nn.Parameter(torch.rand(1, 8, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y + self.offset


class LateNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.shift = (nn.Parameter(torch.rand(1, 8, 1, 1)) for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(x) * self.scale
        return y + self.shift


@pytest.mark.parametrize(("model", "channels"), [(LateOffset, 3), (LateNorm, 1)])
def test_what_a_pass_refuses_is_refused_by_default_at_its_line(model: type[nn.Module], channels: int) -> None:
    inputs = torch.rand(1, channels, 8, 8)
    with pytest.raises(ValueError, match=r"bias values|compatible subtype"):
        ct.convert(_program(model(), inputs), minimum_deployment_target=ct.target.iOS17)
    report = convlint.check(model, inputs)
    assert (report.convertible, report.exit_code) == ("no", 1)
    (error,) = report.errors()
    assert error.site is not None
    assert error.site.source.startswith(("y = self.conv", "return y + self"))


class Tied(nn.Module):
    """Two layers that share a weight, and one that has its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one = self.two = nn.Parameter(torch.rand(256, 256))
        self.own = nn.Parameter(torch.rand(256, 256))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x @ self.one) @ self.two + x @ self.own


def test_equal_weights_are_one_and_others_stay_apart() -> None:
    def weights() -> int:
        made = ct.convert(program, convert_to="milinternal", minimum_deployment_target=ct.target.iOS17)
        return sum(
            op.op_type == "const" and op.outputs[0].rank == 2 for op in made.functions["main"].operations
        )

    program = _program(Tied(), torch.rand(2, 256))
    real = weights()
    take_weights(program)
    with light_constants():
        assert weights() == real


def test_passes_copy_no_weight_that_takes_no_memory() -> None:
    """A copy of the one weight would take two gigabytes. The children of this test alone are asked."""
    code = (
        "import resource, torch, convlint; from torch import nn; torch.set_default_device('meta');"
        "model = nn.Sequential(nn.Linear(22_000, 22_000), nn.ReLU(), nn.Linear(22_000, 22_000));"
        "torch.set_default_device('cpu'); report = convlint.check(model, torch.rand(1, 22_000));"
        "print(report.convertible, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    convertible, kilobytes = done.stdout.split()
    assert convertible == "yes"
    assert int(kilobytes) < 1_500_000
