"""``convlint.fix`` where torch.export has no program: branches decided by an example, split models."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

import convlint
from convlint.capture.cut import find_cut
from convlint.capture.reach import reached
from convlint.capture.recording import RecordedModule, record
from convlint.output.fix_report import FixReport
from convlint.output.fixed import fixed_to_dict, render_fixed
from convlint.repair.recorded.reference import branch_signature
from convlint.rewrites.einsum import einsum


@torch.library.custom_op("convlint_tests::keep_best", mutates_args=())
def keep_best(scores: torch.Tensor, threshold: float) -> torch.Tensor:
    """An op like a library's NMS: how many it keeps follows from the values."""
    return torch.nonzero(scores > threshold).flatten()


@keep_best.register_fake
def _(scores: torch.Tensor, threshold: float) -> torch.Tensor:
    return scores.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)


class Branches(nn.Module):
    """Reads its input twice, by the truth of a tensor and as a number that chooses a slice."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("table", torch.ones(4), persistent=False)

    def forward(self, x: torch.Tensor, *, scale: torch.Tensor) -> dict[str, torch.Tensor]:
        if x[0, 0] > 5:
            x = self.linear(x)
        rows = int((x < 1e6).all()) + 1
        y = self.norm(self.linear(x)) * self.table
        y[:rows] = 0.5
        return {"long": torch.hypot(y, scale), "kept": y}


class Detector(nn.Module):
    """Boxes and scores from a layer, then what every detector does with them."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 5)
        self.second = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raw = torch.hypot(self.head(x), self.head(x))
        boxes = raw[:, :4]
        scores = raw[:, 4].sigmoid()
        chosen = []
        for threshold in (0.5, 0.6):
            keep = keep_best(scores[:16], threshold)
            if keep.numel() > 100:
                keep = keep[:100]
            chosen.append(self.second(boxes[keep]))
        return (*chosen, raw.mean(0))


class Freezes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 1e6:
            x = x + 1
        return x / float(x.abs().max())


