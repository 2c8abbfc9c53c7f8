"""Types and names of what goes in and comes out, held against the description of a converted model."""

from __future__ import annotations

import coremltools as ct
import pytest
import torch
from torch import nn

from convlint import check
from convlint.model import Report


class Structured(nn.Module):
    def forward(self, x: torch.Tensor, pair: list[torch.Tensor]) -> dict[str, object]:
        y = torch.relu(x) + pair[0] * pair[1]
        return {"scores": y, "parts": [y.argmax(1), y > 0]}


class Doubles(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x.float())


class HandsOn(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[object, ...]:
        y = torch.relu(x)
        return y, y, x, torch.ones(2), None


def messages(report: Report) -> dict[str, str]:
    return {finding.rule.code: finding.message for finding in report.findings}


@pytest.fixture(scope="module")
def structured() -> Report:
    example = (torch.rand(1, 8), [torch.rand(1, 8), torch.rand(1, 8)])
    return check(Structured(), example, trial="full")


def test_the_names_are_those_of_the_converted_model(structured: Report) -> None:
    example = (torch.rand(1, 8), [torch.rand(1, 8), torch.rand(1, 8)])
    program = torch.export.export(Structured().eval(), example).run_decompositions({})
    spec = ct.convert(program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True).get_spec()
    assert structured.convertible == "yes"
    assert [port.name for port in structured.graph.inputs] == [p.name for p in spec.description.input]
    assert [port.name for port in structured.graph.outputs] == [p.name for p in spec.description.output]
    told = messages(structured)["CL452"]
    for port in structured.graph.inputs[1:]:
        assert f"input {port.name} ({port.path})" in told
    assert [port.path for port in structured.graph.inputs] == ["x", "pair[0]", "pair[1]"]
    paths = [port.path for port in structured.graph.outputs]
    assert paths == ["['scores']", "['parts'][0]", "['parts'][1]"]


def test_the_types_are_those_of_the_converted_model(structured: Report) -> None:
    told = messages(structured)
    assert "int64; Core ML gives it as int32" in told["CL451"]
    assert "CL416" in told
    doubles = check(Doubles, ["1x4:float64"])
    assert (doubles.convertible, "CL450" in messages(doubles)) == ("yes", True)


def test_outputs_that_are_none_of_their_own() -> None:
    told = messages(check(HandsOn, ["1x4"]))
    assert {"CL405", "CL413", "CL414"} <= set(told)
