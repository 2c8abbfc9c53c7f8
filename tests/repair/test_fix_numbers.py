"""What converts to other numbers is corrected, or listed: for every such rule, on its own examples."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import convlint
from convlint.interface.inputs import make_tensors, parse_inputs
from convlint.model import Example, Rule
from convlint.rules.rulebook import load_rulebook

WRONG = [
    pytest.param(rule, example, id=f"{rule.code}-{number}")
    for rule in load_rulebook().select(("numeric",), ())
    if rule.severity == "error"
    and rule.differs == "float32"
    and rule.applies.get("frontend") != "torchscript"
    for number, example in enumerate(rule.bad)
    if not example.options
]
LEFT = {"CL343": "it needs another layer"}
"""Rules whose calls nothing computes in other ops: they are listed as left."""


def _model(example: Example) -> nn.Module:
    scope = {"torch": torch, "nn": nn, "F": functional, "math": math}
    exec(example.code, scope)
    model: nn.Module = scope["Model"]()  # type: ignore[operator]
    return model.eval()


@pytest.mark.parametrize(("rule", "example"), WRONG)
def test_what_a_rule_calls_wrong_is_corrected_or_listed(rule: Rule, example: Example) -> None:
    torch.manual_seed(0)
    args, kwargs = make_tensors(parse_inputs(example.inputs))
    fixed = convlint.fix(_model(example), args, kwargs)
    if rule.code in LEFT:
        assert not fixed.ships
        assert {finding.rule.code for finding in fixed.wrong} == {rule.code}
        return
    assert fixed.converts == "yes", fixed.remaining
    assert not fixed.converted_before, "there was something to change"
    assert fixed.parity is not None
    assert fixed.parity.status == "equal", fixed.parity
    assert not fixed.wrong
    assert fixed.ships


def test_a_correction_may_be_the_same_op_with_other_arguments() -> None:
    class Before(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return functional.pad(x[:, :-1], (1, 0)) + x[:, 1:].sum()

    fixed = convlint.fix(Before(), torch.randn(2, 1))
    assert fixed.converts == "yes", fixed.headline
    assert [step.title for step in fixed.applied] == [
        "The axis sliced up to 0, which converts to nothing of it"
    ]
    assert fixed.parity is not None
    assert fixed.parity.status == "equal"
