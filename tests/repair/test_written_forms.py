"""Layers, writes in place and indexed tensors in the source, written by the real command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from conftest import Convlint

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.cell = nn.GRUCell(8, 8)

    def forward(self, x):
        y = self.conv(x)
        y.hypot_(y + 1)  # in place
        y = y[:, :, :, :].contiguous()
        y = y.lerp(y * 2, 0.3)
        h = self.cell(y.mean((2, 3)))
        return y, h
"""


TRAINS = """\
import torch
from torch import nn

from net import Net

torch.manual_seed(0)
net = Net().train()
before = {name: value.clone() for name, value in net.state_dict().items()}
assert "cell.weight_ih" in before
optimizer = torch.optim.SGD(net.parameters(), 0.1)
for _ in range(2):
    y, h = net(torch.rand(2, 3, 8, 8))
    (y.square().mean() + h.square().mean()).backward()
    optimizer.step()
assert any(not torch.equal(before[name], value) for name, value in net.state_dict().items())
assert isinstance(net.cell, nn.GRUCell)
with torch.autocast("cpu", dtype=torch.bfloat16):
    net(torch.rand(2, 3, 8, 8))
net.double()(torch.rand(2, 3, 8, 8).double())
compiled = torch.compile(Net().eval(), backend="eager")
assert torch.isfinite(compiled(torch.rand(1, 3, 8, 8))[0]).all()
print("trained")
"""
"""Gradient steps, autocast, float64 and torch.compile of what was written."""


def test_each_form_is_written_where_it_belongs_and_the_file_converts(
    tmp_path: Path, convlint: Convlint
) -> None:
    (tmp_path / "net.py").write_text(NET)
    done = convlint("fix", "net.py:Net", "--input", "1x3x16x16", "--write")
    assert done.code == 0, done.out + done.err
    assert "Fixed in memory only" not in done.out
    assert done.out.splitlines()[-1] == "✓ net.py and coreml_ops.py convert as they are written now."
    text = (tmp_path / "net.py").read_text()
    assert "        self.cell = coreml_ops.GRUCell(8, 8)\n" in text
    assert "        coreml_ops.hypot_(y, y + 1)  # in place\n" in text
    assert "        y = coreml_ops.items(y)[:, :, :, :].contiguous()\n" in text
    assert convlint("check", "net.py:Net", "--input", "1x3x16x16", "--no-cache").code == 0
    (tmp_path / "train.py").write_text(TRAINS)
    ran = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.stdout.strip() == "trained", ran.stderr
