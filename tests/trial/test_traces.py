"""What a trace for TorchScript loses of a model is told, and never called a conversion of it as it is."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import checkpoint

import convlint
from convlint.model import Report
from convlint.model.verdict import verdict

PICTURE = torch.rand(1, 3, 8, 8)


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)


class Branch(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.max() > 1.5:
            x = x / 255.0
        return self.conv(x)


class Length(Base):
    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        n = int(lengths.max())
        return self.conv(x)[..., :n]


class Read(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) * x.sum().item()


class Together(Base):
    def forward(self, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + torch.tensor([a, b]).sum()


class SizeFromData(Base):
    """No value is read here: the size of the selection is, which follows from values."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = x[x > 0.5]
        if chosen.numel() > 10:
            x = x * 2
        return self.conv(x)


class OldConstructor(Base):
    """Nothing of torch tells that this reads; the trace has an input that nothing follows from."""

    def forward(self, x: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + torch.FloatTensor([a, b]).sum()


def site_of(forward: Any, text: str) -> int:
    lines = inspect.getsourcelines(forward)
    return lines[1] + next(n for n, line in enumerate(lines[0]) if text in line)


@pytest.mark.parametrize(
    ("model", "inputs", "line", "what"),
    [
        (Branch, (PICTURE,), "if x.max()", "the branch"),
        (Length, (PICTURE, torch.tensor([4])), "n = int", "the value"),
        (Read, (PICTURE,), "x.sum().item()", "the value"),
        (SizeFromData, (PICTURE,), "if chosen.numel()", "the branch"),
        (Together, (PICTURE, torch.rand(()), torch.rand(())), "torch.tensor", "the value"),
        (OldConstructor, (PICTURE, torch.rand(()), torch.rand(())), "def forward", "input 2"),
    ],
)
def test_what_a_trace_fixes_is_an_error_at_its_line(
    model: type[nn.Module], inputs: tuple[Any, ...], line: str, what: str
) -> None:
    frontend = "torchscript" if model is Read else "auto"
    report = convlint.check(model(), inputs, frontend=frontend)
    (error,) = (f for f in report.errors())
    assert error.rule.code == "CL389"
    assert error.site is not None
    assert error.site.line == site_of(model.forward, line)
    assert verdict(report).headline.startswith(f"Converts with {what} frozen at ")
    assert report.exit_code == 1


class Harmless(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert (x < 1000).all()
        text = f"{x.mean():.3f}"
        if self.conv.weight.sum() > 1e9 or x.shape[1] > 5:
            x = x * len(text)
        return self.conv(x)


def test_sizes_weights_assertions_and_texts_fix_nothing_of_the_input() -> None:
    report = convlint.check(Harmless(), PICTURE, frontend="auto")
    assert report.convertible == "yes"
    assert report.exit_code == 0
    assert report.trial is not None
    assert report.trial.provisos == ()


class Untraceable(Base):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return checkpoint(self.conv, x, use_reentrant=True)


def test_what_cannot_be_traced_does_not_convert_through_torchscript() -> None:
    report = convlint.check(Untraceable(), PICTURE, frontend="torchscript")
    assert report.convertible == "no"
    assert report.exit_code == 1
    assert [error.rule.code for error in report.errors()] == ["CL008"]
    assert "RuntimeError" in next(report.errors()).message


class Keyless(dict[str, Any]):
    """As the outputs of diffusers: registered with torch, and not with names for what it holds."""


pytree.register_pytree_node(
    Keyless,
    lambda whole: (list(whole.values()), list(whole)),
    lambda values, keys: Keyless(zip(keys, values, strict=True)),
    serialized_type_name="tests.Keyless",
)


@dataclasses.dataclass
class Plain:
    y: torch.Tensor


class Returns(Base):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, x: torch.Tensor) -> Any:
        y = self.conv(x)
        made: dict[str, Any] = {
            "keyless": lambda: {"sample": Keyless(of=y, pair=(y + 1, y + 2))},
            "dict": lambda: {"out": y},
            "none": lambda: (y, None),
            "dataclass": lambda: Plain(y),
            "nested": lambda: (y, [y + 1]),
        }
        return made[self.kind]()


def asked(kind: str, frontend: Any) -> Report:
    return convlint.check(Returns(kind), PICTURE, frontend=frontend)


def test_outputs_of_classes_without_keys_cost_no_frontend_and_have_their_paths() -> None:
    report = asked("keyless", "export")
    assert report.convertible == "yes"
    assert report.graph is not None
    paths = ["['sample']['of']", "['sample']['pair'][0]", "['sample']['pair'][1]"]
    assert [port.path for port in report.graph.outputs] == paths


@pytest.mark.parametrize(
    ("kind", "export", "torchscript"),
    [
        ("dict", "", "dict"),
        ("none", "None", "None"),
        ("dataclass", "Plain", "Plain"),
        ("nested", "", ""),
    ],
)
def test_outputs_that_had_to_be_others_are_named_in_the_verdict(
    kind: str, export: str, torchscript: str
) -> None:
    line = site_of(Returns.forward, "return made")
    for frontend, odd in (("export", export), ("torchscript", torchscript)):
        headline = verdict(asked(kind, frontend)).headline
        if odd:
            assert f"once the outputs are tensors or tuples of tensors, with no {odd} at " in headline
            assert headline.endswith(f"test_traces.py:{line}.")
        else:
            assert headline.startswith("Converts as it is")


class TakesDict(Base):
    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.conv.weight.sum() > 1e9:  # which torch.export refuses
            return batch["x"]
        return self.conv(batch["x"]) + batch["y"]


def test_nested_inputs_are_taken_apart_for_a_trace_and_that_is_told() -> None:
    report = convlint.check(
        TakesDict(), ({"x": PICTURE, "y": torch.rand(1, 4, 6, 6)},), frontend="torchscript"
    )
    assert report.convertible == "yes"
    assert "once each input is a tensor by itself, and not in a dict at " in verdict(report).headline


def test_a_trace_takes_the_way_that_a_user_s_trace_takes() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    report = convlint.check(layer, torch.rand(1, 4, 8), frontend="torchscript")
    assert report.convertible == "yes"
    assert not list(report.errors())


class Named(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.register_buffer(name, torch.linspace(0, 1, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + getattr(self, self.name)


class Coded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("code", torch.linspace(0, 1, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.code


def test_names_that_torch_s_modules_own_are_refused_where_coremltools_does() -> None:
    x = torch.rand(2, 4)
    for frontend, name, inside in (
        ("export", "recompile", False),
        ("torchscript", "save", False),
        ("torchscript", "code", True),
    ):
        model = nn.Sequential(Named(name)) if inside else Named(name)
        report = convlint.check(model, x, frontend=frontend)
        assert report.convertible == "no", (frontend, name)
        assert f"{name}' is called as an attribute of torch." in next(report.errors()).message
    for frontend, name, inside in (
        ("export", "save", False),
        ("export", "code", True),
        ("torchscript", "recompile", False),
    ):
        model = nn.Sequential(Named(name)) if inside else Named(name)
        assert convlint.check(model, x, frontend=frontend).convertible == "yes", (frontend, name)
    report = convlint.check(Coded(), x, frontend="auto")
    assert report.convertible == "no"
    (error,) = (finding for finding in report.errors() if finding.rule.code == "CL009")
    assert error.site is not None
    assert error.site.line == site_of(Coded, 'register_buffer("code"')


@dataclasses.dataclass
class Batch:
    x: torch.Tensor
    y: torch.Tensor


class TakesDataclass(Base):
    def forward(self, batch: Batch) -> torch.Tensor:
        return self.conv(batch.x) + batch.y


def test_a_dataclass_as_an_input_gets_in_and_torch_forgets_it_again() -> None:
    batch = Batch(PICTURE, torch.rand(1, 4, 6, 6))
    report = convlint.check(TakesDataclass(), (batch,), frontend="export")
    assert report.graph is not None
    assert [port.path for port in report.graph.inputs] == ["batch.x", "batch.y"]
    headline = verdict(report).headline
    assert headline.startswith("Converts once torch.export.register_dataclass(Batch) is called before at ")
    assert Batch not in pytree.SUPPORTED_NODES
    report = convlint.check(TakesDataclass(), (batch,), frontend="torchscript")
    assert "once each input is a tensor by itself, and not in a Batch at " in verdict(report).headline
