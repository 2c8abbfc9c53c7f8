"""Capturing: without weights, at the user's own lines, and by some way whatever the model does."""

from __future__ import annotations

import linecache
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import convlint
from convlint.capture.build import kept_attributes
from convlint.capture.failures import PATTERNS
from convlint.capture.methods import (
    EXPORT_FAKE,
    RECORDED,
    Capture,
    Source,
    capture,
)
from convlint.errors import ModelError
from convlint.model import OpCall
from convlint.rules.subjects import CAPTURE_KINDS
from convlint.usercode.sites import place_of_frames


def captured(build: Callable[[], nn.Module], *inputs: torch.Tensor, **named: torch.Tensor) -> Capture:
    return capture(Source(build, None, lambda: (inputs, named)))


def line_of(call: OpCall) -> str:
    assert call.site is not None
    return linecache.getline(call.site.path, call.site.line).strip()


def find(result: Capture, op: str) -> OpCall:
    assert result.graph is not None
    return next(call for call in result.graph.calls if call.op == op)


def double(x: torch.Tensor) -> torch.Tensor:
    return torch.hypot(x, x)  # in a helper


class WithHelper(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return double(self.body(x))


def test_a_line_in_a_helper_function_is_kept() -> None:
    call = find(captured(WithHelper, torch.rand(1, 3, 8, 8)), "aten.hypot.default")
    assert line_of(call) == "return torch.hypot(x, x)  # in a helper"
    assert call.site is not None
    assert call.site.function == "double"


def test_a_layer_of_torch_is_told_at_the_line_that_calls_it_with_its_module_path() -> None:
    call = find(captured(WithHelper, torch.rand(1, 3, 8, 8)), "aten.conv2d.default")
    assert line_of(call) == "return double(self.body(x))"
    assert (call.module, call.module_type) == ("body.0", "Conv2d")


class Found(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.new_zeros(x.nonzero().shape[0] * 2)


def test_arithmetic_with_sizes_and_assertions_of_torch_are_calls_too() -> None:
    found = captured(Found, torch.rand(4, 6))
    assert find(found, "aten._assert_scalar.default").site is not None
    size, product = find(found, "aten.sym_size.int"), find(found, "_operator.mul")
    assert size.out is None
    assert product.args["arg0"].startswith(f"symbolic {size.name}: ")


class Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("same", torch.full((3,), 0.5))
        self.register_buffer("different", torch.arange(3.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, second = x.split(2)
        return torch.relu(second) * self.same + self.different


def test_a_part_of_several_names_its_call_and_constants_tell_what_they_hold() -> None:
    model = Halves()
    found = capture(Source(None, model, lambda: ((torch.rand(4, 3),), {})))
    part = find(found, "aten.relu.default").args["self"]
    assert (part.producer, part.call, part.output) == (
        "aten.split.Tensor",
        find(found, "aten.split.Tensor").name,
        1,
    )
    assert find(found, "aten.mul.Tensor").args["other"].value == 0.5
    assert find(found, "aten.add.Tensor").args["other"].value == "varied"


def test_arguments_are_bound_by_schema_with_defaults() -> None:
    call = find(captured(WithHelper, torch.rand(1, 3, 8, 8)), "aten.conv2d.default")
    assert call.args["stride"] == (1, 1)
    assert call.args["groups"] == 1
    assert call.given == ("input", "weight", "bias")
    assert call.args["weight"].origin == "parameter"
    assert call.args["weight"].const
    assert not call.args["input"].const
    assert call.out is not None
    assert (call.out.shape, call.out.dtype) == ((1, 4, 6, 6), "float32")


class Huge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(200_000, 200_000)  # 160 GB of weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_weights_are_never_made() -> None:
    result = captured(Huge, torch.rand(1, 200_000))
    assert result.method == EXPORT_FAKE
    assert result.graph is not None
    assert result.graph.parameter_bytes > 150e9


class ReadsValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = float(torch.linspace(0, 1, 5).sum().item())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale


def test_a_constructor_that_reads_values_reads_them() -> None:
    result = captured(ReadsValues, torch.rand(2))
    assert result.method == EXPORT_FAKE
    assert result.failures == ()
    assert result.graph is not None
    assert result.graph.calls[0].args["other"] == 2.5


class Branches(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if choose(x):
            return torch.diff(x)
        return x


def choose(x: torch.Tensor) -> bool:
    return bool(x.sum() > -1e9)  # the user's branch


def test_a_branch_on_data_is_recorded_and_its_line_in_a_helper_is_told() -> None:
    result = captured(Branches, torch.rand(4))
    assert result.method == RECORDED
    assert result.program is None
    kinds = {failure.kind for failure in result.failures}
    assert "data-dependent-branch" in kinds
    failure = next(f for f in result.failures if f.kind == "data-dependent-branch")
    assert failure.site is not None
    assert failure.site.source == "return bool(x.sum() > -1e9)  # the user's branch"
    call = find(result, "aten.diff.default")
    assert line_of(call) == "return torch.diff(x)"


class Inner(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.sum() > -1e9:
            x = torch.hypot(x, x)
        return x


def test_a_recorded_run_knows_its_modules() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x)

    call = find(captured(Outer, torch.rand(4)), "aten.hypot.default")
    assert (call.module, call.module_type) == ("inner", "Inner")


def test_a_forward_that_raises_is_the_users_error_with_the_line() -> None:
    with pytest.raises(ModelError, match="shapes cannot be multiplied") as caught:
        captured(lambda: nn.Sequential(nn.Linear(3, 4)), torch.rand(1, 5))
    assert "check --input" in str(caught.value)


def test_an_input_of_a_dtype_that_pytorch_refuses_is_the_users_error() -> None:
    """Tensors without data multiply integers by floats; PyTorch does not."""
    with pytest.raises(ModelError, match="dtype"):
        captured(lambda: nn.Linear(3, 4), torch.zeros(1, 3, dtype=torch.int64))


def test_an_instance_keeps_its_weights_flags_and_device() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.BatchNorm1d(3))
    model[2].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    flags = [part.training for part in model.modules()]
    result = capture(Source(None, model, lambda: ((torch.rand(2, 3),), {})))
    assert result.method == EXPORT_FAKE
    assert [part.training for part in model.modules()] == flags
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_keyword_inputs_integers_and_nested_outputs() -> None:
    class Nested(nn.Module):
        def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> dict[str, Any]:
            x = ids.float() if mask is None else ids * mask
            return {"a": (x, [x + 1]), "none": None}

    result = captured(
        Nested, ids=torch.zeros(1, 4, dtype=torch.int64), mask=torch.ones(1, 4, dtype=torch.bool)
    )
    assert result.graph is not None
    assert [(port.name, str(port.meta)) for port in result.graph.inputs] == [
        ("ids", "int64[1x4]"),
        ("mask", "bool[1x4]"),
    ]
    assert [port.kind for port in result.graph.outputs] == ["tensor", "tensor", "constant"]
    assert result.program is not None


def test_a_tied_weight_is_one_weight() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(10, 4)
            self.head = nn.Linear(4, 10, bias=False)
            self.head.weight = self.embed.weight

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.head(self.embed(ids))

    result = captured(Tied, torch.zeros(1, 3, dtype=torch.int64))
    assert result.method == EXPORT_FAKE


def test_a_hanging_forward_is_ended() -> None:
    class Hangs(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            while True:
                pass

    with pytest.raises(ModelError, match="not finished after"):
        capture(Source(Hangs, None, lambda: ((torch.rand(1),), {})), limit=0.5)


class HandsOn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, x: torch.Tensor, unread: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y = x * 2.0
        return y, y.view(2, 4).clone(), y.view(8), x.reshape(2, 4), self.scale, self.scale * 2.0, y + x


def test_outputs_tell_what_they_hand_on_and_inputs_whether_they_are_read() -> None:
    graph = captured(HandsOn, torch.rand(2, 4), torch.rand(3)).graph
    assert graph is not None
    first = graph.outputs[0].name
    assert [port.same_as for port in graph.outputs] == ["", first, "", "x", "", "", ""]
    assert [port.const for port in graph.outputs] == [False] * 4 + [True, True, False]
    assert [(port.name, port.used) for port in graph.inputs] == [("x", True), ("unread", False)]


class Masked(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mask = torch.full((4, 4), float("-inf")).unsqueeze(0).expand(2, 4, 4)
        kept = x.masked_fill(x > 0, -3.0).masked_fill(x < 0, 2.0).permute(0, 2, 1)
        return torch.triu(mask) + torch.tril(kept) + torch.relu(x)


def test_a_number_that_the_model_writes_is_followed_through_ops_that_move_elements() -> None:
    result = captured(Masked, torch.rand(2, 4, 4))
    assert find(result, "aten.triu.default").args["self"].fill == float("-inf")
    assert find(result, "aten.tril.default").args["self"].fill == -3.0
    assert find(result, "aten.relu.default").args["self"].fill is None


class AsksForNumber(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * float(x.max())


class WritesText(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + len(f"{x.mean():.3f}")


@pytest.mark.parametrize(("build", "kind"), [(AsksForNumber, "python-number"), (WritesText, "tensor-text")])
def test_what_stops_an_export_has_a_word_and_a_line(build: Callable[[], nn.Module], kind: str) -> None:
    result = captured(build, torch.rand(4))
    assert result.program is None
    failure = result.failures[0]
    assert failure.kind == kind
    assert failure.site is not None
    assert failure.site.source.startswith("return x ")


def test_a_file_that_a_library_wrote_is_not_the_users(tmp_path: Path) -> None:
    """It is the line that called the library; a model in a temporary folder is the user's own."""
    library = f"{sys.prefix}/lib/site-packages/geometric/conv.py"
    written = f"{tempfile.gettempdir()}/geometric.propagate.py"
    own, model = "/home/somebody/net.py", f"{tmp_path}/net.py"
    place = place_of_frames([(own, 9, "forward"), (library, 5, "propagate"), (written, 245, "propagate")])
    assert (place.site and place.site.path, place.caller and place.caller.path) == (written, own)
    place = place_of_frames([("/home/somebody/story.py", 74, "main"), (model, 25, "forward")])
    assert (place.site and place.site.path, place.caller) == (model, None)
    command = f"{sysconfig.get_path('scripts')}/convlint"
    place = place_of_frames([(command, 8, "<module>"), (library, 5, "forward")])
    assert (place.site and place.site.path, place.caller) == (library, None)


def test_capture_rules_can_name_what_stops_a_capture() -> None:
    assert {kind for kind, _ in PATTERNS} < set(CAPTURE_KINDS)


class Merging(nn.Module):
    """Merges its two convolutions whenever it runs in eval mode, as SPAN does, and moves its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.rand(1, 3, 1, 1)
        self.wide, self.narrow, self.merged = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean = self.mean.type_as(x)
        self.sum = self.wide.weight.data.clone() + self.narrow.weight.data.clone()
        self.merged.weight.data = self.sum.contiguous()
        return self.merged(x - self.mean)


def test_weights_that_forward_puts_together_end_no_process() -> None:
    """torch.export makes a constant without numbers of them, and torch crashes where it reads one."""
    model = Merging()
    before = set(vars(model))
    report = convlint.check(model, torch.rand(1, 3, 8, 8), parity="float32")
    assert report.convertible == "yes"
    assert report.parity is not None
    assert report.parity.status == "equal"
    assert report.graph is not None
    assert [port.meta.shape for port in report.graph.outputs if port.meta is not None] == [(1, 3, 8, 8)]
    assert type(model.mean) is torch.Tensor
    assert set(vars(model)) == before


class Remembering(nn.Module):
    """Keeps a table for each length that it has met, as many models keep their masks."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[int, torch.Tensor] = {3: torch.arange(3.0)}
        self.last: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.last = self.tables.setdefault(x.shape[-1], torch.arange(float(x.shape[-1])))
        self.met = x.shape
        return x + self.last


def test_what_forward_keeps_while_it_is_captured_is_forgotten() -> None:
    """A table from an export has no numbers, and a run that found it there would have none either."""
    model = Remembering()
    tables = model.tables
    with kept_attributes(model):
        model(torch.rand(2, 4))
        assert set(tables) == {3, 4}
    assert model.tables is tables
    assert set(tables) == {3}
    assert model.last is None
    assert not hasattr(model, "met")
