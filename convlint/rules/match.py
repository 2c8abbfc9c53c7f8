"""Matching: which rules fire where, and for a rule that does not, the condition that was false.

The rules are indexed by the op names that they ask for, each name resolved once, so that the work
grows with the number of op calls and not with calls times rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from convlint.coreml.versions import parse_bounds, parse_target
from convlint.errors import UsageError
from convlint.model import (
    SEVERITIES,
    CaptureFailure,
    Finding,
    Graph,
    Match,
    OpCall,
    Port,
    Rule,
    Site,
    Subject,
    SubjectKind,
    TrialFailure,
)
from convlint.rules.message import render
from convlint.rules.proposals import for_op, replacements_for
from convlint.rules.rulebook import Rulebook
from convlint.rules.subjects import (
    Environment,
    Looked,
    look_at_call,
    look_at_environment,
    look_at_failure,
    look_at_graph,
    look_at_port,
    look_at_trial_failure,
)
from convlint.rules.where.language import evaluate, holds

__all__ = [
    "Environment",
    "NearMiss",
    "RawMatch",
    "explain",
    "for_op",
    "group_findings",
    "match_environment",
    "match_failures",
    "match_graph",
    "match_trial",
    "near_misses",
]


@dataclass(frozen=True, slots=True)
class RawMatch:
    """One rule that fires on one subject."""

    rule: Rule
    looked: Looked

    @property
    def subject(self) -> Subject:
        """The op call, port, failure or part of the environment itself."""
        return self.looked.subject

    @property
    def traced(self) -> OpCall | CaptureFailure | TrialFailure | None:
        """The subject if it is of a kind that stands at a line of source."""
        thing = self.subject.thing
        return thing if isinstance(thing, OpCall | CaptureFailure | TrialFailure) else None

    @property
    def site(self) -> Site | None:
        """The source line of the subject, where it has one."""
        return self.traced.site if self.traced is not None else None


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A condition that kept a rule from firing on a subject that it names, with what made it false."""

    rule: Rule
    subject: str
    condition: str
    reason: str
    site: Site | None = None


_EVERYTHING = "*"
PLACEMENT = "ane"
"""The category of rules about where an op runs."""


class _Index:
    """The blocks of the applicable rules by subject and name."""

    def __init__(self, rulebook: Iterable[Rule], environment: Environment) -> None:
        self.blocks: dict[SubjectKind, list[tuple[Rule, Match]]] = {}
        self.resolved: dict[tuple[SubjectKind, str], list[tuple[Rule, Match]]] = {}
        for rule in rulebook:
            if inapplicable(rule, environment) is None:
                for block in rule.matches:
                    self.blocks.setdefault(block.subject, []).append((rule, block))

    def of(self, kind: SubjectKind, word: str) -> list[tuple[Rule, Match]]:
        """The blocks that name this subject, those for everything last."""
        blocks = self.resolved.get((kind, word))
        if blocks is None:
            blocks = [(rule, block) for rule, block in self.blocks.get(kind, ()) if _names(block, word)]
            blocks.sort(key=lambda pair: _EVERYTHING in pair[1].names)
            self.resolved[kind, word] = blocks
        return blocks

    def fire(self, looked: Looked) -> Iterator[RawMatch]:
        """One match for each rule with a block that holds.

        A rule for everything (``*``) gives way to one of the same category and severity that names the op.
        Where an op would run is not asked of one that leaves nothing in the program.
        """
        fired: set[str] = set()
        answered: set[tuple[str, str]] = set()
        for rule, block in self.of(looked.subject.kind, looked.word):
            everything = _EVERYTHING in block.names
            if looked.folded and rule.category == PLACEMENT:
                continue
            if rule.code in fired or (everything and (rule.category, rule.severity) in answered):
                continue
            if all(holds(condition, looked.namespace, looked.functions) for condition in block.where):
                fired.add(rule.code)
                if not everything:
                    answered.add((rule.category, rule.severity))
                yield RawMatch(rule, looked)


def _names(block: Match, name: str) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in block.names)


def inapplicable(rule: Rule, environment: Environment) -> tuple[str, str] | None:
    """The bound of ``applies`` that ``environment`` is outside of, and what it has instead; else None."""
    for key, bounds in rule.applies.items():
        condition = f"{key} {bounds}"
        if key == "frontend":
            if environment.frontend != bounds:
                return condition, f"the frontend is {environment.frontend}"
            continue
        value = parse_target(environment.target) if key == "target" else environment.release(key)
        if value is None:
            return condition, f"{key} has no known version here"
        if not parse_bounds(bounds, "target" if key == "target" else "version").hold(value):
            return condition, f"{key} is {value}"
    return None


def match_graph(rulebook: Rulebook, graph: Graph, environment: Environment) -> list[RawMatch]:
    """Every rule that fires on the model, its inputs, ops (in graph order) and outputs."""
    index = _Index(rulebook, environment)
    return [match for looked in look_at_graph(graph, environment) for match in index.fire(looked)]


def match_failures(
    rulebook: Rulebook, failures: Iterable[CaptureFailure], environment: Environment
) -> list[RawMatch]:
    """Every rule that fires on what stopped a capture."""
    index = _Index(rulebook, environment)
    context = environment.context()
    return [match for failure in failures for match in index.fire(look_at_failure(failure, context))]


