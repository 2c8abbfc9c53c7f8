"""A changed module beside the original: outputs, gradients, and the inputs that they are compared on."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import convlint
from convlint.capture.methods import Source
from convlint.errors import UsageError
from convlint.numerics.comparison import compare
from convlint.numerics.gradients import gradient_problem, gradients_of, lost_gradient
from convlint.numerics.noise import noise_of
from convlint.numerics.samples import varied
from convlint.runtimes.subject import RuntimeSubject


class Scaled(nn.Module):
    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight * self.factor


class Undefined(Scaled):
    """The same outputs, with a gradient of NaN: the root of zero times zero."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + (self.weight - self.weight).sqrt() * 0


INPUTS = ((torch.randn(4),), {})


def test_the_same_function_agrees_and_says_what_was_compared() -> None:
    done = compare(Scaled(), Scaled(), INPUTS, 3, gradients=True, others=[((torch.randn(2, 4),), {})])
    assert done.problem == ""
    assert done.checked == (
        "outputs of 3 inputs",
        "outputs at 1 other sizes",
        "gradients",
        "outputs in float64",
    )


def test_the_first_thing_that_differs_is_the_problem() -> None:
    done = compare(Scaled(), Scaled(1.01), INPUTS, 3, gradients=True)
    assert done.problem.startswith("it differs by")
    assert done.max_rel_error == pytest.approx(0.01, rel=1e-3)
    assert done.checked == ("outputs of 3 inputs",)


def test_a_gradient_of_nan_is_no_gradient_that_was_kept() -> None:
    assert compare(Scaled(), Undefined(), INPUTS, 1, gradients=False).problem == ""
    problem = gradient_problem(Scaled(), Undefined(), INPUTS)
    assert problem.startswith("the gradient of weight differs and is not finite")


def test_a_gradient_flows_through_the_imaginary_part_too() -> None:
    class Imaginary(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.complex(torch.zeros_like(x), x)

    (gradient,) = gradients_of(Imaginary(), INPUTS).values()
    assert gradient is not None
    assert bool(gradient.any())


def test_an_input_is_counted_among_all_tensors() -> None:
    class Cut(nn.Module):
        def __init__(self, cut: bool) -> None:
            super().__init__()
            self.cut = cut

        def forward(self, place: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return (x.detach() if self.cut else x)[place].sum() + x.detach().sum()

    inputs = ((torch.tensor([1]), torch.randn(4)), {})
    assert lost_gradient(Cut(False), Cut(True), inputs) == "no gradient flows to input 2 any more"
    assert lost_gradient(Cut(False), Cut(False), inputs) == ""


def test_a_model_that_draws_numbers_proves_nothing() -> None:
    class Random(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + torch.rand(4, generator=self.generator)

        generator = torch.Generator()

    assert "nothing" in compare(Random(), Random(), INPUTS, 2, gradients=False).checked[0]


def test_constant_inputs_are_drawn_where_sizes_alone_are_known() -> None:
    example = ((torch.zeros(64), torch.ones(3, dtype=torch.bool), torch.tensor([2, 2])), {})
    assert varied(example, 0) is example
    (drawn, mask, numbers), _ = varied(example, 0, booleans=False, constants=True)
    assert drawn.std() > 0.5
    assert mask.all()
    assert numbers.tolist() == [2, 2]
    (_, mask, _), _ = varied(((drawn, torch.ones(64, dtype=torch.bool), numbers), {}), 1)
    assert not mask.all()


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_an_example_without_a_spread_leaves_numbers_to_compare(value: float) -> None:
    example = ((torch.tensor([value, 1.0, 2.0]),), {})
    for constants in (False, True):
        (drawn,), _ = varied(example, 1, constants=constants)
        assert drawn.isfinite().all()


def test_noise_is_that_of_float32_beside_exact_numbers() -> None:
    class Root(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sqrt()

    x = torch.rand(1000) + 1
    floors = noise_of(Root(), ((x,), {}), [x.sqrt().numpy()])
    assert floors is not None
    assert 2.0**-24 < floors[0] < 4 * 2.0**-22


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_runtime_that_gives_nan_has_an_infinite_error(bad: float, tmp_path: Path) -> None:
    x = torch.rand(3)
    subject = RuntimeSubject(Source(None, nn.ReLU(), lambda: ((x,), {})), "iOS18", 60.0, tmp_path)
    assert subject.error_of(x) == 0
    assert subject.error_of(torch.tensor([bad, *x[1:]])) == math.inf


class Forbidden(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise AssertionError("nothing is run before the arguments are known to be right")


def never() -> nn.Module:
    raise AssertionError("nothing is built before the arguments are known to be right")


@pytest.mark.parametrize(
    ("name", "value"), [("frontend", "bogus"), ("precision", "int8"), ("target", "iOS3"), ("seeds", 0)]
)
@pytest.mark.parametrize("model", [Forbidden(), never])
def test_parity_refuses_what_it_does_not_know_before_any_work(
    name: str, value: object, model: object
) -> None:
    with pytest.raises(UsageError):
        convlint.parity(model, torch.rand(2), **{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("frontend", "bogus"),
        ("parity", "float8"),
        ("parity", "yes"),
        ("precision", "int8"),
        ("target", "iOS3"),
        ("trial", "bogus"),
    ],
)
@pytest.mark.parametrize("model", [Forbidden(), never])
def test_a_check_refuses_what_it_does_not_know_before_any_work(
    name: str, value: object, model: object
) -> None:
    with pytest.raises(UsageError):
        convlint.check(model, torch.rand(2), **{"parity": "float32", name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_distances_of_points_to_themselves_pass_no_gradient_of_nan(p: float) -> None:
    class Distances(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cdist(x, x, p=p)

    torch.manual_seed(0)
    fixed = convlint.fix(Distances(), torch.randn(5, 3))
    assert fixed.converts == "yes", fixed.rolled_back
    assert "gradients" in fixed.checked
