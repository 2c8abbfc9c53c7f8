"""Every shipped rule proves itself: its examples are reported, converted and compared for real.

Once with the installed coremltools, rule by rule, and once with the next release, which
``make test`` unpacks beside it. A rule that a release has made false is named stale.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT

from convlint.coreml.supported import snapshot
from convlint.model import Rule
from convlint.rule_tester.environment import environment_of, installed_environment, outside, unspoken
from convlint.rule_tester.example import RuleTester, rule_tester
from convlint.rule_tester.proof import RuleProof, prove_rule
from convlint.rules.match import Environment
from convlint.rules.parts import example_problems
from convlint.rules.rulebook import load_rulebook

RULEBOOK = load_rulebook()
RULES = list(RULEBOOK)
HERE = installed_environment()
LONG = [rule for rule in RULES if len(rule.replacements) > 24]
NEXT = "9.1.dev1"
NEXT_FOLDER = Path(sys.prefix) / f"coremltools-{NEXT}"
SHARES = 20
"""The rules are proved under the next release in so many processes."""


@pytest.fixture(scope="module")
def tester() -> Iterator[RuleTester]:
    with rule_tester(RULEBOOK) as opened:
        yield opened


def told(proof: RuleProof) -> str:
    return "\n".join(
        f"[[{each.kind}]] {each.number} {each.outcome}: {'; '.join(each.reasons)}"
        for each in proof.proofs
        if each.outcome in ("failed", "stale")
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.code}-{rule.name}")
def test_a_rule_is_true_of_the_installed_release(rule: Rule, tester: RuleTester) -> None:
    """Of a rule with very many replacements, every third; all of them behind ``corpus``."""
    assert example_problems(rule) == []
    some = replace(rule, replacements=rule.replacements[::3]) if rule in LONG else rule
    proof = prove_rule(some, tester)
    assert proof.outcome == ("passed" if has_proof(rule, HERE) else "skipped"), told(proof)


@pytest.mark.corpus
@pytest.mark.parametrize("rule", LONG, ids=lambda rule: f"{rule.code}-{rule.name}")
def test_every_replacement_of_a_long_rule_is_proved(rule: Rule, tester: RuleTester) -> None:
    proof = prove_rule(rule, tester)
    assert proof.outcome == "passed", told(proof)


@pytest.mark.skipif(
    not NEXT_FOLDER.is_dir(), reason=f"`make test` unpacks coremltools {NEXT} beside the other"
)
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "share",
    [pytest.param(share, marks=[pytest.mark.corpus] if share else []) for share in range(SHARES)],
)
def test_the_rules_are_true_of_the_next_release(share: int) -> None:
    """By default one share and every rule that names releases of coremltools; all behind ``corpus``."""
    bound = [rule for rule in RULES if names_release(rule)] if share == 0 else []
    codes = [rule.code for rule in RULES if rule in bound or RULES.index(rule) % SHARES == share]
    paths = os.pathsep.join([str(NEXT_FOLDER), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "convlint", "rules", "test", *codes, "--format", "json"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr[-2000:]
    document = json.loads(done.stdout)
    assert document["versions"]["coremltools"] == NEXT
    wrong = [
        (rule["code"], proof["kind"], proof["number"], proof["outcome"], proof["reasons"])
        for rule in document["rules"]
        for proof in rule["proofs"]
        if proof["outcome"] in ("failed", "stale")
    ]
    assert wrong == []
    assert [rule["code"] for rule in document["rules"]] == codes


def names_release(rule: Rule) -> bool:
    bounds = [rule.applies, *(example.options for example in (*rule.bad, *rule.good))]
    return any("coremltools" in each for each in bounds)


def unproved(rule: Rule, environment: Environment) -> list[str]:
    """The examples of a rule that are skipped in an environment."""
    examples = [("bad", n, each) for n, each in enumerate(rule.bad, 1)]
    examples += [("good", n, each) for n, each in enumerate(rule.good, 1)]
    skipped = []
    for kind, number, example in examples:
        asked = environment_of(rule, example, environment)
        away = unspoken(rule, example, asked, good=kind == "good") or outside(example.options, asked)
        if away and "environment" not in example.options:
            skipped.append(f"{rule.code} {kind} {number}")
    return skipped


def has_proof(rule: Rule, environment: Environment) -> bool:
    return len(unproved(rule, environment)) < len(rule.bad) + len(rule.good)


def test_every_example_is_proved_in_the_lane_of_the_installed_or_of_the_next_release() -> None:
    next_one = replace(HERE, coremltools=NEXT, supported=snapshot(NEXT))
    here = {name for rule in RULES for name in unproved(rule, HERE)}
    there = {name for rule in RULES for name in unproved(rule, next_one)}
    assert here & there == set()
    # What is skipped here is named to the other lane by every run of the suite, not by ``corpus`` alone.
    assert {name.split()[0] for name in here} <= {rule.code for rule in RULES if names_release(rule)}


def test_a_rule_without_examples_is_one_that_only_a_trial_can_fire() -> None:
    """Which refusals those are is beyond any example; tests/trial makes them happen."""
    bare = {rule.code: rule for rule in RULES if not rule.bad or not rule.good}
    assert set(bare) == {"CL008", "CL190", "CL191"}
    assert {match.subject for rule in bare.values() for match in rule.matches} == {"trial"}