def match_trial(
    rulebook: Rulebook, failures: Iterable[TrialFailure], environment: Environment
) -> list[RawMatch]:
    """Every rule that fires on what a trial conversion refused."""
    index = _Index(rulebook, environment)
    context = environment.context()
    return [match for failure in failures for match in index.fire(look_at_trial_failure(failure, context))]


def match_environment(rulebook: Rulebook, environment: Environment) -> list[RawMatch]:
    """Every rule that fires on the versions themselves."""
    index = _Index(rulebook, environment)
    return [match for looked in look_at_environment(environment) for match in index.fire(looked)]


def explain(
    rule: Rule, subject: OpCall | Port | CaptureFailure, environment: Environment, of: SubjectKind = "input"
) -> list[NearMiss]:
    """Why ``rule`` does not fire on ``subject``: each false condition of each block that names it.

    Empty where it fires, or where no block names the subject. ``of`` says whether a Port is an input
    or an output.
    """
    return _explain(rule, _look(subject, environment, of), environment)


def _explain(rule: Rule, looked: Looked, environment: Environment) -> list[NearMiss]:
    kind, word = looked.subject.kind, looked.word
    blocks = [block for block in rule.matches if block.subject == kind and _names(block, word)]
    if not blocks:
        return []
    site = RawMatch(rule, looked).site
    if looked.folded and rule.category == PLACEMENT:
        return [NearMiss(rule, word, "not folded", "nothing of it is left in the program", site)]
    outside = inapplicable(rule, environment)
    misses = [NearMiss(rule, word, *outside, site)] if outside is not None else []
    for block in blocks:
        false = _false_conditions(rule, block, looked, site)
        if not false and outside is None:
            return []
        misses += false
    return misses


def _false_conditions(rule: Rule, block: Match, looked: Looked, site: Site | None) -> list[NearMiss]:
    outcomes = [
        (condition, evaluate(condition, looked.namespace, looked.functions)) for condition in block.where
    ]
    return [
        NearMiss(rule, looked.word, str(condition), outcome.reason, site)
        for condition, outcome in outcomes
        if not outcome.holds
    ]


def near_misses(rule: Rule, graph: Graph, environment: Environment) -> list[NearMiss]:
    """Every near miss of ``rule`` in a graph, in graph order."""
    looks = look_at_graph(graph, environment)
    return [miss for looked in looks for miss in _explain(rule, looked, environment)]


def _look(subject: OpCall | Port | CaptureFailure, environment: Environment, of: SubjectKind) -> Looked:
    context = environment.context()
    if isinstance(subject, OpCall):
        return look_at_call(subject, environment, context)
    if isinstance(subject, CaptureFailure):
        return look_at_failure(subject, context)
    if of not in ("input", "output"):
        raise UsageError(f"a port is an input or an output, not {of}")
    return look_at_port("input" if of == "input" else "output", subject, context)


def group_findings(matches: Iterable[RawMatch]) -> tuple[Finding, ...]:
    """One finding for each rule and source line, with the line's calls in graph order.

    Where a line has several ops of one rule, ``{op}`` in the message names them all behind the first, which
    the sentence is about; everything else in it is of the first call. Without a line, each op name, port or
    component is by itself.
    """
    groups: dict[tuple[str, ...], list[RawMatch]] = {}
    for match in matches:
        groups.setdefault((match.rule.code, *_place(match)), []).append(match)
    return tuple(sorted(map(_finding, groups.values()), key=_order))


def _place(match: RawMatch) -> tuple[str, str]:
    """The line that a match is told at; where it has none, what keeps its subject apart from others."""
    if match.site is not None:
        return match.site.path, str(match.site.line)
    thing = match.subject.thing
    if isinstance(thing, TrialFailure):
        return "", f"{thing.op} {thing.error}"
    return "", match.subject.name


def _finding(group: Sequence[RawMatch]) -> Finding:
    """The finding of one rule at one line. All but the calls and replacements is of the first match."""
    first = group[0]
    subjects = [match.looked for match in group]
    things = [match.subject.thing for match in group]
    return Finding(
        rule=first.rule,
        severity=first.rule.severity,
        message=_message(first, subjects),
        op=first.subject.name if first.subject.kind in ("op", "trial") else "",
        site=first.site,
        calls=tuple(thing for thing in things if isinstance(thing, OpCall)),
        replacements=replacements_for(first.rule, subjects),
        caller=first.traced.caller if first.traced else None,
        module=first.traced.module if first.traced else "",
        subject=first.subject,
    )


def _message(first: RawMatch, subjects: Sequence[Looked]) -> str:
    namespace = first.looked.namespace
    if first.subject.kind == "op":
        names = list(dict.fromkeys(looked.subject.name for looked in subjects))
        others = f" (and {', '.join(names[1:])})" if len(names) > 1 else ""
        namespace = {**namespace, "op": names[0] + others}
    return render(first.rule.message, namespace, first.looked.functions)


def _order(finding: Finding) -> tuple[bool, str, int, int, str, str]:
    site = finding.site
    place = (site is None, site.path if site else "", site.line if site else 0)
    return (*place, SEVERITIES.index(finding.severity), finding.rule.code, finding.op)
