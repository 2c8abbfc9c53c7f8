"""The judge of rules, judged: a rule that is wrong in any way does not pass.

Each rule here is written for the fault that it has, and proved against the installed coremltools.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convlint.model import Example
from convlint.rule_tester.example import RuleTester, Run, rule_tester
from convlint.rule_tester.proof import Proof, RuleProof, prove_rule
from convlint.rules.rulebook import load_rulebook

HEAD = """
code = "{code}"
name = "{name}"
severity = "{severity}"
message = "{{op}}"
confidence = "measured"
sources = ["a test"]
why = "a test"
{more}
[[match]]
op = ["{op}"]
{where}
"""
MODEL = """
class Model(nn.Module):
    def forward(self, x):
        LINE
"""


def rule(
    *,
    op: str = "aten.digamma.default",
    bad: str = "return torch.digamma(x)  # <- MY100",
    good: str = "return torch.relu(x)",
    severity: str = "error",
    code: str = "MY100",
    name: str = "mine",
    more: str = "",
    where: str = "",
    options: str = "",
    replace: str = "",
) -> str:
    """The text of a rule file; without arguments, of one that is right."""
    example = f"{options}\ninputs = [[2, 6]]\ncode = '''{MODEL}'''\n"
    return (
        HEAD.format(code=code, name=name, severity=severity, more=more, op=op, where=where)
        + f"[[bad]]\n{example.replace('LINE', bad)}[[good]]\n{example.replace('LINE', good)}{replace}"
    )


def prove(folder: Path, *texts: str) -> RuleProof:
    """The proof of the first of some rules, among the shipped ones."""
    for number, text in enumerate(texts):
        code, name = (text.split(f'\n{key} = "')[1].partition('"')[0] for key in ("code", "name"))
        (folder / f"{number}").mkdir()
        (folder / f"{number}" / f"{code}-{name}.toml").write_text(text, encoding="utf-8")
    rulebook = load_rulebook([folder])
    with rule_tester(rulebook) as tester:
        return prove_rule(rulebook.find("mine"), tester)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the rules of one test lie."""
    return tmp_path


def outcomes(proof: RuleProof) -> list[str]:
    return [f"{each.kind} {each.outcome}" for each in proof.proofs]


def first(proof: RuleProof, kind: str) -> Proof:
    return next(each for each in proof.proofs if each.kind == kind)


def test_a_right_rule_passes(folder: Path) -> None:
    proof = prove(folder, rule())
    assert (proof.outcome, outcomes(proof)) == ("passed", ["bad passed", "good passed"])


def test_an_error_whose_example_converts_is_stale(folder: Path) -> None:
    text = rule(op="aten.relu.default", bad="return torch.relu(x)  # <- MY100", good="return torch.sin(x)")
    proof = prove(folder, text)
    assert outcomes(proof) == ["bad stale", "good passed"]
    assert proof.outcome == "stale"
    assert "converts it" in first(proof, "bad").reasons[0]


def test_a_silent_rule_says_which_condition_was_false(folder: Path) -> None:
    proof = first(prove(folder, rule(where='where = ["self.rank > 7"]')), "bad")
    assert (proof.outcome, proof.reasons[0]) == ("failed", "the rule is silent")
    assert "other rules that report it: CL100" in proof.reasons
    assert any("self.rank > 7" in reason for reason in proof.reasons)


def test_the_marked_lines_are_exact(folder: Path) -> None:
    bad = "y = torch.digamma(x)\n        return torch.digamma(y)  # <- MY100"
    proof = first(prove(folder, rule(bad=bad)), "bad")
    assert (proof.outcome, proof.reasons[0]) == ("failed", "reported: line 3, 4; marked: line 4")


def test_a_marked_line_that_converts_is_told(folder: Path) -> None:
    bad = "y = torch.sin(x)  # <- MY100\n        return torch.digamma(y)"
    proof = first(prove(folder, rule(op="aten.sin.default", bad=bad)), "bad")
    assert proof.outcome == "failed"
    assert "line 3 is marked, and it is not refused" in proof.reasons


def test_a_good_example_that_is_reported_fails(folder: Path) -> None:
    proof = first(prove(folder, rule(good="return torch.digamma(x)")), "good")
    assert proof.outcome == "failed"
    assert proof.reasons[0] == "the rule reports line 3: aten.digamma.default"
    assert proof.reasons[1].startswith("it does not convert: line 3: aten.digamma.default")


def test_an_error_of_another_rule_about_what_converts_is_told(folder: Path) -> None:
    other = rule(code="MY101", name="liar", op="aten.relu.default", bad="return torch.relu(x)  # <- MY101")
    proof = first(prove(folder, rule(), other), "good")
    assert proof.reasons == ("MY101 liar is an error at line 3, and it converts",)


def test_an_example_outside_its_bounds_is_skipped(folder: Path) -> None:
    proof = prove(folder, rule(options='options = { coremltools = "<8" }'))
    assert (proof.outcome, outcomes(proof)) == ("skipped", ["bad skipped", "good skipped"])
    assert first(proof, "bad").reasons[0].startswith("it is for coremltools <8, and ")


