"""``convlint fix --emit``: a script that converts the model and knows nothing of convlint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import coremltools as ct
import torch
from conftest import Convlint
from torch import nn

import convlint as convlint_package
from convlint.repair.source.program_text import program_text

NET = """\
import torch
from torch import nn

WIDTH = 4


class Net(nn.Module):
    def __init__(self, width, bias=True):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.project = nn.Linear(8, width, bias=bias)

    def forward(self, x, ids, scale=None):
        once = torch.hypot(torch.arange(4.0), torch.ones(4))
        best, _ = torch.median(self.project(self.norm(x)) + once, dim=1)
        picked = best[:, ids]
        return torch.hypot(picked, picked + (scale if scale is not None else 1.0))


class Hopeless(nn.Module):
    def forward(self, x):
        return torch.linalg.eigvalsh(x @ x.T)


existing = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
"""

REFUSED = (
    "fix", "pack/net.py:Net", "--arg-expr", "width=WIDTH", "--arg", "bias=False",
    "--input", "2x3x8", "--input", "3:int64=2", "--input", "scale=2x1", "--emit", "tools.py",
)  # fmt: skip


def run(script: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """The script in a Python that cannot import convlint."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['convlint'] = None\n")
    return subprocess.run(
        [sys.executable, str(script)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_script_converts_a_model_that_is_refused_as_it_is(tmp_path: Path, convlint: Convlint) -> None:
    package = tmp_path / "pack"  # batch norm has three outputs; the context needs no change for a constant
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "net.py").write_text(NET)
    done = convlint(*REFUSED)
    assert done.code == 0, done.out + done.err
    assert done.out.splitlines()[-1] == "✓ tools.py converts the model: it was run."
    assert (package / "net.py").read_text() == NET
    script = tmp_path / "tools.py"
    assert "convlint" not in "".join(script.read_text().splitlines()[1:])
    ran = run(script, tmp_path / "elsewhere")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "elsewhere" / "Net.mlpackage").is_dir()


def test_a_picture_stays_one_and_a_model_that_converts_needs_no_helpers(
    tmp_path: Path, convlint: Convlint
) -> None:
    (tmp_path / "net.py").write_text(NET)
    done = convlint("fix", "net.py:existing", "--input", "1x3x16x16:image", "--emit", "convert.py")
    assert done.code == 0, done.out + done.err
    text = (tmp_path / "convert.py").read_text()
    assert "ct.ImageType(shape=(1, 3, 16, 16)" in text
    assert "model = existing.eval()" in text
    assert not (tmp_path / "coreml_ops.py").exists()
    again = convlint("fix", "net.py:existing", "--input", "1x3x16x16:image", "--emit", "convert.py")
    assert again.code == 0, "its own script is written anew"


def test_no_script_where_the_model_does_not_convert(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(NET)
    done = convlint("fix", "net.py:Hopeless", "--input", "3x4", "--emit", "convert.py")
    assert done.code == 1
    assert "No script  convert.py: the model does not convert as a whole" in done.out
    assert not (tmp_path / "convert.py").exists()


def test_a_file_of_somebody_else_is_not_written_over(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "mine.py").write_text("print(1)\n")
    done = convlint("fix", "net.py:existing", "--input", "1x3x16x16", "--emit", "mine.py")
    assert done.code == 2
    assert "mine.py" in done.err
    assert (tmp_path / "mine.py").read_text() == "print(1)\n"


LIBRARY = """\
import torch
from torch import nn


class Windows(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(4, 6)
        self.register_buffer("picks", torch.tensor([1, 0, 2]), persistent=False)

    def forward(self, x, *, scale):
        b, c, h, w = x.shape
        x = x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 3, 5, 1)
        x = torch.roll(x, 1, 3).flatten(1, 4)[:, self.picks]
        return {"out": self.project(x) * scale, "rest": torch.diff(x, dim=-1)}


class Remembers(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("sum", torch.zeros(2, 4))

    def forward(self, x):
        self.sum.add_(x)
        return torch.diff(self.sum)
"""


def test_where_no_line_says_a_change_the_script_holds_the_program(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(LIBRARY)
    done = convlint(
        "fix", "net.py:Windows", "--input", "2x4x4x6", "--input", "scale=1", "--emit", "convert.py"
    )
    assert done.code == 0, done.out + done.err
    assert done.out.splitlines()[-1] == "✓ convert.py converts the model: it was run."
    assert "Written out in convert.py  net.py:" in done.out
    assert "Lines without an edit" not in done.out
    text = (tmp_path / "convert.py").read_text()
    assert "convlint" not in "".join(text.splitlines()[1:])
    assert "self.model.get_parameter('project.weight')" in text
    ran = run(tmp_path / "convert.py", tmp_path / "elsewhere")
    assert ran.returncode == 0, ran.stderr
    package = tmp_path / "elsewhere" / "Windows.mlpackage"
    described = ct.models.MLModel(str(package), skip_model_load=True).get_spec().description
    assert [each.name for each in described.input] == ["x", "scale"]
    assert len(described.output) == 2


def test_a_state_that_becomes_an_input_is_written_out(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(LIBRARY)
    done = convlint("fix", "net.py:Remembers", "--input", "2x4", "--emit", "convert.py")
    assert done.code == 0, done.out + done.err
    assert "✓ convert.py converts the model: it was run." in done.out


def test_written_out_a_program_computes_what_the_fixed_module_does() -> None:
    class Folds(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            steps = torch.cumprod(torch.arange(1.0, 5.0) / 3, 0)
            return torch.hypot(x, y) * steps + float("inf") * (x > 9)

    model, inputs = Folds(), (torch.rand(2, 4), torch.rand(2, 4))
    fixed = convlint_package.fix(model, inputs)
    assert fixed.converts == "yes"
    written = program_text(fixed.program).module(model)
    assert torch.allclose(written(*inputs)[0], fixed.module(*inputs), equal_nan=True)
