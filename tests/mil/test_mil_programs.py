"""Whole programs: precision, control flow, lists, states, files, and what is told when one cannot run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import types
from mil_programs import float32, placeholder, program_of, value, values

import convlint
from convlint.mil import ExecutionError, run
from convlint.mil.executor import Machine


def test_half_precision_rounds_after_every_operation() -> None:
    x = np.array([2048.0], np.float16)
    # In float16 2048 + 1 is 2048, so adding one twice adds nothing; in float32 it adds two.
    program = program_of(lambda x: mb.add(x=mb.add(x=x, y=np.float16(1)), y=np.float16(1)), x=placeholder(x))
    (declared,) = run(program, {"x": x}).values()
    (wide,) = run(program, {"x": x}, precision="float32").values()
    assert declared.dtype == np.float16
    assert (declared.item(), wide.item()) == (2048, 2050)


def test_a_float32_program_can_be_run_in_half_precision() -> None:
    x = float32([60000.0])
    program = program_of(lambda x: mb.mul(x=x, y=np.float32(2)), x=placeholder(x))
    assert run(program, {"x": x}, "float32").popitem()[1].item() == 120000
    assert run(program, {"x": x}, "float16").popitem()[1].item() == np.inf


def test_an_epsilon_does_not_become_zero_in_half_precision() -> None:
    x = float32([0.0])
    program = program_of(lambda x: mb.rsqrt(x=x, epsilon=1e-12), x=placeholder(x))
    assert run(program, {"x": x}, "float16").popitem()[1].item() == 4096


def test_sums_are_kept_wide_within_one_operation() -> None:
    ones = np.ones((1, 4096), np.float16)
    weight = np.ones((1, 4096), np.float16)
    result = value(lambda x: mb.linear(x=x, weight=weight), x=ones)
    assert result.item() == 4096  # summing in float16 would stop at 2048


def test_the_accumulator_of_the_neural_engine_overflows_below_float16() -> None:
    x = np.full((1, 2), 20000, np.float16)
    program = program_of(lambda x: mb.linear(x=x, weight=np.ones((1, 2), np.float16)), x=placeholder(x))
    assert run(program, {"x": x}).popitem()[1].item() == 40000
    assert run(program, {"x": -x}, accumulator_limit=32752).popitem()[1].item() == -np.inf


def test_the_limit_does_not_touch_float32() -> None:
    x = float32([[40000.0]])
    program = program_of(lambda x: mb.linear(x=x, weight=np.ones((1, 1), np.float32)), x=placeholder(x))
    assert run(program, {"x": x}, accumulator_limit=32752).popitem()[1].item() == 40000


@pytest.mark.parametrize(("x", "expected"), [(3.0, 6.0), (-3.0, 3.0)])
def test_a_branch(x: float, expected: float) -> None:
    def build(x: Any) -> Any:
        positive = mb.squeeze(x=mb.greater(x=x, y=np.float32(0)))
        return mb.cond(
            pred=positive,
            _true_fn=lambda: mb.mul(x=x, y=np.float32(2)),
            _false_fn=lambda: mb.mul(x=x, y=np.float32(-1)),
        )

    assert value(build, x=float32([x])).item() == expected


def test_a_loop_with_a_list() -> None:
    """Powers of two, written into a list that grows."""

    def build(n: Any) -> Any:
        def condition(i: Any, ls: Any) -> Any:
            return mb.less(x=i, y=mb.squeeze(x=n))

        def body(i: Any, ls: Any) -> Any:
            power = mb.pow(x=np.float32([2]), y=mb.expand_dims(x=mb.cast(x=i, dtype="fp32"), axes=[0]))
            return mb.add(x=i, y=1), mb.list_write(ls=ls, index=i, value=power)

        ls = mb.make_list(init_length=1, dynamic_length=True, elem_shape=(1,))
        count, ls = mb.while_loop(_cond=condition, _body=body, loop_vars=(0, ls))
        return [mb.list_gather(ls=ls, indices=[0, 3]), mb.list_length(ls=ls), count]

    gathered, length, count = values(build, n=np.array([5], np.int32))
    assert gathered.ravel().tolist() == [1, 8]
    assert length.item() == count.item() == 5


def stateful() -> Any:
    def build(total: Any, x: Any) -> Any:
        new = mb.add(x=mb.read_state(input=total), y=x)
        return mb.coreml_update_state(state=total, value=new)

    return program_of(
        build,
        "iOS18",
        total=mb.state_tensor_placeholder(shape=(2,), dtype=types.fp16),
        x=mb.placeholder(shape=(2,), dtype=types.fp16),
    )


def test_a_state_starts_at_zero_and_lives_on_in_the_dictionary() -> None:
    program, state = stateful(), dict[str, Any]()
    x = np.array([1, 2], np.float16)
    for times in (1, 2, 3):
        (total,) = run(program, {"x": x}, state=state).values()
        assert total.tolist() == [times, 2 * times]
    assert state["total"].tolist() == [3, 6]
    assert state["total"].dtype == np.float16
    assert run(program, {"x": x}).popitem()[1].tolist() == [1, 2]


class Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.gelu(self.norm(self.convolution(x))).mean((2, 3))


def converted(precision: Any, target: Any = ct.target.iOS17) -> tuple[Any, Any, torch.Tensor]:
    torch.manual_seed(0)
    module, x = Small().eval(), torch.randn(1, 3, 8, 8)
    program = torch.export.export(module, (x,)).run_decompositions({})
    model = ct.convert(
        program, minimum_deployment_target=target, compute_precision=precision, skip_model_load=True
    )
    with torch.no_grad():
        return model, module(x).numpy(), x


def test_a_package_on_disk_and_the_model_in_memory_give_the_same(tmp_path: Path) -> None:
    model, expected, x = converted(ct.precision.FLOAT16)
    path = tmp_path / "small.mlpackage"
    model.save(str(path))
    (from_memory,) = run(model, {"x": x}).values()
    (from_disk,) = run(str(path), {"x": x}).values()
    assert from_disk.tolist() == from_memory.tolist()
    assert from_disk == pytest.approx(expected, abs=5e-3)


def test_the_executor_agrees_with_pytorch_at_float32() -> None:
    model, expected, x = converted(ct.precision.FLOAT32)
    assert run(model, {"x": x.numpy()}).popitem()[1] == pytest.approx(expected, abs=1e-6)


def test_palettised_weights(tmp_path: Path) -> None:
    from coremltools.optimize.coreml import OpPalettizerConfig, OptimizationConfig, palettize_weights

    model, expected, x = converted(ct.precision.FLOAT32, ct.target.iOS18)
    config = OptimizationConfig(OpPalettizerConfig(nbits=8, mode="uniform", weight_threshold=0))
    small = palettize_weights(model, config)
    path = tmp_path / "palettised.mlpackage"
    small.save(str(path))
    (found,) = run(str(path), {"x": x}).values()
    assert found == pytest.approx(expected, abs=2e-2)
    assert found.tolist() != expected.tolist()


def test_one_function_of_several() -> None:
    program = program_of(lambda x: mb.add(x=x, y=np.float32(1)), x=mb.placeholder(shape=(1,)))
    other = program_of(lambda x: mb.add(x=x, y=np.float32(2)), x=mb.placeholder(shape=(1,)))
    program.add_function("other", other.functions["main"])
    assert run(program, {"x": [0.0]}).popitem()[1].item() == 1
    assert run(program, {"x": [0.0]}, function="other").popitem()[1].item() == 2
    with pytest.raises(ExecutionError, match="no function 'third'; it has main, other"):
        run(program, {"x": [0.0]}, function="third")


def test_values_are_forgotten_after_their_last_use() -> None:
    def build(x: Any) -> Any:
        for _ in range(5):
            x = mb.relu(x=x)
        return x

    program = program_of(build, x=mb.placeholder(shape=(1,)))
    machine = Machine(None, None, {}, watch=lambda operation, results: alive.append(len(machine.values)))
    alive: list[int] = []
    machine.call(program.functions["main"], {"x": float32([1])})
    assert alive == [1, 1, 1, 1, 1]


def test_the_program_is_not_written_into() -> None:
    weight = np.ones((2, 2), np.float32)
    program = program_of(lambda x: mb.matmul(x=x, y=weight), x=mb.placeholder(shape=(1, 2)))
    (found,) = run(program, {"x": float32([[1, 1]])}).values()
    found[:] = 9
    assert run(program, {"x": float32([[1, 1]])}).popitem()[1].tolist() == [[2, 2]]


def test_wrong_inputs_are_named() -> None:
    program = program_of(lambda x: mb.relu(x=x), x=mb.placeholder(shape=(1, 2)))
    with pytest.raises(ExecutionError, match="x missing; y unknown"):
        run(program, {"y": [1]})
    with pytest.raises(
        ExecutionError, match=r"input 'x' has the shape \(3\), and the program declares \(1, 2\)"
    ):
        run(program, {"x": [1.0, 2.0, 3.0]})


def test_what_is_no_program_is_told() -> None:
    with pytest.raises(ExecutionError, match="Give a MIL program, an MLModel of type mlprogram"):
        run("nowhere.mlpackage", {})


def test_a_classifier_gives_its_label_and_all_probabilities() -> None:
    program = program_of(
        lambda x: mb.classify(probabilities=x, classes=mb.const(val=_labels(["cat", "dog"]))),
        x=mb.placeholder(shape=(2,)),
    )
    label, probabilities = run(program, {"x": float32([0.25, 0.75])}).values()
    assert label == "dog"
    assert probabilities == {"cat": 0.25, "dog": 0.75}


def _labels(names: list[str]) -> Any:
    from coremltools.converters.mil.mil import mil_list

    return mil_list(names)


def test_the_executor_is_reached_from_the_package() -> None:
    assert convlint.mil.run is run
