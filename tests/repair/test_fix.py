"""``convlint.fix``: refused models that convert afterwards, compute the same, and keep their weights."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import convlint
from convlint.repair.search import candidates
from convlint.repair.search.candidates import Candidate
from convlint.rewrites.table import Rewrite, rewrites_of


class Elementwise(nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mask = (x > 0) & ((y > 0) | (y < -1))
        kept = torch.where(mask, x, 0.0)
        return (
            torch.hypot(x, y) + kept,
            torch.logaddexp(x, y),
            torch.lerp(x, y, 0.3),
            torch.addcdiv(x, y, y * y + 1),
        )


class Reductions(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x.diff(dim=1), x.cummax(1)[0], x.prod(2), x.std(2), torch.cdist(x, x), x.cumsum(-1)


class Places(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        edges = torch.tensor([-1.0, 0.0, 1.0])
        wide = x.new_ones(2, 3)
        y = x.clone()
        y[:, 1] = 0.5
        return torch.bucketize(x, edges), y, x[:, :, :999], wide, x.unfold(1, 3, 2), torch.roll(x, (1,), (2,))


class Resizing(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = x.unsqueeze(1)
        return (
            functional.interpolate(x, scale_factor=2, mode="bicubic"),
            functional.interpolate(x, size=(5, 9), mode="nearest-exact"),
            functional.adaptive_avg_pool2d(x, (5, 3)),
            functional.pad(x, (1, 1, 2, 0), mode="circular"),
        )


class HighRank(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        windows = x.view(2, 2, 4, 2, 4, 8).permute(0, 1, 3, 2, 4, 5)
        q, k, v = self.qkv(windows).chunk(3, -1)
        mixed = torch.softmax(q * k, 2) * v
        return mixed.permute(0, 1, 3, 2, 4, 5).reshape(2, 8, 8, 8) + x


class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        angles = torch.outer(torch.arange(6.0), torch.rand(4))
        self.register_buffer("turns", torch.polar(torch.ones(6, 4), angles), persistent=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        pairs = torch.view_as_complex(x.reshape(2, 6, 4, 2))
        turned = torch.view_as_real(pairs * self.turns).flatten(2)
        return turned, torch.fft.rfft2(x).abs(), torch.fft.irfft(torch.fft.rfft(x), n=8)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 6, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(12, 5, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.gru(self.lstm(x)[0])[0]


REFUSED: list[tuple[type[nn.Module], tuple[torch.Size, ...]]] = [
    (Elementwise, (torch.Size((2, 6, 8)),) * 2),
    (Reductions, (torch.Size((2, 6, 8)),)),
    (Places, (torch.Size((2, 6, 8)),)),
    (Resizing, (torch.Size((2, 6, 8)),)),
    (HighRank, (torch.Size((2, 8, 8, 8)),)),
    (Complex, (torch.Size((2, 6, 8)),)),
    (Recurrent, (torch.Size((2, 6, 8)),)),
]


@pytest.mark.parametrize(("model", "shapes"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_refused_model_converts_and_computes_the_same(
    model: type[nn.Module], shapes: tuple[torch.Size, ...]
) -> None:
    torch.manual_seed(0)
    original = model()
    inputs = tuple(torch.randn(shape) for shape in shapes)
    assert convlint.check(original, inputs, frontend="export").convertible == "no"
    fixed = convlint.fix(original, inputs)
    assert fixed.converts == "yes", fixed.remaining
    assert fixed.applied
    assert fixed.max_rel_error is not None
    assert fixed.max_rel_error < 1e-5
    assert "gradients" in fixed.checked
    with torch.no_grad():
        wanted, found = original(*inputs), fixed.module(*inputs)
    for one, other in zip(_tuple(wanted), _tuple(found), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


def _tuple(value: Any) -> tuple[torch.Tensor, ...]:
    return value if isinstance(value, tuple) else (value,)


class Tied(nn.Module):
    """Tied weights, a frozen parameter, two kinds of buffers, keyword inputs and nested outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(8, 8)
        self.second = nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.first.bias.requires_grad_(False)
        self.unused = nn.Parameter(torch.ones(2))
        self.register_buffer("kept", torch.ones(8))
        self.register_buffer("gone", torch.arange(8.0), persistent=False)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> dict[str, Any]:
        y = self.dropout(self.second(self.first(x))) * self.kept + self.gone
        return {"long": torch.hypot(y, scale), "parts": (y, None)}


