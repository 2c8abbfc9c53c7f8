"""Proof of rules by their own examples, against a real conversion with what is installed here.

A bad example must be reported on exactly its marked lines, and where the rule says that the model
does not convert, the conversion must fail there. A good example must report nothing, and convert.
A replacement must convert, report nothing and compute the same. A rule whose bad example converts
was overtaken by a newer release: it is *stale*.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from convlint.checking.reconcile import BLOCKING
from convlint.errors import ConvlintError
from convlint.interface.inputs import parse_inputs
from convlint.model import Example, Replacement, Rule
from convlint.numerics.agreement import disagreement, lost_gradients, particular
from convlint.numerics.tolerance import REPLACEMENT
from convlint.rule_tester.environment import environment_of, outside, unspoken
from convlint.rule_tester.example import RuleTester, Run
from convlint.rule_tester.reasons import MISSES, lines_text, not_converted, place_of, wrong_refusals
from convlint.rules.match import Environment, match_environment, near_misses
from convlint.rules.parts import replaced_example
from convlint.rules.rulebook import Rulebook

Kind = Literal["bad", "good", "replace"]
Outcome = Literal["passed", "skipped", "stale", "failed"]

_WORST_LAST: tuple[Outcome, ...] = ("skipped", "passed", "stale", "failed")


@dataclass(frozen=True, slots=True)
class Proof:
    """How one example, or one replacement, came out; ``reasons`` says why where it did not pass."""

    kind: Kind
    number: int
    title: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RuleProof:
    """A rule with the proofs of all its examples and replacements."""

    rule: Rule
    proofs: tuple[Proof, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of all; "skipped" only where nothing could be judged."""
        return max((proof.outcome for proof in self.proofs), key=_WORST_LAST.index, default="skipped")

    def count(self, outcome: Outcome) -> int:
        return sum(proof.outcome == outcome for proof in self.proofs)


class _Stale(Exception):
    """What is installed here converts what the rule says is refused."""


class _Skip(Exception):
    """The example is not for what is installed here."""


def prove_rule(rule: Rule, tester: RuleTester) -> RuleProof:
    """Prove everything that stands in one rule's file."""
    prover = _Prover(rule, tester)
    proofs = [prover.proof("bad", number, example) for number, example in enumerate(rule.bad, 1)]
    proofs += [prover.proof("good", number, example) for number, example in enumerate(rule.good, 1)]
    for number, replacement in enumerate(rule.replacements, 1):
        if replacement.kind == "rewrite":
            proofs.append(prover.proof("replace", number, replacement))
    return RuleProof(rule, tuple(proofs))


