"""One name for one operation: what a rule says of a call and a trial of a node is compared by it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from reports import REPORT, call, rule

from convlint.checking.reconcile import compare_frontends, findings_of_trial, mark_trial
from convlint.coreml.supported import snapshot
from convlint.model import Finding, Site, Trial, TrialFailure
from convlint.model.verdict import unnamed_refusals
from convlint.op_functions import operation_of
from convlint.rules.match import Environment
from convlint.rules.rulebook import load_rulebook

LINE = Site("detector.py", 7, "boxes = nms(boxes)")
HERE = Environment(coremltools="9.0", torch="2.14.1", supported=snapshot("9.0"))


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("aten.add.Tensor", "add"),
        ("aten.add_.Tensor", "add"),
        ("aten::add_", "add"),
        ("aten.add_", "add"),
        ("aten::add.Tensor", "add"),
        ("add", "add"),
        ("aten._softmax.default", "_softmax"),
        ("aten.__and__.Tensor", "and"),
        ("aten::__and__", "and"),
        ("and", "and"),
        ("prim::ListConstruct", "listconstruct"),
        ("torchvision.nms.default", "torchvision.nms"),
        ("torchvision::nms", "torchvision.nms"),
        ("torchvision.nms", "torchvision.nms"),
        ("acme.blur_.default", "acme.blur"),
        ("acme::blur", "acme.blur"),
        ("acme.add.default", "acme.add"),
        ("resize_bilinear", "resize_bilinear"),
        ("", ""),
    ],
)
def test_every_name_of_an_operation_is_one(name: str, operation: str) -> None:
    assert operation_of(name) == operation


def error(op: str) -> Finding:
    calls = (call(op, LINE),)
    return Finding(rule("CL100", "no-converter"), "error", "no converter", op, LINE, calls, trial="failed")


def failure(op: str) -> TrialFailure:
    return TrialFailure(op, f"no converter for {op}", site=LINE, node="12")


def failed(*failures: TrialFailure, passed: tuple[str, ...] = ()) -> Trial:
    return Trial("failed", failures, frontend="torchscript", passed=passed)


@pytest.mark.parametrize(
    ("found", "refused", "named"),
    [
        ("torchvision.nms.default", "torchvision.nms", True),
        ("torchvision.nms.default", "torchvision.roi_align", False),
        ("acme.add.default", "aten.add", False),
        ("aten.add_.Tensor", "aten.add", True),
        ("aten.__and__.Tensor", "aten.__and__", True),
    ],
)
def test_verdict_and_reconciliation_agree_on_what_a_refusal_is_of(
    found: str, refused: str, named: bool
) -> None:
    trial = failed(failure(refused))
    report = replace(REPORT, findings=(error(found),), suppressed=(), trial=trial, trials=(trial,))
    assert (unnamed_refusals(report) == ()) is named
    repeated = findings_of_trial((error(found),), (trial,), load_rulebook(), HERE)
    assert (repeated == ()) is named
    (marked,) = mark_trial((replace(error(found), trial=""),), trial)
    assert marked.trial == ("failed" if named else "")


def test_what_a_failed_trial_did_convert_is_known_by_the_same_name() -> None:
    """coremltools says ``torchvision::nms`` for what the graph calls ``torchvision.nms.default``."""
    trial = failed(failure("aten.digamma"), passed=("torchvision::nms",))
    (marked,) = mark_trial((error("torchvision.nms.default"),), trial)
    assert (marked.trial, marked.severity) == ("converted", "warning")


def test_frontends_are_compared_by_the_same_name() -> None:
    export = Trial("failed", (failure("torchvision.nms.default"),), frontend="export")
    traced = failed(failure("aten.digamma"), passed=("torchvision::nms",))
    assert compare_frontends(export, traced) == ["refused by the export frontend only: torchvision.nms"]
