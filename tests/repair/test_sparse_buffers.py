"""Sparse tensors among the buffers: coremltools reads none, `fix` leaves them out or makes them dense."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import Convlint
from torch import Tensor, nn

import convlint as convlint_package
from convlint.repair.sparse_buffers import LEFT_OUT, MADE_DENSE

NETS = """\
import torch
from torch import nn


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("kept", torch.eye(4).to_sparse(), persistent=False)

    def forward(self, x):
        return self.linear(x)


class Product(Heads):
    def forward(self, x):
        return self.kept @ self.linear(x)
"""


class Heads(nn.Module):
    """A model that keeps a sparse tensor, as openai-whisper does."""

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.kept: Tensor
        self.register_buffer("kept", kept, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class Product(Heads):
    def forward(self, x: Tensor) -> Tensor:
        return self.kept @ self.linear(x)


class SparseProduct(Heads):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sparse.mm(self.kept, self.linear(x))


class Densified(Heads):
    def forward(self, x: Tensor) -> Tensor:
        return self.kept.to_dense() * self.linear(x)


COO, CSR = torch.eye(4).to_sparse(), torch.eye(4).to_sparse_csr()


@pytest.mark.parametrize(
    ("model", "title"),
    [
        (Heads(COO), LEFT_OUT),
        (Product(COO), MADE_DENSE),
        (Product(CSR), MADE_DENSE),
        (SparseProduct(COO), MADE_DENSE),
        (Densified(COO), MADE_DENSE),
    ],
)
def test_the_fixed_model_converts_and_computes_the_same(model: nn.Module, title: str) -> None:
    fixed = convlint_package.fix(model, (torch.randn(4, 4),))
    assert fixed.converts == "yes"
    assert [(change.op, change.kind, change.title) for change in fixed.applied] == [
        ("buffer kept", "dense", title)
    ]
    assert fixed.parity is not None
    assert fixed.parity.status == "equal"
    assert isinstance(model.get_buffer("kept"), Tensor)
    assert model.get_buffer("kept").layout != torch.strided, "the user's model keeps its own buffer"


@pytest.mark.parametrize("model", ["Heads", "Product"])
def test_the_script_of_fix_makes_the_buffer_dense(convlint: Convlint, model: str, tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    done = convlint("fix", f"nets.py:{model}", "--input", "4x4", "--emit", "convert.py")
    assert done.code == 0, done.err
    script = (tmp_path / "convert.py").read_text()
    assert "model.get_submodule('').kept = model.get_buffer('kept').to_dense()" in script
    assert "class Fixed" not in script


def test_a_check_says_which_buffer_it_is_and_that_fix_helps() -> None:
    report = convlint_package.check(Product(COO), (torch.randn(4, 4),), frontend="export")
    (error,) = report.errors()
    assert error.rule.code == "CL1167"
    assert error.message.startswith("kept is a sparse tensor")
    assert "after 1 change it does" in str(report)