def test_a_rule_that_reports_what_converts_beyond_its_bounds_is_stale(folder: Path) -> None:
    text = rule(
        op="aten.relu.default",
        bad="return torch.relu(x)  # <- MY100",
        good="return torch.sin(x)",
        options='options = { coremltools = "<8" }',
    )
    assert first(prove(folder, text), "bad").outcome == "stale"


def test_a_rule_for_another_release_is_skipped(folder: Path) -> None:
    proof = prove(folder, rule(more='applies = { coremltools = "<8" }'))
    assert (proof.outcome, proof.count("skipped")) == ("skipped", 2)


def test_a_model_that_does_not_run_fails(folder: Path) -> None:
    proof = first(prove(folder, rule(good="return x @ x")), "good")
    assert proof.outcome == "failed"
    assert proof.reasons[0].startswith("it does not run: ")


def test_a_warning_of_support_may_fail_or_not(folder: Path) -> None:
    assert first(prove(folder, rule(severity="warning")), "bad").outcome == "passed"


def test_what_a_user_never_sees_is_no_report(folder: Path) -> None:
    """A check leaves out what a rule of support was not sure of, once coremltools has converted it."""
    bad = "return torch.relu(x)  # <- MY100"
    text = rule(severity="warning", op="aten.relu.default", bad=bad, good="return torch.sin(x)")
    proof = first(prove(folder, text), "bad")
    assert (proof.outcome, proof.reasons[0]) == ("failed", "the rule is silent")
    assert any("it converts, and what a rule is not sure of" in reason for reason in proof.reasons)


def test_a_good_example_may_lie_beyond_the_target_of_the_rule(folder: Path) -> None:
    text = rule(more='applies = { target = "<iOS18" }')
    head, good = text.split("[[good]]")
    proof = prove(folder, f'{head}[[good]]\noptions = {{ target = "iOS18" }}{good}')
    assert outcomes(proof) == ["bad passed", "good passed"]


def test_an_example_is_checked_once_whoever_asks_for_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bad one by its own proof and its replacement's, the good one as what the replacement makes."""
    checked = []
    check = RuleTester.run

    def run(tester: RuleTester, example: Example, *rest: Any) -> Run:
        checked.append(example.code)
        return check(tester, example, *rest)

    monkeypatch.setattr(RuleTester, "run", run)
    replace = REPLACE.format(safety="retrain", more="", after="torch.sin(x)")
    proof = prove(folder, rule(good="return torch.sin(x)", replace=replace))
    assert outcomes(proof) == ["bad passed", "good passed", "replace passed"]
    assert len(checked) == 2


def test_what_converts_at_a_price_must_convert(folder: Path) -> None:
    text = rule(code="MY300", severity="warning", bad="return torch.digamma(x)  # <- MY300")
    proof = first(prove(folder, text), "bad")
    assert proof.outcome == "failed"
    assert proof.reasons[0].startswith("it does not convert: line 3")


REPLACE = """
[[replace]]
title = "another way"
safety = "{safety}"
{more}
before = 'torch.digamma(x)'
after = '{after}'
"""


@pytest.mark.parametrize(
    ("after", "safety", "more", "outcome", "says"),
    [
        ("torch.sin(x)", "retrain", "", "passed", ""),
        ("torch.sin(x)", "safe", "", "failed", "it differs by"),
        ("torch.sin(x)", "unsafe", "rtol = 0.01", "failed", "it differs by"),
        ("torch.log(x)", "safe", "", "failed", "finite in one and not in the other"),
        ("torch.sin(x)", "unsafe", "", "passed", ""),
        ("torch.sin(x).sum()", "safe", "", "failed", "it returns the shape []"),
        ("torch.sin(x).double()", "safe", "", "failed", "it returns torch.float64"),
        ("torch.sin(x.detach())", "retrain", "", "failed", "no gradient flows to input 1"),
        ("torch.lgamma(x)", "retrain", "", "failed", "does not convert"),
        ("torch.digamma(x + 0)", "safe", "", "failed", "the rule reports line 3"),
        ("torch.nothing(x)", "safe", "", "failed", "it does not run"),
    ],
)
def test_a_replacement_converts_and_computes_the_same(
    folder: Path, after: str, safety: str, more: str, outcome: str, says: str
) -> None:
    text = rule(replace=REPLACE.format(safety=safety, more=more, after=after))
    proof = first(prove(folder, text), "replace")
    assert proof.outcome == outcome
    assert not says or any(says in reason for reason in proof.reasons)


@pytest.mark.parametrize(("after", "outcome"), [("x * 0.5 + x * 0.5", "passed"), ("x * 1.01", "failed")])
def test_the_tolerance_is_relative_to_the_largest_value(folder: Path, after: str, outcome: str) -> None:
    bad = "return x + torch.digamma(x) * 0  # <- MY100"
    replace = REPLACE.format(safety="safe", more="rtol = 1e-3", after=after)
    text = rule(bad=bad, replace=replace.replace("torch.digamma(x)'", "x + torch.digamma(x) * 0'"))
    proof = first(prove(folder, text), "replace")
    assert proof.outcome == outcome, proof.reasons
    assert outcome == "passed" or "differs by" in proof.reasons[0]
