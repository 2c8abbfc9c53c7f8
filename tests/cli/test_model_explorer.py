"""``convlint plan --model-explorer``: each node of the exported program with its unit and time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from conftest import Convlint

from convlint.output.model_explorer import COLOURS

NETS = """\
import torch
from torch import nn


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 64, 3, padding=1), nn.BatchNorm2d(64)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.act(self.norm(self.stem(x))).cumsum(1) + 1


class Traced(Plain):
    '''Taken apart by a second trace, whose nodes have other names.'''

    def forward(self, x):
        y = nn.functional.pixel_unshuffle(super().forward(x), 2)
        return nn.functional.huber_loss(y, torch.zeros_like(y), reduction="none")
"""


def exported_names(folder: Path, name: str) -> set[str]:
    """What ``torch.export.save`` would write, and Model Explorer would draw."""
    space: dict[str, type[torch.nn.Module]] = {}
    exec(compile((folder / "nets.py").read_text(), "nets.py", "exec"), space)
    program = torch.export.export(space[name]().eval(), (torch.zeros(1, 3, 64, 64),))
    return {node.name for node in program.graph.nodes if node.op == "call_function"}


@pytest.mark.parametrize("name", ["Plain", "Traced"])
def test_nodes_have_the_names_of_the_exported_program(convlint: Convlint, tmp_path: Path, name: str) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    words = ("plan", f"nets.py:{name}", "--input", "1x3x64x64", "--model-explorer", "out/nodes.json")
    done = convlint(*words)
    assert done.code == 0, done.err
    data = json.loads((tmp_path / "out/nodes.json").read_text())
    assert list(data) == ["graph"]
    results = data["graph"]["results"]
    assert results.keys() <= exported_names(tmp_path, name)
    assert {"relu_", "cumsum"} <= results.keys()
    assert results["cumsum"]["bgColor"] == COLOURS["CPU"][0]
    assert all(each["value"] >= 0 for each in results.values())
    assert convlint(*words).code == 0, "its own file is replaced"


def test_what_stands_there_already_is_left_alone(convlint: Convlint, tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text(NETS)
    words = ("plan", "nets.py:Plain", "--input", "1x3x64x64", "--model-explorer")
    done = convlint(*words, "nets.py")
    assert done.code == 2
    assert "--model-explorer nets.py" in done.err
    assert (tmp_path / "nets.py").read_text() == NETS
    done = convlint(*words, "nodes.json", "--trial", "none")
    assert done.code == 2
    assert "leave --trial none out" in done.err
    done = convlint(*words, "nodes.json", "--frontend", "torchscript")
    assert done.code == 2
    assert "No file was written" in done.err
    assert not (tmp_path / "nodes.json").exists()
