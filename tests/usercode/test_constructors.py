"""Constructors that read values get in: without weights where that can be, else with them, within limits."""

from __future__ import annotations

import resource
import textwrap
from pathlib import Path

import pytest
import torch
from conftest import Convlint
from torch import nn

import convlint as package
from convlint.capture.weightless import build_weightless
from convlint.errors import ModelError


class Rates(nn.Module):
    """The idiom of half of all vision transformers, beside a weight of 2 GB."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        self.table = nn.Parameter(torch.randn(500_000, 1000))
        nn.init.kaiming_uniform_(self.table)
        self.register_buffer("window", torch.hann_window(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.window * self.rates[2] + self.table[0, :4]


def test_values_of_small_tensors_are_read_and_large_ones_take_no_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = build_weightless(Rates)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 1 << 30
    assert model.rates == pytest.approx([0.0, 0.05, 0.1])
    assert torch.equal(model.window, torch.hann_window(4))
    assert model.table.shape == (500_000, 1000)
    assert isinstance(model.table, nn.Parameter)
    assert package.check(Rates, torch.randn(2, 4)).convertible == "yes"


class ReadsItsWeight(nn.Module):
    def __init__(self, rows: int = 400) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, 1000))
        nn.init.trunc_normal_(self.weight)  # which asks whether values lie outside, and is told no
        self.scale = 1 / float(self.weight.detach().std())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight.T * self.scale


def test_a_value_of_a_weight_is_a_real_one_as_far_as_memory_goes() -> None:
    assert build_weightless(ReadsItsWeight).scale == pytest.approx(1 / 0.88, abs=0.01)
    with pytest.raises(MemoryError, match=r"reads values.*more than the 0\.1 GB at hand"):
        build_weightless(lambda: ReadsItsWeight(100_000), memory_limit=100_000_000)


MODELS = """
    import pathlib, torch
    from torch import nn

    class Base(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.big = nn.Linear(600, 600)
            self.prepare()

        def forward(self, x):
            return self.conv(x) * self.big.bias.sum()

    class ToCpu(Base):
        def prepare(self):
            self.to("cpu")

    class Numpy(Base):
        def prepare(self):
            self.total = torch.hann_window(16).numpy().sum()

    class Branch(Base):
        def prepare(self):
            if torch.isnan(self.big.weight).any():
                raise ValueError("broken weights")

    class Read(Base):
        def prepare(self):
            self.scale = float(self.big.weight.std())
            path = pathlib.Path("weights.pt")
            torch.save(torch.randn(600, 600), path)
            self.big.weight.data.copy_(torch.load(path))

    class Broken(Base):
        def prepare(self):
            torch.ones(1).item()
            raise ValueError("of my own")
"""


def test_the_command_line_takes_what_the_python_functions_take(convlint: Convlint, tmp_path: Path) -> None:
    (tmp_path / "models.py").write_text(textwrap.dedent(MODELS))
    for name in ("ToCpu", "Numpy", "Branch", "Read"):
        ran = convlint("check", f"models.py:{name}", "--input", "1x3x8x8", "--no-trial")
        assert ran.code == 0, (name, ran)
    ran = convlint("check", "models.py:Broken", "--input", "1x3x8x8")
    assert ran.code == 3
    assert "building Broken() raised ValueError: of my own, at models.py:" in ran.err


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.conv(x))


def test_a_module_on_meta_is_checked_and_left_there_and_what_needs_values_says_so() -> None:
    with torch.device("meta"):
        model = Plain()
    for frontend in ("export", "torchscript"):
        assert package.check(model, torch.randn(1, 3, 4, 4), frontend=frontend).convertible == "yes"
    for function in (package.parity, package.fix):
        with pytest.raises(ModelError, match="on the meta device and have no values"):
            function(model, torch.randn(1, 3, 4, 4))
    assert all(parameter.is_meta for parameter in model.parameters())


def test_a_sparse_buffer_is_refused_by_coremltools_and_not_by_the_capture() -> None:
    class Sparse(Plain):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("heads", torch.eye(3).to_sparse(), persistent=False)

    report = package.check(Sparse, torch.randn(1, 3, 4, 4), frontend="export")
    assert report.convertible == "no"
    assert not report.capture_failures
    assert "Sparse layout tensor" in " ".join(failure.error for failure in report.trial.failures)
