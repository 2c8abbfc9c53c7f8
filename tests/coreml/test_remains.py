"""What coremltools computes at conversion, asked of coremltools: rules of the engine skip just that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Convlint
from torch.nn import functional as F

from convlint.capture.methods import Source, capture
from convlint.coreml.remains import folded_calls
from convlint.interface.inputs import make_tensors, parse_inputs

COLUMNS = torch.tensor([[0, 1], [1, 2], [2, 3], [3, 0]])
TABLE = torch.arange(24.0).reshape(4, 6)


def blocks(x: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros(4, 6)
    mask[:, 0:2] = 1.0
    return x + mask


def later(x: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros(4, 6)
    mask[:, 0:2] = 1.0
    return x + (mask * 2.0).sin()


def points(x: torch.Tensor) -> torch.Tensor:
    mask = torch.zeros(4, 6)
    mask[torch.tensor([0, 2]), torch.tensor([1, 1])] = 1.0
    return x + mask


Use = Callable[[Any], Any]
# What is left of it, as MIL operations: nothing but the sum with the input and the casts around it, or more.
USES: dict[str, tuple[Use, bool]] = {
    "positions of the input's dtype": (lambda x: x + torch.arange(6).type_as(x), True),
    "positions": (lambda x: x + (torch.arange(6) * 2 + 1).float(), True),
    "zeros like the input": (lambda x: x + torch.zeros_like(x).sin(), True),
    "a running sum": (lambda x: x + torch.ones(4, 6).cumsum(1), True),
    "a scatter": (lambda x: x + torch.zeros(4, 6).scatter(1, COLUMNS, 1.0), True),
    "a triangle": (lambda x: x + torch.ones(4, 6).tril(), True),
    "a sort": (lambda x: x + TABLE.sort(1)[0], True),
    "a product": (lambda x: x + TABLE @ torch.eye(6), True),
    "a remainder": (lambda x: x + torch.arange(6.0) % 4, True),
    "a tangent": (lambda x: x + torch.tan(torch.arange(6.0)), True),
    "a lookup": (lambda x: x + F.embedding(torch.tensor([0, 2, 1, 3]), TABLE), True),
    "ones like the input": (lambda x: x + torch.ones_like(x).cumsum(1), False),
    "a write into a part": (blocks, False),
    "what is made of that": (later, False),
    "a write at points": (points, False),
    "one hot": (lambda x: x + F.one_hot(torch.tensor([0, 1, 2, 3]), 6).float(), False),
    "a convolution": (lambda x: x + F.conv1d(TABLE[None], torch.ones(4, 4, 3), padding=1)[0], False),
    "a pooling": (lambda x: x + F.max_pool1d(TABLE[None], 3, 1, 1)[0], False),
    "a resize": (lambda x: x + F.interpolate(TABLE[None, None, :2, :3], scale_factor=2)[0, 0], False),
}


@pytest.mark.parametrize("name", USES)
def test_what_is_left_of_constants(name: str) -> None:
    """The converted program has more than the sum exactly where convlint says that something stays."""
    import coremltools as ct

    use, folds = USES[name]

    class Model(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return use(x)

    specs = parse_inputs(["4x6"])
    captured = capture(Source(Model, Model(), lambda: make_tensors(specs), specs))
    assert captured.graph is not None
    folded = folded_calls(captured.graph.calls, ios18=False)
    last = captured.graph.calls[-1].name
    stays = [call.op for call in captured.graph.calls if call.name not in folded and call.name != last]
    assert (not stays) is folds
    model = ct.convert(captured.program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)
    (function,) = model._mil_program.functions.values()
    kinds = {operation.op_type for operation in function.operations} - {"const", "cast", "add"}
    assert (not kinds) is folds, kinds


def test_rules_of_the_engine_are_silent_about_what_is_not_there(convlint: Convlint, tmp_path: Path) -> None:
    """No word of positions that become a constant; one block for what is said of many lines."""
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\n\n"
        "class Positions(nn.Module):\n    def forward(self, x):\n"
        "        return x + torch.arange(8).type_as(x) + (torch.arange(8) * 2).to(x.dtype).cumsum(0)\n\n\n"
        "class Steps(nn.Module):\n    def forward(self, t):\n"
        "        a = t * 2\n        b = a + 1\n        c = b - t\n        return torch.sin(c.float())\n",
        encoding="utf-8",
    )
    ran = convlint("check", "net.py:Positions", "--input", "4x8", "--no-trial", "--format", "concise")
    assert "CL2" not in ran.out
    ran = convlint("check", "net.py:Steps", "--input", "4:int32", "--no-trial", "--full")
    assert ran.out.count("note CL203") == 1
    assert "(4 places)" in ran.out