class _Prover:
    """Proves the parts of one rule: each method returns what is wrong, or raises _Stale or _Skip."""

    def __init__(self, rule: Rule, tester: RuleTester) -> None:
        self.rule = rule
        self.tester = tester
        self.runs: dict[tuple[object, ...], Run] = {}

    def proof(self, kind: Kind, number: int, part: Example | Replacement) -> Proof:
        """The outcome for one example or replacement, whatever comes of it."""
        start = time.perf_counter()
        name = f"{self.rule.code}_{kind}_{number}"
        outcome: Outcome
        try:
            if isinstance(part, Replacement):
                reasons = self.replacement(part, name)
            else:
                reasons = self.bad(part, name) if kind == "bad" else self.good(part, name)
            outcome = "failed" if reasons else "passed"
        except _Stale as stale:
            reasons, outcome = [str(stale)], "stale"
        except _Skip as skip:
            reasons, outcome = [str(skip)], "skipped"
        except ConvlintError as error:
            reasons, outcome = [f"it does not run: {error}"], "failed"
        return Proof(kind, number, part.title, outcome, tuple(reasons), time.perf_counter() - start)

    def bad(self, example: Example, name: str) -> list[str]:
        """What is wrong with a bad example, which must be reported, and refused where the rule says so."""
        environment = environment_of(self.rule, example, self.tester.environment)
        if "environment" in example.options:
            return [] if self.fires(environment) else ["the rule is silent about these versions"]
        _skip(unspoken(self.rule, example, environment))
        run = self.run(example, name, environment)
        self.skip_overtaken(example, run, environment)
        problems = self.misreported(example, run, environment)
        if self.blocking:
            problems += wrong_refusals(example, run)
        elif self.must_convert and not run.converted:
            problems += not_converted(run)
        parity = run.report.parity
        if parity is not None and parity.status not in ("differs", "overflows"):
            raise _Stale(f"run, it is {parity.status}; {_converts(environment)} to what PyTorch computes")
        return problems + self.false_alarms(run)

    def good(self, example: Example, name: str) -> list[str]:
        """What is wrong with a good example, which must convert, and is not to be reported."""
        environment = environment_of(self.rule, example, self.tester.environment)
        if "environment" in example.options:
            return ["the rule reports these versions"] if self.fires(environment) else []
        _skip(unspoken(self.rule, example, environment, good=True) or outside(example.options, environment))
        return self.innocent(example, name, environment)

    def replacement(self, replacement: Replacement, name: str) -> list[str]:
        """What is wrong with a replacement, which must be shown, convert and compute the same."""
        example = replaced_example(self.rule, replacement)
        if example is None:
            return ["its `before` stands in no bad example"]
        environment = environment_of(self.rule, example, self.tester.environment)
        _skip(unspoken(self.rule, example, environment) or outside(example.options, environment))
        problems = self.innocent(example, name, environment)
        original = next(bad for bad in self.rule.bad if replacement.before.strip() in bad.code)
        problems += self.unshown(replacement, original)
        try:
            return problems + self.compared(original, example, replacement, name)
        except ConvlintError:
            raise
        except Exception as error:  # the example's own code runs here
            return [*problems, f"it cannot be compared: {type(error).__name__}: {error}"]

    def run(self, example: Example, name: str, environment: Environment) -> Run:
        """The run of an example, made once.

        A bad example is asked for by each of its replacements too, and several of these, or a good example,
        may come to the same code.
        """
        options = tuple(sorted(example.options.items()))
        key = (example.code.rstrip(), example.inputs, example.outputs, options, environment)
        if key not in self.runs:
            self.runs[key] = self.tester.run(example, name, environment, self.rule.differs or None)
        return self.runs[key]

    def unshown(self, replacement: Replacement, original: Example) -> list[str]:
        """That nobody would see it, not even whoever wrote the line that it is the cure of."""
        environment = environment_of(self.rule, original, self.tester.environment)
        number = self.rule.bad.index(original) + 1
        run = self.run(original, f"{self.rule.code}_bad_{number}", environment)
        mine = run.of_rule(self.rule.code)
        wanted = (replacement.title, replacement.before, replacement.after)
        shown = [(each.title, each.before, each.after) for finding in mine for each in finding.replacements]
        if wanted in shown or not mine:
            return []
        ops = ", ".join(dict.fromkeys(finding.op for finding in mine))
        return [f"it is not shown on its own example: its `op` or `where` does not hold of {ops}"]

    def compared(self, original: Example, example: Example, replacement: Replacement, name: str) -> list[str]:
        """What the replacement computes otherwise than the original, as far as it promises the same."""
        _, before = self.tester.build(original, f"{name}_before")
        _, after = self.tester.build(example, name)
        specs = parse_inputs(example.inputs)
        problems = [lost_gradients(before, after, specs)]
        promised = REPLACEMENT if replacement.safety == "safe" else None
        rtol = promised if replacement.rtol is None else replacement.rtol
        if rtol is not None and replacement.safety != "retrain":
            problems.append(disagreement(before, after, specs, rtol))
            if replacement.general:
                narrow = particular(before, after, specs, rtol)
                problems.append(f"it is not `general`: {narrow}" if narrow else "")
        return [problem for problem in problems if problem]

    @property
    def blocking(self) -> bool:
        """Whether the rule says that its bad examples do not convert."""
        return self.rule.severity == "error" and self.rule.category in BLOCKING

    @property
    def must_convert(self) -> bool:
        """Whether the rule says that its bad examples do convert, at a price."""
        return self.rule.category in ("ane", "numeric") or (
            self.rule.category == "interface" and self.rule.severity != "error"
        )

    def skip_overtaken(self, example: Example, run: Run, environment: Environment) -> None:
        """Skip a bad example for other versions; one that should be refused and converts is stale."""
        reported = bool(run.of_rule(self.rule.code))
        bounds = outside(example.options, environment)
        overtaken = self.blocking and run.converted
        if bounds and overtaken and reported:
            raise _Stale(f"{_converts(environment)}, and the rule still reports it")
        _skip(bounds)
        if overtaken and reported:
            raise _Stale(f"{_converts(environment)}; end what the rule applies to before it")
        if overtaken:
            raise _Stale(f"{_converts(environment)}, and the rule is silent; bound the example by options")

    def fires(self, environment: Environment) -> bool:
        """Whether the rule reports an environment."""
        return bool(match_environment(Rulebook((self.rule,)), environment))

    def innocent(self, example: Example, name: str, environment: Environment) -> list[str]:
        """What keeps an example from being silent and converting."""
        run = self.run(example, name, environment)
        mine = run.of_rule(self.rule.code)
        problems = [f"the rule reports {place_of(run, finding)}: {finding.message}" for finding in mine]
        problems += ([] if run.converted else not_converted(run)) + self.false_alarms(run)
        parity = run.report.parity
        if parity is not None and parity.status != "equal":
            problems.append(f"run, it {parity.status}: {parity.first_divergence or parity.detail}")
        return problems

    def misreported(self, example: Example, run: Run, environment: Environment) -> list[str]:
        """Where the rule reports other lines than the marked ones, and what kept it from them."""
        mine = run.of_rule(self.rule.code)
        if mine and (not example.lines or run.lines(mine) == example.lines):
            return []
        problems = [
            f"reported: {lines_text(run.lines(mine))}; marked: {lines_text(example.lines)}"
            if mine
            else "the rule is silent"
        ]
        if not mine and run.converted and (self.rule.category, self.rule.severity) == ("support", "warning"):
            problems.append("it converts, and what a rule is not sure of is reported only where nothing does")
        others = sorted({finding.rule.code for finding in run.findings} - {self.rule.code})
        if others:
            problems.append(f"other rules that report it: {', '.join(others)}")
        if not mine and run.report.graph is not None:
            for miss in near_misses(self.rule, run.report.graph, environment)[:MISSES]:
                problems.append(f"not on {miss.subject}: {miss.condition} ({miss.reason})")
        return problems

    def false_alarms(self, run: Run) -> list[str]:
        """Errors of other rules about a model that converts."""
        if not run.converted:
            return []
        errors = [
            each for each in run.findings if each.severity == "error" and each.rule.category in BLOCKING
        ]
        return [
            f"{error.rule.code} {error.rule.name} is an error at {place_of(run, error)}, and it converts"
            for error in errors
            if error.rule.code != self.rule.code and error.rule.category in BLOCKING
        ]


def _skip(reason: str) -> None:
    """Skip an example that is not for what is installed here, if there is a ``reason``."""
    if reason:
        raise _Skip(reason)


def _converts(environment: Environment) -> str:
    return f"coremltools {environment.coremltools} converts it"
