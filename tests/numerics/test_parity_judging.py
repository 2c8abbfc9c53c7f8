"""What a comparison calls a difference: a real one by its call and place; no rounding, order or start."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import convlint
from convlint.model.parity import Parity
from convlint.model.verdict import verdict
from convlint.output.terminal import render_text


class Running(nn.Module):
    def __init__(self, start: float) -> None:
        super().__init__()
        self.register_buffer("total", torch.full((3,), start))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.total.add_(x)
        return self.total * 5


def test_states_start_at_zeros_on_both_sides_and_are_handed_on() -> None:
    for start in (0.0, 7.0):
        model = Running(start)
        p = convlint.parity(model, torch.rand(3), target="iOS18")
        assert p.status == "equal", p
        assert 0 < p.max_rel_error < 1e-3, "three steps, in which the float16 of the state shows"
        assert torch.equal(model.total, torch.full((3,), start)), "the caller's buffer is as it was"
        assert any("total holds something else" in remark for remark in p.remarks) == (start != 0)


class Kept(nn.Module):
    """A state that is written wrongly shows at the second step alone."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("last", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = self.last * 2
        self.last.add_(functional.cosine_similarity(x, x + 1, 0, eps=100.0))
        return before + x


def test_what_is_written_to_a_state_is_compared_too() -> None:
    assert convlint.parity(Kept(), torch.tensor([-1.0, -2.0, -0.5, 3.0]), target="iOS18").status == "differs"


class Refused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.total.add_(x)
        return self.total * 5


def test_a_trace_is_no_way_around_a_state() -> None:
    p = convlint.parity(Refused(), torch.rand(3), target="iOS17")
    assert (p.status, p.frontend) == ("refused", "export")
    report = convlint.check(Refused(), torch.rand(3), target="iOS17")
    assert report.convertible == "no"


class Logarithm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log10(self.linear(x).relu())


def test_an_infinity_of_a_function_is_a_remark() -> None:
    torch.manual_seed(0)
    p = convlint.parity(Logarithm(), torch.randn(2, 4))
    assert p.status == "equal"
    (remark,) = p.remarks
    assert "log10(0) is -inf in PyTorch and -44.8535 in the program" in remark


