"""The search for changes that make a program convert: try, look at what is still refused, go on.

A plan is a list of steps, each of which replaces one call by the first candidate that has not failed
yet. Every round applies the plan to a fresh draft and asks coremltools; a call that is refused gets a
step, and where the candidate of a step is refused itself and nothing helps it, the next candidate of
that step is taken. Nothing is guessed: the plan is done when coremltools converts the draft.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.capture.names import located
from convlint.capture.walk import graph_of_program, op_name
from convlint.model import Finding, OpCall, Trial, TrialFailure
from convlint.repair.draft import CHANGED, Change, Draft
from convlint.repair.folding import Folder
from convlint.repair.forms.table import REGION_PASSES
from convlint.repair.forms.walk import RegionPass
from convlint.repair.search.candidates import (
    Candidate,
    candidates,
    corrections,
    spell_out,
    spelled_out,
    traced_or_none,
)
from convlint.repair.search.wrong_numbers import AskRules, errors_of
from convlint.rewrites.table import FixesSize, NotApplicable
from convlint.rules.match import RawMatch

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

ROUNDS = 16
"""Conversions tried in one search."""

LATE_PASSES = 3
"""Times that a region pass runs again over what other changes have made."""

TryOut = Callable[[Any], Trial]


@dataclass(slots=True)
class _Option:
    """One way to treat a refused call, ready to be applied to a draft that has the call."""

    change: Change
    apply: Callable[[Draft, Node], None]


@dataclass(slots=True)
class _Step:
    """A refused call under treatment: the options left, and the one in use.

    With ``late`` it is no call, but a region pass over all that the steps before it have made.
    """

    node: str
    parent: str
    options: Iterator[_Option]
    current: _Option | None = None
    late: RegionPass | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the search ended: the last draft's program, what was changed, what coremltools says of it.

    ``wrong`` are the errors that the rules find in it: calls that convert to other numbers.
    """

    program: Any
    trial: Trial
    changes: tuple[Change, ...]
    remaining: tuple[TrialFailure, ...] = ()
    rounds: int = 0
    notes: tuple[str, ...] = ()
    wrong: tuple[Finding, ...] = ()


