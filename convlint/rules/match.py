"""Matching: which rules fire where, and for a rule that does not, the condition that was false.

The rules are indexed by the op names that they ask for, each name resolved once, so that the work
grows with the number of op calls and not with calls times rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from convlint.coreml.supported import converter_name
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
    Replacement,
    Rule,
    Site,
    TrialFailure,
)
from convlint.rules.message import render
from convlint.rules.rulebook import Rulebook
from convlint.rules.subjects import (
    Environment,
    Looked,
    Subject,
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
    "converter_name",
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
    """One rule that fires on one subject. ``looked.of`` is the op call, port or failure itself."""

    rule: Rule
    looked: Looked

    @property
    def site(self) -> Site | None:
        """The source line of the subject, where it has one."""
        of = self.looked.of
        return of.site if isinstance(of, OpCall | CaptureFailure | TrialFailure) else None


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
        self.blocks: dict[Subject, list[tuple[Rule, Match]]] = {}
        self.resolved: dict[tuple[Subject, str], list[tuple[Rule, Match]]] = {}
        for rule in rulebook:
            if inapplicable(rule, environment) is None:
                for block in rule.matches:
                    self.blocks.setdefault(block.subject, []).append((rule, block))

    def of(self, subject: Subject, name: str) -> list[tuple[Rule, Match]]:
        """The blocks that name this subject, those for everything last."""
        found = self.resolved.get((subject, name))
        if found is None:
            found = [(rule, block) for rule, block in self.blocks.get(subject, ()) if _names(block, name)]
            found.sort(key=lambda pair: _EVERYTHING in pair[1].names)
            self.resolved[subject, name] = found
        return found

    def fire(self, looked: Looked) -> Iterator[RawMatch]:
        """One match for each rule with a block that holds.

        A rule for everything (``*``) gives way to one of the same category and severity that names the op.
        Where an op would run is not asked of one that leaves nothing in the program.
        """
        fired: set[str] = set()
        told: set[tuple[str, str]] = set()
        for rule, block in self.of(looked.subject, looked.name):
            everything = _EVERYTHING in block.names
            if looked.folded and rule.category == PLACEMENT:
                continue
            if rule.code in fired or (everything and (rule.category, rule.severity) in told):
                continue
            if all(holds(condition, looked.namespace, looked.functions) for condition in block.where):
                fired.add(rule.code)
                if not everything:
                    told.add((rule.category, rule.severity))
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
    rule: Rule, subject: OpCall | Port | CaptureFailure, environment: Environment, of: Subject = "input"
) -> list[NearMiss]:
    """Why ``rule`` does not fire on ``subject``: each false condition of each block that names it.

    Empty where it fires, or where no block names the subject. ``of`` says whether a Port is an input
    or an output.
    """
    return _explain(rule, _look(subject, environment, of), environment)


def _explain(rule: Rule, looked: Looked, environment: Environment) -> list[NearMiss]:
    blocks = [
        block for block in rule.matches if block.subject == looked.subject and _names(block, looked.name)
    ]
    site = RawMatch(rule, looked).site
    found: list[NearMiss] = []
    outside = inapplicable(rule, environment)
    if outside is not None and blocks:
        found.append(NearMiss(rule, looked.name, *outside, site))
    if looked.folded and rule.category == PLACEMENT and blocks:
        return [NearMiss(rule, looked.name, "not folded", "nothing of it is left in the program", site)]
    for block in blocks:
        false = []
        for condition in block.where:
            outcome = evaluate(condition, looked.namespace, looked.functions)
            if not outcome.holds:
                false.append(NearMiss(rule, looked.name, str(condition), outcome.reason, site))
        if not false and outside is None:
            return []
        found += false
    return found


def near_misses(rule: Rule, graph: Graph, environment: Environment) -> list[NearMiss]:
    """Every near miss of ``rule`` in a graph, in graph order."""
    looks = look_at_graph(graph, environment)
    return [miss for looked in looks for miss in _explain(rule, looked, environment)]


def _look(subject: OpCall | Port | CaptureFailure, environment: Environment, of: Subject) -> Looked:
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
        site = match.site
        place = (site.path, str(site.line)) if site else ("", _apart(match.looked))
        groups.setdefault((match.rule.code, *place), []).append(match)
    return tuple(sorted(map(_finding, groups.values()), key=_order))


def _apart(looked: Looked) -> str:
    if isinstance(looked.of, TrialFailure):
        return f"{looked.of.op} {looked.of.error}"
    return looked.of.name if isinstance(looked.of, Port) else looked.name


def _finding(group: list[RawMatch]) -> Finding:
    rule, looked = group[0].rule, group[0].looked
    first = looked.of
    namespace = looked.namespace
    if looked.subject == "op":
        names = list(dict.fromkeys(match.looked.name for match in group))
        namespace = {
            **namespace,
            "op": f"{names[0]} (and {', '.join(names[1:])})" if names[1:] else names[0],
        }
    traced = first if isinstance(first, OpCall | CaptureFailure | TrialFailure) else None
    return Finding(
        rule=rule,
        severity=rule.severity,
        message=render(rule.message, namespace, looked.functions),
        op=looked.name if looked.subject == "op" else getattr(first, "op", ""),
        site=group[0].site,
        calls=tuple(match.looked.of for match in group if isinstance(match.looked.of, OpCall)),
        replacements=_replacements(rule, group),
        caller=traced.caller if traced else None,
        module=traced.module if traced else "",
    )


def _replacements(rule: Rule, group: list[RawMatch]) -> tuple[Replacement, ...]:
    """What the rule proposes for the ops that matched: code of another function is never shown.

    Of an op that only the words are true of, the title stays and the code goes.
    """
    found: dict[Replacement, None] = {}
    for each in rule.replacements:
        spent = replace(each, op=(), words=(), where=())
        kind = "advice" if each.kind == "rewrite" else each.kind
        bare = replace(spent, kind=kind, before="", after="", rtol=None, general=False)
        mine = [match.looked for match in group if _holds_of(each, match.looked)]
        if any(not each.op or _is_any(looked.name, each.op) for looked in mine):
            found[spent] = None
        elif any(_is_any(looked.name, each.words) for looked in mine) and spent not in found:
            found[bare] = None
    return tuple(found)


def for_op(rule: Rule, op: str) -> Rule:
    """The rule with those of its replacements whose code is of this op."""
    mine = tuple(each for each in rule.replacements if not each.op or _is_any(op, each.op))
    return replace(rule, replacements=mine)


def _holds_of(replacement: Replacement, looked: Looked) -> bool:
    return all(holds(condition, looked.namespace, looked.functions) for condition in replacement.where)


def _is_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _order(finding: Finding) -> tuple[bool, str, int, int, str, str]:
    site = finding.site
    place = (site is None, site.path if site else "", site.line if site else 0)
    return (*place, SEVERITIES.index(finding.severity), finding.rule.code, finding.op)
