"""Buffers that forward changes: states from iOS18 on, and what to write for older targets."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import torch
from torch import nn

import convlint
from convlint import check
from convlint.cli.program import main
from convlint.model import Report


class Cache(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(1, 2, 8, width))

    def forward(self, key: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        self.keys[:, :, position] = key
        return (self.keys * key).sum(2)


class Wrapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache()

    def forward(self, key: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        return self.cache(key, position) + 1.0


class Functional(nn.Module):
    def forward(
        self, key: torch.Tensor, position: torch.Tensor, keys: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys = torch.cat([keys[:, :, 1:], key], 2)
        return (keys * key).sum(2) + position, keys


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1, 32, dtype=torch.int32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.count.add_(1)
        return x * self.count


INPUTS = ["1x2x1x32", "1:int32"]


def codes(report: Report) -> set[str]:
    return {finding.rule.code for finding in report.findings if finding.rule.code.startswith("CL44")}


def test_a_cache_becomes_a_state_from_ios18_on() -> None:
    import coremltools as ct

    below = check(Cache, INPUTS, target="iOS17")
    assert (below.convertible, codes(below)) == ("no", {"CL440"})
    assert "needs iOS18" in next(f.message for f in below.findings if f.rule.code == "CL440")
    assert any("State model is supported only >= iOS18" in failure.error for failure in below.trial.failures)

    above = check(Wrapped, INPUTS, target="iOS18")
    assert (above.convertible, codes(above)) == ("yes", {"CL441"})
    names = next(f.message for f in above.findings if f.rule.code == "CL452")
    assert "state cache_keys (cache.keys)" in names

    with torch.no_grad():
        example = (torch.zeros(1, 2, 1, 32), torch.zeros(1, dtype=torch.int32))
        program = torch.export.export(Wrapped().eval(), example).run_decompositions({})
    model = ct.convert(program, minimum_deployment_target=ct.target.iOS18, skip_model_load=True)
    (state,) = model.get_spec().description.state
    assert state.name == "cache_keys"


def test_the_functional_spelling_converts_below() -> None:
    report = check(Functional, [*INPUTS, "1x2x8x32"], target="iOS17")
    assert (report.convertible, codes(report)) == ("yes", set())


def test_what_core_ml_makes_of_a_state() -> None:
    wide = check(lambda: Cache(30), ["1x2x1x30", "1:int32"], target="iOS18")
    assert (wide.convertible, codes(wide)) == ("yes", {"CL441", "CL443"})
    counted = check(Counter, ["1x32"], target="iOS18")
    assert (counted.convertible, codes(counted)) == ("yes", {"CL442"})
    (severity,) = {f.severity for f in counted.findings if f.rule.code == "CL442"}
    assert severity == "warning"


class Mixed(nn.Module):
    """Reads and writes, writes alone, assigns anew, and returns a state as a result as well."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("total", torch.ones(1, 4))
        self.register_buffer("last", torch.zeros(1, 4))
        self.register_buffer("keys", torch.randn(1, 3, 4))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = self.linear(x)
        self.total.add_(y)
        self.last.copy_(x)
        self.keys = torch.cat([self.keys[:, 1:], y[:, None]], 1)
        return {"total": self.total, "length": torch.hypot(y, self.keys.sum(1))}


def test_fix_makes_states_inputs_and_outputs_below_ios18() -> None:
    import coremltools as ct

    torch.manual_seed(0)
    model = Mixed().eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fixed = convlint.fix(model, (torch.randn(1, 4),), target="iOS17")
    assert fixed.converts == "yes", fixed.remaining
    assert "3 steps with the states handed on" in fixed.checked
    told = [one for one in fixed.applied if one.kind == "state"]
    assert [one.op for one in told] == ["buffer total", "buffer last", "buffer keys"]
    # The copy of a whole input is gone before anything has a line.
    assert [one.site is not None for one in told] == [True, False, True]
    assert any(one.op == "aten.hypot.default" for one in fixed.applied)
    assert list(fixed.module.state_dict()) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    package = ct.convert(fixed.program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)
    description = package.get_spec().description
    assert [port.name for port in description.input] == ["x", "total", "keys"]
    names = [port.name for port in description.output]
    assert {"last_next", "keys_next"} <= set(names)
    assert len(names) == len(set(names)) == 5
    assert not description.state

    state = {"total": model.total.clone(), "keys": model.keys.clone()}
    for _ in range(3):
        x = torch.randn(1, 4)
        result, returned = fixed.module(x, **state)
        with torch.no_grad():
            expected = model(x)
        for name, value in expected.items():
            torch.testing.assert_close(result[name], value)
        torch.testing.assert_close(returned["last_next"], model.last)
        state = {"total": returned["total_next"], "keys": returned["keys_next"]}


def test_fix_leaves_states_alone_from_ios18_on() -> None:
    fixed = convlint.fix(Mixed(), (torch.randn(1, 4),), target="iOS18")
    assert fixed.converts == "yes", fixed.remaining
    assert {one.kind for one in fixed.applied} == {"rewrite"}


def test_the_command_names_the_states(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "import torch\nfrom torch import nn\n\n\n" + inspect.getsource(Counter)
    (project / "counter.py").write_text(source, encoding="utf-8")
    assert main(["fix", "counter.py:Counter", "--input", "1x32", "--format", "json"]) == 0
    (change,) = json.loads(capsys.readouterr().out)["applied"]
    assert (change["op"], change["kind"]) == ("buffer count", "state")
    assert "taken as the input 'count' and returned as the output 'count_next'" in change["title"]
    assert change["site"]["source"].strip() == "self.count.add_(1)"


class Total(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.total += x
        return self.total * 2


def test_a_state_of_a_module_that_a_container_numbers_becomes_an_input() -> None:
    """Names of inputs are identifiers; that of the buffer, ``0.total``, begins with a digit."""
    model, x = nn.Sequential(Total(), nn.ReLU()), torch.ones(4)
    fixed = convlint.fix(model, x, target="iOS17")
    assert fixed.converts == "yes"
    first, states = fixed.module(x, state_0_total=torch.zeros(4))
    assert torch.equal(first, 2 * x)
    assert torch.equal(states["state_0_total_next"], x)
    repair = check(model, x, target="iOS17").repair
    assert repair is not None
    assert repair.converts
