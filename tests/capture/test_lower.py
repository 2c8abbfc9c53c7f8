"""The lowering without a second trace gives what ``run_decompositions({})`` gives, node by node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from real_models import ARCHITECTURES, Architecture
from torch import nn

from convlint import torch_adapter
from convlint.capture.build import build_on_meta, fake_weights
from convlint.capture.exporting import fake_inputs
from convlint.capture.lower import lower
from convlint.capture.methods import quiet_torch

LIGHT = (
    "resnet50",
    "mobilenet_v3_small",
    "vit_tiny",
    "convnext",
    "Bert",
    "GPT2",
    "Llama",
    "CLIP",
    "Segformer",
    "Mamba",
)
DAILY = ("vit_tiny", "Bert", "Llama", "Segformer", "Mamba")
"""Those of every run; the others stand behind ``corpus``."""


def exported(build: Callable[[], nn.Module], inputs: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
    mode = torch_adapter.fake_mode()
    module = fake_weights(build_on_meta(build).eval(), mode)
    args, kwargs = fake_inputs(inputs, mode)
    with quiet_torch(), torch.no_grad():
        return torch.export.export(module, args, kwargs or None, strict=False)


def spelled(program: Any) -> list[Any]:
    """Every call: target, arguments by position, and shape, strides and dtype of what it returns."""
    calls = []
    position = {node: index for index, node in enumerate(program.graph.nodes)}
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        value = node.meta.get("val")
        values = value if isinstance(value, (list, tuple)) else [value]
        calls.append(
            (
                str(node.target),
                str(torch.fx.map_arg(node.args, lambda source: f"%{position[source]}")),
                str(torch.fx.map_arg(node.kwargs, lambda source: f"%{position[source]}")),
                [(tuple(v.shape), v.stride(), v.dtype) for v in values if isinstance(v, torch.Tensor)],
                node.meta.get("stack_trace"),
            )
        )
    return calls


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(
            a, id=a.name, marks=[] if any(word in a.name for word in DAILY) else [pytest.mark.corpus]
        )
        for a in ARCHITECTURES
        if any(word in a.name for word in LIGHT)
    ],
)
def test_real_models_lower_to_the_same_graph(architecture: Architecture) -> None:
    program = exported(architecture.build, architecture.inputs())
    lowered = lower(program)
    assert lowered is not None, "this model should not need the second trace"
    reference = program.run_decompositions({})
    assert spelled(lowered) == spelled(reference)
    assert lowered.dialect == reference.dialect == "ATEN"
    assert len(lowered.graph_signature.output_specs) == len(reference.graph_signature.output_specs)


class WritesToView(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        z = y[:, 0]
        z.mul_(2)
        return y


class WritesToInput(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return x * 2


@pytest.mark.parametrize("model", [WritesToView, WritesToInput])
def test_a_write_that_something_else_sees_is_left_to_the_real_trace(model: type[nn.Module]) -> None:
    assert lower(exported(model, ((torch.rand(2, 3),), {}))) is None


class WritesAlone(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y += 1
        y.relu_()
        return y.reshape(-1).to(torch.float16).float().contiguous()


def test_a_write_that_nobody_else_sees_becomes_functional() -> None:
    program = exported(WritesAlone, ((torch.rand(2, 3),), {}))
    lowered = lower(program)
    assert lowered is not None
    assert spelled(lowered) == spelled(program.run_decompositions({}))


class MakesConstants(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = torch.tensor(2.0)
        shift = torch.tensor([1.0, 2.0, 3.0]).detach()
        return (x * scale + shift).detach_() - x.detach()


def test_constants_made_in_forward_and_detached_need_no_second_trace() -> None:
    program = exported(MakesConstants, ((torch.rand(2, 3),), {}))
    lowered = lower(program)
    assert lowered is not None
    assert spelled(lowered) == spelled(program.run_decompositions({}))
