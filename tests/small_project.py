"""A small project with a model that converts and one that does not, for the tests of what runs by itself."""

from __future__ import annotations

from pathlib import Path

LAYERS = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return torch.relu(self.linear(x))
"""
GOOD = """
from torch import nn
from .layers import Block

print("the model says hello")

class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())

    def forward(self, x):
        return self.blocks(x)
"""
BAD = """
import torch
from torch import nn

class Bad(nn.Module):
    def forward(self, x, y):
        return torch.hypot(x, y)
"""
CONFIG = """
[[models]]
name = "good"
spec = "nets/good.py:Good"
inputs = ["1x4"]
"""
CONFIG_OF_BAD = """
[[models]]
name = "bad"
spec = "nets.bad:Bad"
inputs = ["1x4", "1x4"]
"""


def write_project(folder: Path, config: str = CONFIG) -> Path:
    """The project in ``folder``, with the models that ``config`` names."""
    package = folder / "nets"
    package.mkdir(parents=True)
    files = {"__init__": "", "layers": LAYERS, "good": GOOD, "bad": BAD, "other": "x = 1\n"}
    for name, text in files.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    (folder / "convlint.toml").write_text(config, encoding="utf-8")
    return folder
