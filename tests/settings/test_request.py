"""One question, one answer: whatever way a check is asked for, its settings are those of :class:`Options`."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, dataclass, fields
from typing import Any

import pytest
import torch
from conftest import Convlint
from torch import nn

import convlint
from convlint.checking.options import Options
from convlint.errors import UsageError
from convlint.interface.inputs import parse_inputs
from convlint.settings.jobs import Job
from convlint.settings.project import Project
from convlint.settings.request import Request, jobs_of, one_job

DEFAULTS = {each.name: each.default for each in fields(Options) if each.default is not MISSING}
MODEL = nn.Linear(3, 3)
X = torch.randn(1, 3)


@pytest.mark.parametrize(
    "function", [convlint.check, convlint.fix, convlint.parity], ids=lambda f: f.__name__
)
def test_the_python_functions_have_the_defaults_of_the_command(function: Any) -> None:
    taken = inspect.signature(function).parameters
    shared = set(taken) & set(DEFAULTS) - {"precision"}  # of a parity it is that of the program
    if function is convlint.parity:
        shared -= {"timeout"}  # what a caller runs has no limit unless one is given
    assert {"target"} <= shared
    assert {name: taken[name].default for name in shared} == {name: DEFAULTS[name] for name in shared}


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (convlint.check, {"frontend": "bogus"}),
        (convlint.check, {"trial": "bogus"}),
        (convlint.check, {"fail_on": "fatal"}),
        (convlint.check, {"parity": "float8"}),
        (convlint.check, {"precision": "float8"}),
        (convlint.check, {"target": "iOS99"}),
        (convlint.parity, {"frontend": "bogus"}),
        (convlint.parity, {"precision": "mixed"}),
        (convlint.parity, {"target": "iOS99"}),
        (convlint.plan, {"chip": "A17"}),
        (convlint.plan, {"precision": "mixed"}),
        (convlint.fix, {"target": "iOS99"}),
        (convlint.fix, {"for_": "gpu"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else value.__name__,
)
def test_an_unknown_word_is_refused_before_any_work(function: Any, words: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="|".join(words.values())):
        function(MODEL, X, **words)


@pytest.mark.parametrize("command", ["check", "plan"])
def test_an_unknown_chip_is_refused_whatever_is_shown(convlint: Convlint, command: str) -> None:
    done = convlint(command, "torch.nn:Identity", "--input", "1x3", "--chip", "A17")
    assert done.code == 2
    assert "A17" in done.err
    assert "Did you mean A17 Pro?" in done.err


@dataclass
class Batch:
    x: torch.Tensor
    mask: torch.Tensor


class OfBatch(nn.Module):
    def forward(self, batch: Batch) -> torch.Tensor:
        return torch.relu(batch.x) * batch.mask


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        (convlint.check, lambda report: report.convertible == "yes"),
        (convlint.parity, lambda parity: parity.status == "equal"),
        (convlint.plan, lambda plan: plan.level == "mil"),
        (convlint.fix, lambda fixed: fixed.converts == "yes"),
    ],
    ids=["check", "parity", "plan", "fix"],
)
def test_every_function_takes_the_same_inputs(function: Any, answer: Any) -> None:
    assert answer(function(OfBatch(), (Batch(torch.randn(1, 4), torch.rand(1, 4)),)))


CONFIGURED = Project(
    options=Options(target="iOS16", rule_paths=("mine",)),
    models=(
        Job("a", "net.py:A", {"width": 3}, {}, parse_inputs(["1x3"]), Options(target="iOS16"), "/root"),
        Job("b", "net.py:B", options=Options(target="iOS18"), root="/root"),
    ),
)


def test_the_command_line_goes_over_a_configured_model() -> None:
    request = Request(
        models=("a",), args={"depth": 2}, overrides={"timeout": 7.0}, rule_paths=("more",), compress=("int8",)
    )
    (job,) = jobs_of(request, CONFIGURED)
    assert (job.args, job.inputs, job.root) == ({"width": 3, "depth": 2}, parse_inputs(["1x3"]), "/root")
    assert (job.options.target, job.options.timeout, job.options.rule_paths) == ("iOS16", 7.0, ("more",))
    assert [str(each) for each in job.options.compress] == ["int8"]
    assert job.options.origins == {"timeout": "the command line"}


def test_a_model_outside_of_the_configuration_has_its_options_and_no_folder() -> None:
    (job,) = jobs_of(Request(spec="m:Net"), CONFIGURED)
    assert (job.name, job.root, job.options) == ("m:Net", None, CONFIGURED.options)


def test_what_is_for_one_model_is_refused_for_several() -> None:
    with pytest.raises(UsageError, match=r"--input is for one model, and 2 are to be checked"):
        jobs_of(Request(inputs=parse_inputs(["1x3"])), CONFIGURED)


def test_a_command_about_one_model_says_how_to_name_it() -> None:
    with pytest.raises(UsageError, match=r"plan looks at one model, and 2 are configured: .*--model NAME"):
        one_job(Request(), CONFIGURED, "plan")
