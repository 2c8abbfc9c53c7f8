"""Python functions speak of their arguments: every text that names an option is said anew for them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from conftest import ROOT

import convlint
from convlint.errors import ConvlintError
from convlint.wording import in_python

OPTION = re.compile(r"(?<![\w-])--[a-z]")
COMMAND = re.compile(r"`convlint [a-z ]*--[^`]*`")
"""What a text may still send a reader to: a command as a whole."""
ROOMS = (
    "capture",
    "checking",
    "compression",
    "interface",
    "model",
    "numerics",
    "placement",
    "repair",
    "trial",
)
OF_COMMANDS = (
    "placement/measure.py",
    "placement/measured_plans.py",
    "repair/source/script.py",
    "repair/source/helper_file.py",
)
"""Modules that only commands use, and texts that are written into files."""


def texts() -> Iterator[tuple[str, str]]:
    """The strings of the rooms that functions use, but docstrings."""
    for room in ROOMS:
        for file in sorted((ROOT / "convlint" / room).rglob("*.py")):
            place = file.relative_to(ROOT / "convlint").as_posix()
            tree = ast.parse(file.read_text(encoding="utf-8"))
            said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
            for node in ast.walk(tree):
                text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
                if text and place not in OF_COMMANDS:
                    yield f"{place}:{node.lineno}", node.value


def test_no_text_speaks_of_options_to_a_caller() -> None:
    named = {place: text for place, text in texts() if OPTION.search(text)}
    assert len(named) > 20, "the texts are found"
    left = {
        place: said
        for place, text in named.items()
        if OPTION.search(COMMAND.sub("", said := in_python(text)))
    }
    assert left == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("give --target iOS18, or", 'give target="iOS18", or'),
        ("give --target iOS18.", 'give target="iOS18".'),
        ("--frontend torchscript tries it", 'frontend="torchscript" tries it'),
        ("write --input 'x=100' or", 'write example_inputs=["x=100"] or'),
        ("under --compute-units cpu+gpu:", 'under compute_units="cpu+gpu":'),
        ("Raise --timeout, or try the other --frontend.", "Raise timeout, or try the other frontend."),
        ("nothing --else is touched, nor --inputs", "nothing --else is touched, nor --inputs"),
    ],
)  # fmt: skip
def test_an_option_becomes_an_argument(text: str, said: str) -> None:
    assert in_python(text) == said


class Two(torch.nn.Module):
    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


X = torch.ones(1, 3)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: convlint.check(Two()), "example_inputs and kwargs"),
        (lambda: convlint.fix(Two(), X), "example_inputs and kwargs"),
        (lambda: convlint.plan(Two(), {"a": X}), "example_inputs and kwargs"),
        (lambda: convlint.parity(Two(), (X, X.to(torch.complex64), X)), "example_inputs and kwargs"),
        (lambda: convlint.check(Two(), (X, X), compress=["int3"]), "compress has no setting 'int3'"),
        (lambda: convlint.check(Two(), (X, X), compress=["int4"], target="iOS16"), 'target="iOS18"'),
        (lambda: convlint.check(Two(), (X, X), chip="A11", os="iOS18"), "another system with os"),
        (lambda: convlint.check(Two(), ["1x3=2=3"]), ""),
        (lambda: convlint.check(3, X), "of type int: give a torch.nn.Module or a function"),
        (lambda: convlint.plan("timm:resnet18", X), "only the command line and check_many"),
    ],
)  # fmt: skip
def test_an_error_names_the_argument(call: Callable[[], Any], named: str) -> None:
    with pytest.raises(ConvlintError) as caught:
        call()
    assert named in str(caught.value)
    assert not OPTION.search(str(caught.value))


def test_a_report_names_the_arguments() -> None:
    class Hard(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.hypot(x, x)

    report = convlint.check(Hard(), X, trial=None)
    assert "convlint.fix(model, example_inputs)" in str(convlint.check(Hard(), X))
    assert not OPTION.search(COMMAND.sub("", str(report)))
    assert 'trial="passes"' in str(convlint.check(Two(), (X, X), trial=None))


class Branch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if x.sum() > 0 else torch.hypot(x, x)


class Found(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[torch.nonzero(x > 0).squeeze(1)].sort().values


@pytest.mark.parametrize("name", ["check", "fix", "plan", "parity"])
@pytest.mark.parametrize("model", [Branch, Found])
def test_a_function_prints_nothing(
    capfd: pytest.CaptureFixture[str], name: str, model: type[torch.nn.Module]
) -> None:
    """Not even of what torch and coremltools log and draw about a model that they refuse."""
    repr(getattr(convlint, name)(model(), torch.rand(4)))
    assert capfd.readouterr() == ("", "")
