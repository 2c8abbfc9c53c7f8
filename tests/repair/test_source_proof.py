"""The proof of an edit: a fresh process in which the model must compute and train as before."""

from __future__ import annotations

import importlib.util
import py_compile
from pathlib import Path
from typing import Any

import pytest
import torch

from convlint.repair.source.edit import Edit
from convlint.repair.source.files import SourceFile
from convlint.repair.source.proof import Original, proved

NET = """\
import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.full((4,), 0.5))
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("variance", torch.ones(4))
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        y = torch.hypot(x, self.scale)
        y = self.drop(y)
        return F.batch_norm(y, self.mean, self.variance, training=self.training, momentum=0.1)
"""


def original_of(text: str, folder: Path) -> Original:
    path = folder / "net.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("net_of_this_test", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    torch.manual_seed(0)
    inputs: Any = ((torch.randn(3, 4),), {})
    return Original(module.Net(), "net.py:Net", {}, {}, str(folder), inputs, 60.0)


def problem_of(before: str, after: str, folder: Path, text: str = NET) -> str:
    """What the proof says of one edit of the file; empty where it is good."""
    start = text.index(before)
    source = SourceFile(text.encode())
    line = text[:start].count("\n") + 1
    path = str(folder / "net.py")
    edit = Edit(path, line, start, start + len(before), before, after, "", "", "safe", source)
    edits, wrong = proved([edit], original_of(text, folder))
    assert bool(edits) != bool(wrong)
    return wrong.get(edit, "")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("torch.hypot(x, self.scale)", "torch.sqrt(x * x + self.scale * self.scale)", ""),
        ("torch.hypot(x, self.scale)", "torch.hypot(x, self.scale) + 0.01", "other values: it differs"),
        (
            "torch.hypot(x, self.scale)",
            "torch.hypot(x, self.scale.detach())",
            "does not train as before: no gradient flows to scale",
        ),
        (
            "torch.hypot(x, self.scale)",
            "torch.hypot(x.detach(), self.scale)",
            "does not train as before: no gradient flows to input 1",
        ),
        ("self.drop(y)", "y", "in train mode, it differs"),
        ("self.drop(y)", "self.drop(self.drop(y))", "in train mode, it differs"),
        ("self.drop(y)", "y if not self.training else y + None", "does not train as before: TypeError"),
        ("momentum=0.1", "momentum=0.2", "in train mode, of the buffer mean after a step, it differs"),
    ],
)
def test_an_edit_must_leave_values_gradients_and_buffers(
    before: str, after: str, words: str, tmp_path: Path
) -> None:
    problem = problem_of(before, after, tmp_path)
    assert words in problem
    assert bool(words) == bool(problem)


def test_a_gradient_of_train_mode_alone_counts(tmp_path: Path) -> None:
    after = "torch.hypot(x, self.scale.detach() if self.training else self.scale)"
    assert "in train mode, no gradient flows to scale" in problem_of(
        "torch.hypot(x, self.scale)", after, tmp_path
    )


def test_a_model_that_cannot_be_trained_is_compared_by_its_values(tmp_path: Path) -> None:
    text = NET.replace("    def forward", "    @torch.no_grad()\n    def forward")
    assert (
        problem_of("torch.hypot(x, self.scale)", "torch.hypot(x, self.scale.detach())", tmp_path, text) == ""
    )


def test_the_keys_of_the_weights_stay(tmp_path: Path) -> None:
    problem = problem_of(
        '"variance"', '"spread"', tmp_path, NET.replace("self.variance", "self._buffers['variance']")
    )
    assert "Unexpected key" in problem or "Missing key" in problem


def test_a_compiled_file_of_the_text_before_the_edit_is_not_read(tmp_path: Path) -> None:
    """Libraries are read as compiled, which halves their import; the edited file never is."""
    original_of(NET, tmp_path)
    never_stale = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compiled = Path(py_compile.compile(str(tmp_path / "net.py"), invalidation_mode=never_stale) or "")
    stamp = compiled.stat().st_mtime_ns
    assert "other values" in problem_of(
        "torch.hypot(x, self.scale)", "torch.hypot(x, self.scale) + 1", tmp_path
    )
    assert [path.name for path in compiled.parent.iterdir()] == [compiled.name]
    assert compiled.stat().st_mtime_ns == stamp
