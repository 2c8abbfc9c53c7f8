"""No public function changes what it is given, nor what torch keeps for everybody: bit for bit."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import convlint
from convlint.errors import ConvlintError, ModelError


class Counter:
    """A helper of a model, with a state of its own."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


class Restless(nn.Module):
    """A model that changes itself whenever it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("noise", torch.randn(3))
        self.register_buffer("late", None)
        self.calls = 0
        self.seen: list[int] = []
        self.table = {"a": 1}
        self.plain = torch.arange(3.0)
        self.cache = SimpleNamespace(values=[])
        self.counter = Counter()
        self.conv.weight.requires_grad_(False)
        self.register_forward_hook(lambda *_: None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        self.noise.mul_(1.5)
        self.noise = self.noise + 1
        self.late = torch.ones(1)
        self.calls += 1
        self.seen.append(self.calls)
        self.table["b"] = self.calls
        self.plain.add_(1)
        self.cache.values.append(1)
        self.new = 3
        self.counter()
        return torch.hypot(self.drop(self.norm(self.conv(x))), torch.ones(()))


class Draws(nn.Module):
    """A model that draws numbers, and leaves torch otherwise than it was."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        random.random()
        np.random.rand()
        torch.set_grad_enabled(False)
        return torch.relu(x + torch.rand(4).sum() * 0)


def state_of(*things: Any) -> list[Any]:
    """Everything of modules and tensors that can be seen, bit by bit."""
    found: list[Any] = []
    for thing in things:
        if isinstance(thing, torch.Tensor):
            gradient = thing.grad
            found += [id(thing), thing.requires_grad, thing.dtype, tuple(thing.shape), bits(thing)]
            found += [id(gradient), bits(gradient) if gradient is not None else b""]
        elif isinstance(thing, nn.Module):
            for name, part in thing.named_modules():
                found += [name, id(part), part.training, list(vars(part))]
                for key, value in vars(part).items():
                    found += [key, id(value), *state_of(value)]
        elif isinstance(thing, dict):
            for key, value in thing.items():
                found += [str(key), *([] if isinstance(value, nn.Module) else state_of(value))]
        elif isinstance(thing, (SimpleNamespace, Counter)):
            found += state_of(vars(thing))
        else:
            found.append(repr(thing))
    return found


def bits(tensor: torch.Tensor) -> bytes:
    return tensor.detach().contiguous().numpy().tobytes()


def state_of_process() -> list[Any]:
    return [
        bits(torch.get_rng_state()), random.getstate(), np.random.get_state()[1].tobytes(),
        torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_default_device(),
        torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(),
    ]  # fmt: skip


PUBLIC: dict[str, Callable[[Any, Any], object]] = {
    "check": lambda model, inputs: convlint.check(model, inputs, frontend="auto"),
    "check with parity": lambda model, inputs: convlint.check(model, inputs, trial="full", parity="float32"),
    "assert_convertible": lambda model, inputs: convlint.assert_convertible(model, inputs, trial=None),
    "assert_placement": lambda model, inputs: convlint.assert_placement(model, inputs, max_ms=1000.0),
    "fix": convlint.fix,
    "convert": convlint.convert,
    "parity": lambda model, inputs: convlint.parity(model, inputs, seeds=2, corners=False),
    "plan": convlint.plan,
    "fold_std": lambda model, inputs: convlint.fold_std(model, "conv", (0.1, 0.2, 0.3)),
}


def test_every_public_function_is_looked_at() -> None:
    functions = {name for name in convlint.__all__ if callable(getattr(convlint, name)) and name.islower()}
    assert functions - {"mil", "check_many"} <= set(PUBLIC), "check_many takes names of models alone"


@pytest.mark.parametrize("name", PUBLIC)
def test_nothing_is_left_changed(name: str) -> None:
    model = Restless()
    model.conv.bias.grad = torch.ones(4)
    model.norm.eval()
    inputs = torch.rand(1, 3, 8, 8)
    torch.manual_seed(7)
    for each, given in ((model, inputs), (Draws(), torch.rand(2, 4))):
        if name == "fold_std" and each is not model:
            continue
        before = state_of(each, given), state_of_process()
        with contextlib.suppress(AssertionError, ConvlintError):  # whatever the answer is
            PUBLIC[name](each, given)
        after = state_of(each, given), state_of_process()
        assert after == before


def test_a_model_that_a_builder_has_at_hand_is_left_alone_too() -> None:
    model = Restless()
    before = state_of(model)
    convlint.check(lambda: model, torch.rand(1, 3, 8, 8), trial=None)
    assert state_of(model) == before


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.LazyConv2d(4, 3)
        self.second = nn.LazyLinear(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)).flatten(1))


def test_a_lazy_module_is_judged_and_stays_lazy() -> None:
    lazy = Lazy()
    for model in (lazy, Lazy):
        report = convlint.check(model, torch.rand(1, 3, 8, 8))
        assert report.convertible == "yes", report
        assert report.graph is not None
        assert report.graph.parameter_count == 4 * 27 + 4 + 2 * 144 + 2
    assert convlint.fix(lazy, torch.rand(1, 3, 8, 8)).converts == "yes"
    assert all(torch.nn.parameter.is_lazy(parameter) for parameter in lazy.parameters())
    assert lazy.training


def test_an_exported_program_is_the_module_that_it_makes() -> None:
    program = torch.export.export(nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), (torch.rand(1, 4),))
    for model in (program, program.module()):
        assert convlint.check(model, torch.rand(1, 4)).convertible == "yes"


@pytest.mark.parametrize("function", [convlint.fix, convlint.convert, convlint.parity, convlint.check])
def test_what_a_builder_raises_is_told(function: Callable[..., object]) -> None:
    def build() -> nn.Module:
        raise ZeroDivisionError("no width")

    with pytest.raises(ModelError, match=r"ZeroDivisionError.*no width"):
        function(build, torch.rand(1, 4))


def test_checks_in_threads_wait_for_each_other() -> None:
    answers: list[str] = []

    def check() -> None:
        answers.append(convlint.check(nn.Linear(4, 4), torch.rand(1, 4)).convertible)

    threads = [threading.Thread(target=check) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["yes"] * 5


def test_candidates_on_threads_wait_for_each_other_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "threaded.py").write_text("import torch\nclass Net(torch.nn.Linear):\n    pass\n")
    candidates = [
        {"spec": "threaded.py:Net", "args": {"in_features": 4, "out_features": width}}
        for width in range(1, 6)
    ]
    with ThreadPoolExecutor(5) as executor:
        rows = list(convlint.check_many(candidates, inputs=["1x4"], executor=executor))
    assert [row["convertible"] for row in rows] == ["yes"] * 5, rows
