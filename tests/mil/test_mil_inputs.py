"""What ``convlint.mil.run`` says to what cannot be run: one paragraph with the next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import types
from mil_programs import float32, placeholder, program_of

from convlint.errors import ConvlintError
from convlint.mil import ExecutionError, run


def doubled(dtype: Any = types.fp32, shape: tuple[int, ...] = (2,)) -> Any:
    return program_of(lambda x: mb.identity(x=x), "iOS17", x=mb.placeholder(shape=shape, dtype=dtype))


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        (types.fp32, ["a", "b"], "input 'x' is a list of <U1, and the program declares fp32"),
        (types.fp32, [None, None], "is a list of object, and the program declares fp32"),
        (types.fp32, [[1.0], [1.0, 2.0]], "is not an array"),
        (types.fp32, np.array([1j, 2]), "is complex, and the program declares fp32"),
        (types.int32, [1.5, 2.0], "holds 1.5, and the program declares int32"),
        (types.int32, [np.nan, 2.0], "holds nan, and the program declares int32"),
        (types.int32, [2**40, 2], "which int32 cannot hold"),
        (types.uint8, [-1, 2], "holds -1, which uint8 cannot hold"),
        (types.bool, [2, 0], "holds 2, which bool cannot hold"),
        (types.fp32, [1.0, 2.0, 3.0], r"has the shape \(3\), and the program declares \(2\)"),
    ],
)
def test_values_that_an_input_cannot_hold(dtype: Any, value: Any, said: str) -> None:
    with pytest.raises(ExecutionError, match=said):
        run(doubled(dtype), {"x": value})


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (types.fp32, np.array([1, 2], np.int64)),
        (types.fp32, np.array([True, False])),
        (types.fp16, np.array([1, 2], np.float64)),
        (types.int32, np.array([1.0, 2.0])),
        (types.int32, np.array([1, 2], np.int64)),
        (types.bool, np.array([1, 0], np.int32)),
        (types.uint16, np.array([1, 65535], np.uint16)),
        (types.fp32, torch.tensor([1, 2])),
    ],
)
def test_values_that_keep_their_numbers_are_converted(dtype: Any, value: Any) -> None:
    (found,) = run(doubled(dtype), {"x": value}).values()
    np.testing.assert_array_equal(found, np.asarray(value))


def test_names_and_options() -> None:
    program = doubled()
    with pytest.raises(ExecutionError, match="x missing; y unknown"):
        run(program, {"y": [1, 2]})
    with pytest.raises(ExecutionError, match="a list, and the program needs a dictionary"):
        run(program, [float32(1, 2)])  # type: ignore[arg-type]
    with pytest.raises(ExecutionError, match="'float8' is not a precision"):
        run(program, {"x": [1, 2]}, "float8")  # type: ignore[arg-type]
    with pytest.raises(ExecutionError, match="accumulator limit of -1"):
        run(program, {"x": [1, 2]}, accumulator_limit=-1)
    with pytest.raises(ExecutionError, match="no function 'other'; it has main"):
        run(program, {"x": [1, 2]}, function="other")


def test_a_state_of_another_shape_is_told() -> None:
    program = program_of(
        lambda total: mb.read_state(input=total),
        "iOS18",
        total=mb.state_tensor_placeholder(shape=(2,), dtype=types.fp16),
    )
    with pytest.raises(ExecutionError, match=r"state 'total' has the shape \(3\)"):
        run(program, {}, state={"total": float32(1, 2, 3)})


def test_what_is_no_program(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mlpackage"
    empty.mkdir()
    for source, said in [
        (tmp_path / "none.mlpackage", "there is nothing at this path"),
        (empty, "cannot be read as a MIL program"),
        (torch.nn.ReLU(), "a ReLU is no program, no model and no path"),
        (None, "a NoneType is no program"),
    ]:
        with pytest.raises(ExecutionError, match=said) as told:
            run(source, {})
        assert "Give a MIL program, an MLModel" in str(told.value)


def saved(path: Path) -> Path:
    weight = np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32)
    program = program_of(
        lambda x: mb.linear(x=x, weight=weight), "iOS17", x=placeholder(np.ones((1, 64), np.float32))
    )
    ct.convert(program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True).save(str(path))
    return path


def test_a_corrupted_package(tmp_path: Path) -> None:
    path = saved(tmp_path / "model.mlpackage")
    x = {"x": np.ones((1, 64), np.float32)}
    assert next(iter(run(path, x).values())).shape == (1, 64)
    (weights,) = path.rglob("weight.bin")
    whole = weights.read_bytes()
    weights.write_bytes(whole[:100])
    with pytest.raises(ConvlintError, match="cannot be read as a MIL program"):
        run(str(path), x)
    weights.write_bytes(whole)
    (model,) = path.rglob("*.mlmodel")
    model.write_bytes(b"nonsense")
    with pytest.raises(ConvlintError, match="cannot be read as a MIL program"):
        run(str(path), x)


def test_a_neural_network_of_the_old_format() -> None:
    from coremltools.models.neural_network import NeuralNetworkBuilder

    builder = NeuralNetworkBuilder(
        [("x", ct.models.datatypes.Array(2))], [("y", ct.models.datatypes.Array(2))]
    )
    builder.add_activation("relu", "RELU", "x", "y")
    model = ct.models.MLModel(builder.spec, skip_model_load=True)
    with pytest.raises(ExecutionError, match="of type neuralNetwork holds no MIL program") as told:
        run(model, {"x": [1, 2]})
    assert "of type mlprogram" in str(told.value)


def test_an_operation_of_no_op_set() -> None:
    program = doubled()
    (operation,) = program.functions["main"].operations
    operation.__class__ = type("unheard_of", (type(operation),), {})
    with pytest.raises(ExecutionError, match="cannot execute the operation unheard_of"):
        run(program, {"x": [1, 2]})