class Triangle(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.triu(torch.full((4, 4), float("-inf")), 1) + x


def test_a_lost_infinity_of_the_model_itself_is_a_difference() -> None:
    assert convlint.parity(Triangle(), torch.randn(4, 4)).status in ("differs", "overflows")


class Angle(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.atan2(y, x)


def test_a_difference_at_special_numbers_is_a_warning_with_an_example() -> None:
    report = convlint.check(Angle(), (torch.randn(8), torch.randn(8)), parity="float32")
    p = report.parity
    assert p is not None
    assert (p.status, p.severity, report.exit_code) == ("differs", "warning", 0)
    assert p.max_rel_error > 0.1, "the errors are those of the run that differs"
    told = verdict(report)
    assert told.headline.startswith("Converts. At some numbers the program gives something else: atan2(0")
    assert "is 3.14159 in PyTorch and 0 in the program" in told.headline
    assert told.next_step == "CL329 above says when."
    assert "the MIL operation add named 'atan2'" in render_text(report)
    loud = convlint.check(Angle(), (torch.randn(8), torch.randn(8)), parity="float32", fail_on="warning")
    assert loud.exit_code == 1


class Rounding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.norm(x.reshape(8, 1)), functional.normalize(x).pow(2).sum(-1) - 1


def test_rounding_is_no_difference() -> None:
    p = convlint.parity(Rounding(), torch.randn(2, 4))
    assert p.status == "equal", p
    assert any("rounding" in remark for remark in p.remarks)


class Cosine(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return functional.cosine_similarity(x, y, eps=0.1)


def test_a_small_but_true_difference_is_one() -> None:
    p = convlint.parity(Cosine(), (torch.tensor([[0.01, 0.02]]), torch.tensor([[3.0, 4.0]])))
    assert (p.status, p.severity) == ("differs", "error")
    assert p.first_divergence is not None
    assert p.first_divergence.example_text.startswith("cosine_similarity is 0.22 in PyTorch and 0.98387 in")


class Total(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.abs() * 1e-12).sum().rsqrt()


def test_a_scalar_has_an_example_too() -> None:
    p = convlint.parity(Total(), torch.rand(2))
    assert p.first_divergence is not None
    assert p.first_divergence.example is not None
    assert p.first_divergence.example.pytorch > 1.2 * p.first_divergence.example.program


class Search(nn.Module):
    def forward(self, edges: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return torch.searchsorted(edges, x)


def test_unsorted_boundaries_are_undefined_and_left_out() -> None:
    p = convlint.parity(Search(), (torch.arange(5.0), torch.rand(3) * 5))
    assert p.status == "equal"
    assert any("undefined where its boundaries are not sorted" in remark for remark in p.remarks)


class Filled(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.empty(2, dtype=torch.int32).fill_(2.7) + x


def test_memory_that_nobody_has_filled_is_no_suspect() -> None:
    p = convlint.parity(Filled(), torch.rand(2))
    assert p.first_divergence is not None
    assert p.first_divergence.op == "aten.fill.Scalar"
    assert p.first_divergence.example is not None
    assert p.first_divergence.example.pytorch == 2.0


class Picky(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x[(y > 2).sum(0).unsqueeze(0), :]


def test_random_inputs_that_the_model_refuses_are_left_out() -> None:
    p = convlint.parity(Picky(), (torch.rand(3, 3), torch.tensor([[1, 3], [2, 9], [1, 1]])))
    assert p.status == "equal"


class Twice(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x + 1
        return y, y, x * 2


@pytest.mark.parametrize("frontend", ["export", "torchscript"])
def test_a_tensor_that_is_returned_twice_is_compared_twice(frontend: Any) -> None:
    assert convlint.parity(Twice(), torch.rand(2), frontend=frontend).status == "equal"


def _boxes(threshold: float) -> Parity:
    torchvision = pytest.importorskip("torchvision")

    class Suppression(nn.Module):
        def forward(self, boxes: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            return boxes[torchvision.ops.nms(boxes, scores, threshold)] * 2

    # Two boxes whose overlap is exactly one of five parts.
    boxes = torch.tensor([[0.0, 0.0, 3.0, 1.0], [2.0, 0.0, 5.0, 1.0], [9.0, 9.0, 10.0, 10.0]])
    return convlint.parity(
        Suppression(), (boxes, torch.tensor([0.9, 0.8, 0.7])), seeds=1, edge_cases=False, target="iOS17"
    )


def test_an_overlap_at_the_threshold_goes_as_in_pytorch() -> None:
    for threshold in (0.2, 0.19, 0.21):
        assert _boxes(threshold).status == "equal"


def test_the_frontend_that_converts_is_taken_and_named(capfd: object) -> None:
    lstm = nn.LSTM(4, 4)

    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lstm

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.lstm(x)[0]

    p = convlint.parity(Steps(), torch.rand(5, 1, 4))
    assert (p.status, p.frontend) == ("equal", "torchscript")


def test_no_bar_and_no_log_line_comes_out_of_a_comparison(capfd: object) -> None:
    convlint.parity(Twice(), torch.rand(2))
    out, err = capfd.readouterr()  # type: ignore[attr-defined]
    assert (out, err) == ("", "")


def test_an_unknown_frontend_is_refused() -> None:
    with pytest.raises(convlint.errors.UsageError, match="auto, export or torchscript"):
        convlint.parity(Twice(), torch.rand(2), frontend="bogus")  # type: ignore[arg-type]


def test_a_tensor_that_is_given_twice_stands_for_two_inputs() -> None:
    class Apart(torch.nn.Module):
        def forward(self, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
            return y - 2 * x

    x = torch.randn(2, 4)
    assert convlint.parity(Apart(), (x, x)).status == "equal"
    assert convlint.parity(Apart(), (x,), {"x": x}).status == "equal"


def test_a_boolean_that_the_program_has_as_a_number_is_shown() -> None:
    class Filled(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.zeros(2, 4, dtype=torch.bool).fill_(5)

    first = convlint.parity(Filled(), torch.randn(2, 4)).first_divergence
    assert first is not None
    assert first.example_text == "fill is 1 in PyTorch and 5 in the program"


def test_a_state_that_became_an_input_is_compared_after_the_changes() -> None:
    class Total(torch.nn.Module):
        total: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("total", torch.zeros(4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.total += x
            return self.total * 2

    report = convlint.check(Total(), torch.randn(4), target="iOS17", parity="float32")
    assert report.repair is not None
    assert [change.kind for change in report.repair.applied] == ["state"]
    assert report.parity is not None
    assert report.parity.status == "equal"
