"""What an upgrade of coremltools changes: by the rules alone, op by op."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Convlint
from reports import REPORT, rule

from convlint.checking.upgrade import compare_reports
from convlint.model import Finding, Subject

NET = """
import torch

class Net(torch.nn.Module):
    def forward(self, x):
        y = torch.acosh(x)
        z = torch.digamma(x)
        return torch.where(x > 0, y, 0.0) + z
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return "net.py:Net"


def test_what_an_upgrade_fixes(convlint: Convlint, net: str) -> None:
    ran = convlint("check", net, "--input", "2x4", "--diff-coremltools", "9.0", "9.1.dev1")
    fixed, _, broken = ran.out.partition("broken by 9.1.dev1:")
    assert ran.code == 0
    assert [line.split()[1] for line in fixed.splitlines() if line.startswith("  ")] == ["CL115", "CL106"]
    assert "net.py:6" in fixed
    assert broken.split("\n")[1] == "  nothing"
    assert ran.out.splitlines()[-1] == "Does not convert with either. The same in both: 1 finding."


def test_what_a_downgrade_breaks(convlint: Convlint, net: str) -> None:
    ran = convlint(
        "check", net, "--input", "2x4", "--diff-coremltools", "9.1.dev1", "9.0", "--format", "json"
    )
    document = json.loads(ran.out)
    assert ran.code == 1
    assert document["coremltools"] == {"before": "9.1.dev1", "after": "9.0"}
    assert [finding["code"] for finding in document["broken"]] == ["CL115", "CL106"]
    assert (document["fixed"], document["same"]) == ([], 1)
    assert document["convertible"] == {"before": "no", "after": "no"}


def test_one_release_can_be_linted_for(convlint: Convlint, net: str) -> None:
    ran = convlint(
        "check", net, "--input", "2x4", "--no-trial", "--coremltools", "9.1.dev1", "--format", "concise", "-q"
    )
    assert [line.split()[1] for line in ran.out.splitlines()] == ["CL100"]
    assert "coremltools 9.1.dev1 has no converter for aten.digamma.default" in ran.out


@pytest.mark.parametrize("more", [("--coremltools", "9.0"), ("--trial", "full")])
def test_what_makes_no_sense_beside_it_is_refused(
    convlint: Convlint, net: str, more: tuple[str, ...]
) -> None:
    ran = convlint("check", net, "--input", "2x4", "--diff-coremltools", "9.0", "9.1.dev1", *more)
    assert ran.code == 2
    assert "--diff-coremltools" in ran.err


def test_an_op_that_another_rule_refuses_now_is_not_fixed() -> None:
    """A release may gain a converter that does not work: the op is blocked as before."""
    finding = next(f for f in REPORT.findings if f.severity == "error" and f.calls)
    other = replace(finding, rule=replace(finding.rule, code="CL199", name="broken-converter"))
    upgrade = compare_reports(replace(REPORT, findings=(finding,)), replace(REPORT, findings=(other,)))
    assert (upgrade.fixed, upgrade.broken, upgrade.same) == ((), (), 1)


def test_one_of_two_ops_of_a_line_may_be_fixed() -> None:
    finding = next(f for f in REPORT.findings if f.severity == "error" and f.calls)
    call = finding.calls[0]
    two = replace(finding, calls=(call, replace(call, name="another")))
    one = replace(finding, calls=(call,))
    upgrade = compare_reports(replace(REPORT, findings=(two,)), replace(REPORT, findings=(one,)))
    assert (upgrade.fixed, upgrade.broken) == ((two,), ())
    assert upgrade.exit_code() == 0
    assert (
        compare_reports(replace(REPORT, findings=(one,)), replace(REPORT, findings=(two,))).exit_code() == 1
    )


def test_what_names_a_version_in_its_message_is_the_same_finding_in_both() -> None:
    """Without op and line, a finding is known by what the rule looked at and not by its words."""
    numpy = rule("CL501", "numpy-too-new", "warning", category="environment")
    subject = Subject("environment", "numpy")
    before, after = (
        Finding(numpy, "warning", f"numpy 2.4 with coremltools {release}", "", None, subject=subject)
        for release in ("9.0", "9.1")
    )
    upgrade = compare_reports(replace(REPORT, findings=(before,)), replace(REPORT, findings=(after,)))
    assert (upgrade.fixed, upgrade.broken, upgrade.same) == ((), (), 1)