@pytest.fixture(scope="module")
def tied() -> tuple[Tied, Any, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    model = Tied().train()
    model.dropout.eval()
    kwargs = {"x": torch.randn(3, 8), "scale": torch.rand(3, 8)}
    return model, convlint.fix(model, (), kwargs), kwargs


def test_the_weights_keep_their_names_and_are_the_same_tensors(tied: Any) -> None:
    model, fixed, _ = tied
    assert fixed.converts == "yes"
    assert list(fixed.module.state_dict()) == list(model.state_dict())
    assert fixed.module.first.weight is model.first.weight
    assert fixed.module.second.weight is model.first.weight
    assert {n for n, p in fixed.module.named_parameters() if not p.requires_grad} == {"first.bias"}


def test_the_original_is_left_as_it_was(tied: Any) -> None:
    model, fixed, _ = tied
    assert model.training
    assert not model.dropout.training
    assert fixed.module.training
    assert not fixed.module.dropout.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_outputs_keep_their_structure(tied: Any) -> None:
    model, fixed, kwargs = tied
    found = fixed.module(**kwargs)
    assert found.keys() == {"long", "parts"}
    assert found["parts"][1] is None
    torch.testing.assert_close(found["long"], model.eval()(**kwargs)["long"])
    model.train()
    model.dropout.eval()


def test_the_fixed_module_trains(tied: Any) -> None:
    _, fixed, kwargs = tied
    module = copy.deepcopy(fixed.module)
    before = module.first.weight.detach().clone()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    module(**kwargs)["long"].sum().backward()
    optimiser.step()
    assert not torch.equal(module.first.weight, before)
    assert torch.equal(fixed.module.first.weight, before)


def test_the_fixed_module_takes_other_weights_and_dtypes(tied: Any) -> None:
    _, fixed, kwargs = tied
    other = Tied().eval()
    module = copy.deepcopy(fixed.module)
    module.load_state_dict(other.state_dict())
    torch.testing.assert_close(module(**kwargs)["long"], other(**kwargs)["long"])
    double = {name: value.double() for name, value in kwargs.items()}
    assert module.double()(**double)["long"].dtype is torch.float64


def test_the_fixed_module_exports_again(tied: Any) -> None:
    _, fixed, kwargs = tied
    again = convlint.check(fixed.module, (), kwargs, target="iOS17")
    assert again.convertible == "yes"


def test_a_model_that_converts_is_returned_as_it_is() -> None:
    model = nn.Linear(4, 4)
    fixed = convlint.fix(model, (torch.randn(1, 4),))
    assert fixed.module is model
    assert fixed.converted_before
    assert fixed.converts == "yes"
    assert fixed.applied == ()


def test_convert_is_the_drop_in() -> None:
    import coremltools

    model = convlint.convert(
        Elementwise(), (torch.randn(2, 3), torch.randn(2, 3)), skip_model_load=True, target="iOS16"
    )
    assert isinstance(model, coremltools.models.MLModel)
    assert model.get_spec().specificationVersion == 7  # that of iOS16


def test_convert_says_what_is_left() -> None:
    class Hopeless(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvalsh(x)

    with pytest.raises(convlint.errors.ModelError, match="linalg_eigh"):
        convlint.convert(Hopeless(), (torch.eye(3),))


def test_a_rewrite_that_is_wrong_is_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    real = candidates.candidates

    def lying(node: Any) -> Any:
        if "hypot" in str(node.target):
            yield Candidate("rewrite", "a wrong one", lambda self, other: self + other)
            return
        yield from real(node)

    monkeypatch.setattr("convlint.repair.search.choices.candidates", lying)
    torch.manual_seed(0)
    model = Elementwise()
    fixed = convlint.fix(model, (torch.randn(2, 3), torch.randn(2, 3)))
    assert fixed.converts == "no"
    assert any("hypot" in failure.op for failure in fixed.remaining)
    assert any("hypot" in text for text in fixed.rolled_back)
    assert {change.op for change in fixed.applied} >= {"aten.__and__.Tensor", "aten.where.ScalarOther"}


class FoldsTable(nn.Module):
    """A mask made from sizes alone, by ops that coremltools refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = torch.arange(6)
        mask = places.new_ones(6, 6).tril() & places.diff(append=places[-1:]).unsqueeze(0)
        return (x * self.weight).masked_fill(mask == 0, -1.0)


def test_what_depends_on_no_input_is_computed_once_and_weights_are_not() -> None:
    fixed = convlint.fix(FoldsTable(), (torch.randn(2, 6, 6),))
    assert fixed.converts == "yes"
    assert [change.kind for change in fixed.applied] == ["fold"]
    assert "weight" in fixed.module.state_dict()
    fixed.module(torch.randn(2, 6, 6)).sum().backward()
    assert fixed.module.weight.grad is not None


class Unsafe(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.copysign(x, x - 1)


def test_what_may_differ_for_some_inputs_is_done_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsafe(op: str) -> tuple[Rewrite, ...]:
        return tuple(dataclasses.replace(entry, safety="unsafe") for entry in rewrites_of(op))

    monkeypatch.setattr(candidates, "rewrites_of", unsafe)  # none of today's differs for some input
    inputs = (torch.randn(2, 3),)
    asked = convlint.fix(Unsafe(), inputs, unsafe=True)
    assert (asked.converts, [change.safety for change in asked.applied]) == ("yes", ["unsafe"])
    unasked = convlint.fix(Unsafe(), inputs)
    assert (unasked.converts, unasked.applied) == ("no", ())
    assert [failure.op for failure in unasked.remaining] == ["aten.copysign.Tensor"]


class WritesToInput(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x.add_(1)
        return torch.hypot(x, x)


def test_a_model_that_changes_its_input_is_told_and_not_changed_on_the_sly() -> None:
    fixed = convlint.fix(WritesToInput(), (torch.ones(2, 3),))
    assert fixed.converts == "no"
    assert fixed.remaining


class Odd(nn.Module):
    """Random numbers, and outputs that are views of the input."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.hypot(x, x) + torch.rand_like(x), x[:, :2], x.transpose(0, 1)


def test_random_numbers_and_views_of_inputs_are_kept() -> None:
    x = torch.randn(2, 3)
    fixed = convlint.fix(Odd(), (x,))
    assert fixed.converts == "yes"
    torch.manual_seed(7)
    wanted = Odd()(x)
    torch.manual_seed(7)
    found = fixed.module(x)
    for one, other in zip(wanted, found, strict=True):
        torch.testing.assert_close(other, one)


class AfterSeveralResults(nn.Module):
    """Defaults to spell out, behind rewritten calls that have more than one result."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 8, batch_first=True)
        self.gru = nn.GRU(8, 8, batch_first=True)
        self.norm = nn.RMSNorm(8)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        rolled = torch.roll(x.cummax(1)[0], 3)
        return self.norm(self.lstm(x)[0]), functional.max_pool2d(self.gru(x)[0], 2), rolled


def test_defaults_are_spelled_out_behind_calls_that_were_rewritten() -> None:
    fixed = convlint.fix(AfterSeveralResults(), torch.randn(1, 6, 8))
    assert fixed.converts == "yes", fixed.remaining
    kinds = {change.op: change.kind for change in fixed.applied}
    assert kinds["aten.roll.default"] == "defaults"
    # With its defaults spelled out it converts, to a norm without them: the rules say so.
    assert kinds["aten.rms_norm.default"] in ("correction", "rewrite")
    assert fixed.max_rel_error is not None
    assert fixed.max_rel_error < 1e-4


def test_a_fixed_has_no_truth_value() -> None:
    fixed = convlint.fix(nn.ReLU(), (torch.ones(2),))
    with pytest.raises(TypeError, match="no truth value"):
        bool(fixed)


class Sensitive(nn.Module):
    """A change of the last bit of an input moves the output by far more than the tolerance."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rest = torch.hypot(x, x).detach() * 1e6 - 1e6 * 1.4142135 * x.abs().detach()
        return rest + torch.diff(x, dim=-1, append=x[:, :1])


def test_rounding_that_the_model_magnifies_takes_no_change_back() -> None:
    torch.manual_seed(0)
    fixed = convlint.fix(Sensitive(), torch.rand(4, 8) + 1)
    assert fixed.converts == "yes"
    assert not fixed.rolled_back
    assert {change.op for change in fixed.applied} >= {"aten.hypot.default", "aten.diff.default"}


class ScalesItself(nn.Module):
    """Writes to its own weights at the first run in eval mode, as RWKV does."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.weight.mul_(1.0)
        return torch.hypot(x, x) * self.weight


@pytest.mark.skipif(
    torch.__version__ < "2.9", reason="torch.export of 2.7 takes no module that writes to its parameters"
)
def test_what_is_written_to_parameters_is_left_out() -> None:
    fixed = convlint.fix(ScalesItself(), torch.rand(2, 4))
    assert fixed.converts == "yes", fixed.remaining
    assert any("written to" in note or "writes to the parameter weight" in note for note in fixed.notes)
    assert fixed.ships


def test_one_change_that_is_wrong_does_not_take_the_others_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change that no value blames is found by halving; the others stay."""
    from convlint.repair import fixing
    from convlint.rewrites.table import Rewrite

    torch.manual_seed(0)
    original = candidates.rewrites_of

    def one_wrong(op: str) -> Any:
        if op == "aten.hypot.default":
            return (Rewrite("wrong", (op,), lambda self, other: self + other),)
        return original(op)

    monkeypatch.setattr(candidates, "rewrites_of", one_wrong)
    monkeypatch.setattr(candidates.torch_adapter, "decomposition_of", lambda op: None)
    monkeypatch.setattr(fixing, "first_changes", lambda *given: frozenset())
    fixed = convlint.fix(Elementwise(), (torch.rand(2, 6), torch.rand(2, 6)))
    assert fixed.converts == "no"
    assert any(text.startswith("hypot") for text in fixed.rolled_back)
    assert {failure.op for failure in fixed.remaining} == {"aten.hypot.default"}