class Search:
    """One search. ``try_out`` converts a program and tells what was refused; ``unsafe`` allows rewrites
    that differ for some input; ``banned`` names calls that must stay as they are; ``ask_rules`` says which
    calls convert to other numbers."""

    def __init__(
        self,
        program: Any,
        try_out: TryOut,
        *,
        unsafe: bool = False,
        banned: frozenset[str] = frozenset(),
        ask_rules: AskRules = lambda program: (),
    ) -> None:
        self.program = program
        self.try_out = try_out
        self.ask_rules = ask_rules
        self.wrong: tuple[RawMatch, ...] = ()
        self.unsafe = unsafe
        self.banned = banned
        self.steps: list[_Step] = []
        self.passes: list[RegionPass] = []
        self.float_buffers = False
        self.refused: dict[str, str] = {}

    def run(self) -> Outcome:
        """Search until coremltools converts the draft, or nothing is left to try."""
        draft, trial = self.attempt()
        rounds = 1
        while rounds < ROUNDS and self.go_on(draft, trial):
            draft, trial = self.attempt()
            rounds += 1
        changes = tuple(
            {(c.node, c.title): c for node in draft.graph.nodes if (c := node.meta.get(CHANGED))}.values()
        ) + tuple(step.current.change for step in self.steps if step.current is not None)
        unique = tuple({(change.node, change.title): change for change in changes}.values())
        remaining = tuple(failure for failure in trial.failures if not failure.follows) or trial.failures
        if unique:
            draft.settle()
        program = draft.program()
        return Outcome(
            program,
            trial,
            unique,
            () if trial.status == "converted" else remaining,
            rounds,
            tuple(self.refused.values()),
            errors_of(self.wrong),
        )

    def attempt(self) -> tuple[Draft, Trial]:
        """A fresh draft with all changes so far, and what coremltools says of it."""
        draft = Draft(self.program)
        for passed in self.passes:
            passed(draft)
        for step in self.steps:
            if step.late is not None:
                step.late(draft)
                continue
            node = draft.nodes().get(step.node)
            if node is not None and step.current is not None:
                step.current.apply(draft, node)
        program = draft.program()
        self.wrong = self.ask_rules(program)
        return draft, self.try_out(program)

    def go_on(self, draft: Draft, trial: Trial) -> bool:
        """Take the next steps: first for what is refused, then for what converts to other numbers."""
        if trial.status != "converted" and self.advance(draft, trial):
            return True
        return "*" not in self.banned and self.correct(draft)

    def correct(self, draft: Draft) -> bool:
        """Give every call that converts to other numbers its next correction; whether there was one."""
        by_name = draft.nodes()
        folder = Folder(draft, float_buffers=False)
        moved = False
        calls = (match.subject.thing for match in self.wrong)
        for name in dict.fromkeys(call.name for call in calls if isinstance(call, OpCall)):
            node = by_name.get(name)
            if node is not None and name not in self.banned and _parent(node) not in self.banned:
                moved |= self.take_next(node, self.corrections(node, folder))
        return moved

    def corrections(self, node: Node, folder: Folder) -> Iterator[_Option]:
        """The ways to compute ``node`` in ops that convert to the same numbers."""
        if folder.const.get(node) and (value := folder.value(node)) is not None:
            step = self._fold(node, value)
            if step.current is not None:
                yield step.current
        yield from self.traced(node, corrections(node))
        # The same call under another name would escape the rule, and compute what it did.
        yield from self.traced(node, candidates(node), fewest=2)

    def advance(self, draft: Draft, trial: Trial) -> bool:
        """Take the next step for everything that was refused; whether there was one."""
        if "*" in self.banned:
            return False
        refused = _refused_nodes(draft, trial)
        moved = False
        for region_pass in REGION_PASSES.values():
            if not region_pass.wanted(draft, trial):
                continue
            if region_pass not in self.passes:
                self.passes.append(region_pass)
                self.steps.clear()
                return True
            late = [step for step in self.steps if step.late is region_pass]
            if self.steps and self.steps[-1] not in late and len(late) < LATE_PASSES:
                self.steps.append(_Step("", "", iter(()), late=region_pass))
                return True
        folder = Folder(draft, float_buffers=self.float_buffers)
        frontier = folder.frontier([*refused, *_readers_of_odd_constants(draft)])
        covered: set[Node] = set()
        for node in frontier:
            value = folder.value(node)
            if value is not None:
                self.steps.append(self._fold(node, value))
                moved = True
                covered |= _ancestors(node)
        for node, error in refused.items():
            if node in covered or node.name in self.banned:
                continue
            moved |= self.treat(draft, node, error)
        if not moved and not self.float_buffers:
            self.float_buffers = True
            return bool(Folder(draft, float_buffers=True).frontier(refused)) and self.advance(draft, trial)
        return moved

    def treat(self, draft: Draft, node: Node, error: str) -> bool:
        """Give ``node``, which is refused, an option, or the call that it was made for its next one."""
        return self.take_next(node, self.options(node, error))

    def take_next(self, node: Node, options: Iterator[_Option]) -> bool:
        """Give ``node`` the first of ``options``, or the call that it was made for its next one."""
        if not any(step.node == node.name for step in self.steps):
            step = _Step(node.name, _parent(node), options)
            if self._next(step):
                self.steps.append(step)
                return True
        parent = next((step for step in self.steps if step.node == _parent(node)), None)
        if parent is None or parent.current is None:
            return False
        self._forget_children(parent.node)
        return self._next(parent)

    def options(self, node: Node, error: str) -> Iterator[_Option]:
        """The ways to treat ``node``, each already traced with its arguments."""
        op = op_name(node.target)
        if op.startswith(("aten._assert", "aten._linalg_check_errors")):
            change = Change(node.name, op, "drop", "an assertion, which computes nothing, left out")
            yield _Option(change, lambda draft, found: draft.graph.erase_node(found))
            return
        for more in spelled_out(node, error):
            change = Change(node.name, op, "defaults", f"the default arguments of {op} spelled out")

            def spell(draft: Draft, found: Node, more: int = more, change: Change = change) -> None:
                spell_out(found, more)
                found.meta[CHANGED] = change

            yield _Option(change, spell)
        yield from self.traced(node, candidates(node))

    def traced(self, node: Node, found: Iterable[Candidate], fewest: int = 0) -> Iterator[_Option]:
        """Those of the candidates that can be traced with the arguments of ``node``, into so many calls."""
        op = op_name(node.target)
        for candidate in found:
            if candidate.safety != "safe" and not self.unsafe:
                continue
            try:
                traced, _ = traced_or_none(node, candidate)
            except FixesSize as error:
                self.refused[op] = f"{op}: not rewritten ({candidate.title}): {error}"
                continue
            if traced is None or _calls(traced) < fewest:
                continue
            change = Change(node.name, op, candidate.kind, candidate.title, candidate.name, candidate.safety)

            def put(draft: Draft, found: Node, traced: Any = traced, change: Change = change) -> None:
                draft.insert(found, traced, change)

            yield _Option(change, put)

    def _fold(self, node: Node, value: Any) -> _Step:
        op = op_name(node.target)
        title = "computed once: it depends on no input"
        change = Change(node.name, op, "fold", title)

        def fold(draft: Draft, found: Node) -> None:
            draft.replace_by_constant(found, value, change)

        step = _Step(node.name, _parent(node), iter(()))
        step.current = _Option(change, fold)
        return step

    def _next(self, step: _Step) -> bool:
        try:
            step.current = next(step.options, None)
        except NotApplicable:
            step.current = None
        return step.current is not None

    def _forget_children(self, name: str) -> None:
        gone = [step for step in self.steps if step.parent == name]
        for step in gone:
            self._forget_children(step.node)
            if step in self.steps:
                self.steps.remove(step)


