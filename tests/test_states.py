"""Buffers that forward changes: states from iOS18 on, and what to write for older targets."""

from __future__ import annotations

import torch
from torch import nn

from convlint import check
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