class StartsWithMask(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[x > 0]
        return x + 1 if x.numel() > 3 else x


class ChecksTheTracer(nn.Module):
    """What only a tracer stumbles over: no value of the input is read."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = None
        if not torch.compiler.is_compiling():
            mask = torch.ones(4)
        return torch.hypot(x, x) * mask.reshape(4)  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def branches() -> tuple[Branches, Any, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    model, kwargs = Branches().eval(), {"scale": torch.rand(3, 4)}
    x = torch.randn(3, 4)
    return model, convlint.fix(model, (x,), kwargs, unsafe=True), {"x": x, **kwargs}


def test_a_branch_on_data_is_decided_by_the_example_and_told(branches: Any) -> None:
    model, fixed, given = branches
    assert fixed.converts == "yes"
    kinds = [(change.kind, change.safety) for change in fixed.applied]
    assert kinds[0] == ("record", "safe")
    assert kinds.count(("branch", "unsafe")) == 2
    lines = [change.site.source for change in fixed.applied if change.kind == "branch"]
    assert lines == ["if x[0, 0] > 5:", "rows = int((x < 1e6).all()) + 1"]
    assert "False" in next(change.title for change in fixed.applied if change.kind == "branch")
    assert fixed.left_out is None
    assert list(fixed.module.state_dict()) == list(model.state_dict())
    assert fixed.module.linear.weight is model.linear.weight
    found = fixed.module(given["x"] * 2, scale=given["scale"])
    wanted = model(given["x"] * 2, scale=given["scale"])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_inputs_that_go_another_way_are_not_compared_and_that_is_told() -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 4)
    x[0, 0] = 9.0  # the other inputs are drawn with the same mean and spread, so that 5 is far away
    fixed = convlint.fix(Branches().eval(), (x,), {"scale": torch.rand(3, 4)}, unsafe=True)
    assert fixed.converts == "yes"
    assert any("take another branch" in text for text in fixed.checked)


def test_nothing_is_decided_without_being_asked(branches: Any) -> None:
    model, _, given = branches
    fixed = convlint.fix(model, (given["x"],), {"scale": given["scale"]})
    assert fixed.converts == "no"
    assert fixed.module is model
    assert fixed.applied == ()
    assert [change.kind for change in fixed.proposed] == ["record", "branch", "branch"]


def test_what_only_a_tracer_stumbles_over_needs_no_asking() -> None:
    fixed = convlint.fix(ChecksTheTracer(), (torch.randn(2, 4),))
    assert fixed.converts == "yes", fixed.notes
    assert fixed.applied[0].kind == "record"
    assert all(change.safety == "safe" for change in fixed.applied)


def test_a_number_computed_from_the_input_is_never_frozen() -> None:
    fixed = convlint.fix(Freezes(), (torch.randn(2, 4),), unsafe=True)
    assert fixed.converts == "no"
    assert any("frozen" in note for note in fixed.notes)


@pytest.fixture(scope="module")
def split() -> tuple[Detector, Any, torch.Tensor]:
    torch.manual_seed(0)
    model, x = Detector().eval(), torch.randn(20, 8)
    return model, convlint.fix(model, (x,), unsafe=True), x


def test_a_detector_is_split_before_its_nms(split: Any) -> None:
    model, fixed, x = split
    assert fixed.converts == "yes", fixed.remaining
    assert [change.op for change in fixed.applied if change.kind == "split"] == [
        "convlint_tests.keep_best.default"
    ]
    assert [one.variable for one in fixed.left_out.outputs] == ["boxes", "scores", ""]
    assert [one.meta.shape for one in fixed.left_out.outputs] == [(20, 4), (20,), (5,)]
    assert {call.op for call in fixed.left_out.calls} >= {
        "convlint_tests.keep_best.default",
        "aten.linear.default",
    }
    assert fixed.left_out.modules == ("second",)
    assert fixed.max_rel_error < 1e-5
    assert "gradients" in fixed.checked
    raw = torch.hypot(model.head(x), model.head(x))
    wanted = (raw[:, :4], raw[:, 4].sigmoid(), raw.mean(0))
    torch.testing.assert_close(fixed.module(x), wanted, rtol=1e-5, atol=1e-5)
    assert list(fixed.module.state_dict()) == list(model.state_dict())


def test_the_outputs_of_a_split_have_their_core_ml_names(split: Any) -> None:
    _, fixed, x = split
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import coremltools

        model = coremltools.convert(
            fixed.program, minimum_deployment_target=coremltools.target.iOS17, skip_model_load=True
        )
    names = [one.name for one in model.get_spec().description.output]
    assert names == [one.name for one in fixed.left_out.outputs]
    with pytest.warns(UserWarning, match="a part of the model: it gives"):
        convlint.convert(split[0], (x,), unsafe=True, skip_model_load=True)


def test_a_split_is_proposed_first(split: Any) -> None:
    model, _, x = split
    fixed = convlint.fix(model, (x,))
    assert fixed.converts == "no"
    assert fixed.module is model
    assert [change.kind for change in fixed.proposed][-1] == "split"
    assert [one.variable for one in fixed.left_out.outputs] == ["boxes", "scores", ""]
    text = shown(fixed)
    assert "not done without --unsafe" in text
    assert "would give instead" in text


def shown(fixed: Any) -> str:
    out = io.StringIO()
    render_fixed(FixReport("m:Model", fixed), Console(file=out, width=100, highlight=False))
    return out.getvalue()


def test_a_split_is_shown_with_what_is_left(split: Any) -> None:
    text = shown(split[1])
    assert "boxes float32[20x4]" in text
    assert "Left to you" in text
    assert "convlint_tests.keep_best.default" in text
    assert "Converts in part" in text
    plain = fixed_to_dict(FixReport("m:Model", split[1]))
    assert plain["left_out"]["outputs"][0]["variable"] == "boxes"
    assert plain["proposed"] == []


def test_a_model_that_starts_with_data_dependent_sizes_has_nothing_before_the_cut() -> None:
    fixed = convlint.fix(StartsWithMask(), (torch.randn(6),), unsafe=True)
    assert fixed.converts == "no"
    assert any("nothing is computed before aten." in note for note in fixed.notes)


class WritesThroughViews(nn.Module):
    """What follows from data is written into memory that is read under another name."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        base = x.exp()
        untouched = x.cos()
        row = base[0]
        row[torch.nonzero(x[0] > 0).flatten()] = 7.0
        return base * 2, untouched


def test_the_cut_follows_writes_into_shared_memory() -> None:
    recording = record(WritesThroughViews(), (torch.randn(2, 5),), {})
    assert recording.cut is not None
    left = {node.name for node in recording.cut.left}
    assert "mul" in left, "it reads base, a row of which was written to"
    assert "cos" not in left
    assert "cos" in {node.name for node in recording.cut.ends}


class LoopsOverWhatItKeeps(nn.Module):
    """As many constants as boxes, all of them behind the cut."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        scores = x.sigmoid()
        kept = scores[scores > 0.5]
        return [kept[place] * torch.tensor(float(place)) for place in range(kept.numel())]


def test_what_happens_behind_the_cut_is_no_other_way() -> None:
    ways = [
        branch_signature(record(LoopsOverWhatItKeeps(), (torch.tensor([signs]),), {}))
        for signs in ([1.0, -1.0, 1.0], [-1.0, 1.0, -1.0])
    ]
    assert ways[0] == ways[1]


class LooksUpConstants(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = torch.nonzero(torch.tensor([1.0, 0.0, 1.0, 0.0])).flatten()
        if x.sum() > 1e9:
            x = -x
        return x[:, places]


def test_sizes_that_follow_from_constants_are_no_reason_to_cut() -> None:
    model, x = LooksUpConstants(), torch.randn(2, 4)
    recording = record(model, (x,), {})
    assert recording.cut is None
    assert [str(decision.value) for decision in recording.decisions] == ["False"]
    torch.testing.assert_close(RecordedModule(model, recording)(x + 1), model(x + 1))
    assert convlint.fix(model, (x,), unsafe=True).converts == "yes"


class ReadsLists(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if x.tolist()[0][0] > 0 else torch.from_numpy(x.numpy() * 3) + x


def test_what_is_read_past_the_dispatcher_is_a_decision_too() -> None:
    for sign in (1.0, -1.0):
        recording = record(ReadsLists(), (torch.full((2, 2), sign),), {})
        assert recording.decisions


def test_reached_keeps_apart_what_shares_nothing() -> None:
    recording = record(WritesThroughViews(), (torch.randn(2, 5),), {})
    graph = recording.run.traced.graph
    found = {node.name for node in reached(graph, lambda node: node.name == "exp")}
    assert "cos" not in found
    assert find_cut(graph) is not None


EQUATIONS = [
    ("...qhd,...khd->...hqk", ((2, 3, 4, 2, 5), (2, 3, 6, 2, 5))),
    ("...hqk,...khd->...qhd", ((2, 3, 2, 4, 6), (2, 3, 6, 2, 5))),
    ("ij,jk", ((2, 3), (3, 4))),
    ("...i,ij->...j", ((2, 4, 3), (3, 5))),
    ("b...c,bc->b...", ((2, 4, 3, 5), (2, 5))),
    ("abc->ca", ((2, 3, 4),)),
    ("i,j->ij", ((2,), (3,))),
    ("ab,bc,cd->ad", ((2, 3), (3, 4), (4, 5))),
    ("nctv,vw->nctw", ((2, 3, 4, 5), (5, 5))),
    ("a...,b...->ab...", ((2, 1, 4), (3, 5, 4))),
    ("bnij,bnij->bn", ((2, 3, 4, 4), (2, 3, 4, 4))),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS, ids=lambda value: str(value)[:24])
def test_einsum_as_products(equation: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(shape) for shape in shapes]
    torch.testing.assert_close(
        einsum(equation, tensors), torch.einsum(equation, tensors), rtol=1e-4, atol=1e-5
    )
