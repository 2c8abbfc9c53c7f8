"""``convlint explain``: an error that somebody has in front of them leads to its rule."""

from __future__ import annotations

import json
import subprocess
import sys

import coremltools as ct
import pytest
import torch
from conftest import ROOT, Convlint
from torch import nn

from convlint.rules.error_texts import explain, known_texts, seen_errors
from convlint.rules.rulebook import load_rulebook


class Diff(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.diff(x)


class Six(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(2, 2, 2, 2, 2, 2) * torch.rand(2, 2, 2, 2, 2, 2)


class State(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sum", torch.zeros(64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.sum.add_(x)
        return self.sum * 2


def error_of(model: nn.Module, *, lower: bool = True) -> str:
    """What a plain conversion of ``model`` ends with."""
    program = torch.export.export(model.eval(), (torch.rand(64),))
    if lower:
        program = program.run_decompositions({})
    with pytest.raises(Exception, match=r".") as caught:
        ct.convert(program, minimum_deployment_target=ct.target.iOS17)
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (lambda: error_of(Diff()), "CL102 diff"),
        (lambda: error_of(State()), "CL440"),
        (lambda: error_of(Diff(), lower=False), "run_decompositions({})"),
        (lambda: "_ANECompiler : ANECCompile() FAILED (11)", "compiler of the Neural Engine refused"),
        (lambda: "The model supplied is of version 8, intended for a newer version of Xcode.", "iOS 17"),
    ],
)
def test_an_error_leads_to_what_it_means(error: object, says: str, convlint: Convlint) -> None:
    assert callable(error)
    done = convlint("explain", error())
    assert (done.code, says in done.out) == (0, True), done.out + done.err


def test_a_whole_log_is_read_from_the_standard_input() -> None:
    log = "INFO converting\nTraceback (most recent call last):\n  File ...\n" + error_of(Diff())
    command = [sys.executable, "-m", "convlint", "explain", "-", "--format", "json"]
    done = subprocess.run(command, input=log, capture_output=True, text=True, cwd=ROOT, check=True)
    found = json.loads(done.stdout)["explanations"]
    assert found[0]["rules"][0]["code"] == "CL102"
    assert found[0]["rules"][0]["instead"][0] == "subtract two slices"


def test_of_an_unknown_text_it_says_so(convlint: Convlint) -> None:
    done = convlint("explain", "the cat sat on the mat")
    assert done.code == 1
    assert done.out.startswith("Nothing is known of this text. `convlint check MODEL")
    assert convlint("explain", " ").code == 2


def test_known_texts_match_themselves_and_name_rules_that_exist() -> None:
    rulebook = load_rulebook()
    for known in known_texts():
        assert known.matches(known.text.replace("...", "x")), known.text
        assert all(code in rulebook for code in known.rules), known.text
        assert known.source.startswith("https://"), known.text
    assert set(seen_errors()) <= {rule.code for rule in rulebook}


def test_what_the_examples_of_a_rule_end_with_leads_to_it() -> None:
    rulebook = load_rulebook()
    seen = [(code, text.replace("…", "7")) for code, texts in seen_errors().items() for text in texts]
    assert len(seen) > 300
    led = sum(code in {r.code for one in explain(text, rulebook) for r in one.rules} for code, text in seen)
    assert led / len(seen) > 0.98
