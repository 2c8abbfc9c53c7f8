"""Real architectures with random weights: the verdict equals that of a full conversion, and every
op that stops it is named with a line."""

from __future__ import annotations

from typing import Any

import coremltools
import pytest
import torch
from real_models import ARCHITECTURES, Architecture, large_llama

import convlint
from convlint.capture.methods import quiet_torch
from convlint.checking.reconcile import BLOCKING
from convlint.model import Report

REFUSED_BY_CAPTURE = ("torchvision.fasterrcnn_mobilenet_v3_large_fpn",)


def really_converts(architecture: Architecture) -> bool:
    """What plain torch.export and coremltools do with real random weights."""
    torch.manual_seed(0)
    args, kwargs = architecture.inputs()
    try:
        with quiet_torch(), torch.no_grad():
            model = architecture.build().eval()
            program = torch.export.export(model, args, kwargs or None, strict=False).run_decompositions({})
            coremltools.convert(
                program, minimum_deployment_target=coremltools.target.iOS17, skip_model_load=True
            )
    except Exception:
        return False
    return True


def blockers(report: Report) -> set[str]:
    """The ops that findings name as errors."""
    return {
        call.op
        for finding in report.findings
        if finding.severity == "error" and finding.rule.category in BLOCKING
        for call in finding.calls
    }


def lines(report: Report) -> list[Any]:
    return [finding.site for finding in report.errors()]


@pytest.mark.parametrize(
    "architecture",
    [
        pytest.param(each, id=each.name, marks=[pytest.mark.corpus] if each.slow else [])
        for each in ARCHITECTURES
        if each.name not in REFUSED_BY_CAPTURE
    ],
)
def test_the_verdict_equals_a_full_conversion_and_names_every_blocker(architecture: Architecture) -> None:
    args, kwargs = architecture.inputs()
    report = convlint.check(architecture.build, args, kwargs, frontend="export")
    assert report.trial is not None
    assert (report.convertible == "yes") is really_converts(architecture)
    refused = {failure.op for failure in report.trial.failures if not failure.follows}
    assert refused <= blockers(report)
    assert all(site is not None and site.line > 0 for site in lines(report))
    static = convlint.check(architecture.build, args, kwargs, frontend="export", trial=None)
    assert static.convertible == report.convertible, "the rules alone must say the same"


def test_a_detector_that_cannot_be_exported_still_has_its_ops_named() -> None:
    (architecture,) = [a for a in ARCHITECTURES if a.name in REFUSED_BY_CAPTURE]
    args, kwargs = architecture.inputs()
    report = convlint.check(architecture.build, args, kwargs, frontend="export")
    assert report.convertible in ("no", "unknown")
    named = blockers(report)
    assert "torchvision.roi_align.default" in named
    assert any(finding.rule.category == "capture" and finding.site for finding in report.findings)


def test_llama_at_its_full_size_is_checked_without_weights() -> None:
    report = convlint.check(large_llama, (), {"input_ids": torch.zeros(1, 64, dtype=torch.int64)})
    assert report.graph is not None
    assert report.graph.parameter_count > 6.7e9
    assert report.convertible == "no"
    assert {"aten.diff.default", "aten.new_ones.default", "aten.__and__.Tensor"} <= blockers(report)