def _calls(traced: GraphModule) -> int:
    return sum(1 for node in traced.graph.nodes if node.op == "call_function")


def _refused_nodes(draft: Draft, trial: Trial) -> dict[Node, str]:
    """The nodes that were refused, with the error; those that only follow others, if there are no others."""
    by_name = draft.nodes()
    first: dict[Node, str] = {}
    follow: dict[Node, str] = {}
    for failure in trial.failures:
        node = located(by_name, failure.node)
        if node is not None and node.op == "call_function":
            (follow if failure.follows else first).setdefault(node, failure.error)
    if any("rank <= 5" in failure.error for failure in trial.failures):
        for node in draft.graph.nodes:
            if op_name(node.target).startswith(_RAISES_RANK) and node.meta["val"].dim() > _HIGHEST_UNSPLIT:
                first.setdefault(node, "its converter makes a tensor of rank above 5")
    return first or follow


_RAISES_RANK = ("aten.group_norm.",)
"""Calls that coremltools takes apart with one axis more, so that the refusal names none of the program's.
https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/ops.py"""
_HIGHEST_UNSPLIT = 4


def _readers_of_odd_constants(draft: Draft) -> list[Node]:
    """The calls that read a constant of a dtype that coremltools does not read."""
    odd = (
        "torch.bfloat16",
        "torch.complex64",
        "torch.complex128",
        "torch.float8_e4m3fn",
        "torch.float8_e5m2",
    )
    return [
        user
        for node in draft.graph.nodes
        if node.op == "placeholder" and str(getattr(node.meta.get("val"), "dtype", "")) in odd
        for user in node.users
    ]


def _parent(node: Node) -> str:
    change = node.meta.get(CHANGED)
    return change.node if change is not None else ""


def _ancestors(node: Node) -> set[Node]:
    found: set[Node] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += one.all_input_nodes
    return found


def convert_in_child(target: str, timeout: float) -> TryOut:
    """A :data:`TryOut` that asks coremltools by the export frontend, weightless, in its own process."""
    from convlint.trial.run import run_trial

    def try_out(program: Any) -> Trial:
        return run_trial(program, graph_of_program(program), "export", target, "passes", timeout)

    return try_out
