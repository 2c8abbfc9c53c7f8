"""The private APIs of coremltools that the MIL executor leans on still are what it takes them for.

Those of the trial have their tests in ``test_trial.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import get_new_symbol, types
from mil_programs import program_of

from convlint import coremltools_adapter as adapter


def conv_program() -> Any:
    return program_of(
        lambda x: mb.conv(x=x, weight=np.ones((1, 1, 2), np.float32), strides=[1]),
        x=mb.placeholder(shape=(1, 1, get_new_symbol())),
    )


def test_types_of_variables() -> None:
    function = conv_program().functions["main"]
    assert adapter.value_type(function.inputs["x"]) == ("fp32", (1, 1, None))
    program = program_of(lambda x: mb.shape(x=x), x=mb.placeholder(shape=(2, 3)))
    assert adapter.value_type(program.functions["main"].outputs[0]) == ("int32", (2,))


def test_parameters_are_told_from_values() -> None:
    (conv,) = adapter.operations(conv_program())
    assert adapter.is_parameter(conv, "strides")
    assert not adapter.is_parameter(conv, "x")


def test_states_are_told_from_tensors() -> None:
    program = program_of(
        lambda s: mb.read_state(input=s), "iOS18", s=mb.state_tensor_placeholder(shape=(2,), dtype=types.fp16)
    )
    function = program.functions["main"]
    assert adapter.is_state(function.inputs["s"])
    assert adapter.value_type(function.inputs["s"]) == ("fp16", (2,))
    assert not adapter.is_state(function.outputs[0])


def test_programs_are_found_in_models_and_files(tmp_path: Path) -> None:
    exported = torch.export.export(torch.nn.ReLU(), (torch.rand(2),)).run_decompositions({})
    model = ct.convert(exported, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)
    program = adapter.mil_program(model)
    assert adapter.mil_program(program) is program
    path = tmp_path / "relu.mlpackage"
    model.save(str(path))
    read = adapter.mil_program(path)
    assert [op.op_type for op in adapter.operations(read)] == [
        op.op_type for op in adapter.operations(program)
    ]


def test_other_kinds_of_models_are_refused() -> None:
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    builder = NeuralNetworkBuilder([("x", datatypes.Array(1))], [("y", datatypes.Array(1))])
    builder.add_activation("relu", "RELU", "x", "y")
    model = ct.models.MLModel(builder.spec, skip_model_load=True)
    with pytest.raises(TypeError, match="neuralNetwork holds no MIL program"):
        adapter.mil_program(model)


def test_the_op_sets_are_listed() -> None:
    assert {"conv", "while_loop", "constexpr_lut_to_sparse"} < adapter.operation_names()


def test_inputs_are_checked_as_for_an_ml_program() -> None:
    listed = [ct.TensorType(shape=ct.EnumeratedShapes([[1, 4], [1, 8]])) for _ in range(2)]
    adapter.check_inputs(listed, ct.target.iOS18)
    with pytest.raises(ValueError, match="single enumerated shape input"):
        adapter.check_inputs(listed, ct.target.iOS17)
    adapter.check_inputs([ct.ImageType(shape=(1, 3, 8, 8))], ct.target.iOS17)
    with pytest.raises(ValueError, match=r"of kind \(1, 3, H, W\)"):
        adapter.check_inputs([ct.ImageType(shape=(2, 3, 8, 8))], ct.target.iOS17)


class Halves(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left, right = self.linear(x).chunk(2, -1)
        return left * right


def test_the_frontend_tells_what_each_value_of_the_exported_graph_became() -> None:
    program = torch.export.export(Halves(), (torch.rand(1, 4),)).run_decompositions({})
    heard: dict[str, Any] = {}
    with adapter.transcription(heard.__setitem__):
        ct.convert(program, convert_to="milinternal", pass_pipeline=adapter.complex_pipeline())
    names = [node.name for node in program.graph.nodes if node.op == "call_function"]
    assert set(names) <= set(heard)
    assert adapter.is_variable(heard[names[-1]])
    assert not adapter.is_variable(names[-1])


def test_the_frontend_tells_what_each_value_of_a_traced_graph_became() -> None:
    traced = torch.jit.trace(Halves().eval(), torch.rand(1, 4))  # type: ignore[no-untyped-call]
    graph, weights = adapter.torchscript_graph(traced)
    assert set(weights) == {"linear.weight", "linear.bias"}
    heard: dict[str, Any] = {}
    with adapter.transcription(heard.__setitem__):
        ct.convert(traced, convert_to="milinternal", inputs=[ct.TensorType(shape=(1, 4))])
    (output,) = graph.outputs()
    assert heard[output.debugName()].shape == (1, 2)
