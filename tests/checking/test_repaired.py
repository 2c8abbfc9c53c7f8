"""Parity of what a check repairs: the changed program, with the model's own values."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import Convlint
from torch import nn

import convlint
from convlint.model.verdict import verdict

X = torch.rand(2, 4, generator=torch.Generator().manual_seed(0)) + 0.5


class Hypot(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.hypot(self.layer(x), x)


class Wrong(Hypot):
    """Refused in one line, and computing something else in another that no rewrite is known for."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + torch.atan2(x * 0, -x)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_repaired_program_is_compared(precision: str) -> None:
    report = convlint.check(Hypot(), X, parity=precision)
    assert report.convertible == "no"
    assert report.parity is not None
    assert report.parity.status == "equal"
    assert report.parity.precision == precision
    assert report.parity.remarks[0].startswith("compared with the changed model")
    assert verdict(report).headline == (
        "Does not convert as it is; after 1 change at 1 line it does, and computes the same."
    )
    assert report.to_dict()["parity"]["status"] == "equal"


def test_a_repaired_program_with_other_numbers_is_told() -> None:
    report = convlint.check(Wrong(), X, parity="float32")
    assert report.repair is not None
    assert report.repair.converts
    assert report.parity is not None
    assert report.parity.status == "differs"
    assert report.parity.first_divergence.op == "aten.atan2.default"
    assert "but the program computes other numbers" in verdict(report).headline


def test_the_command_line_tells_it(project: Path, convlint: Convlint) -> None:
    (project / "net.py").write_text(
        "import torch\n\n\nclass Net(torch.nn.Module):\n    def forward(self, x):\n"
        "        return torch.hypot(x, x + 1)\n"
    )
    ran = convlint("check", "net.py:Net", "--input", "2x4", "--parity")
    text = " ".join(ran.out.split())
    assert ran.code == 1
    assert "after 1 change at 1 line it does, and computes the same" in text
    assert "parity equal" in text
