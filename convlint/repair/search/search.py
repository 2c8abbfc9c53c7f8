"""The search for changes that make a program convert: try, look at what is still refused, go on.

Its state is a list of steps. A step is a pass over the draft, or the treatment of one call: the choice
in use, and those not tried yet. Every round applies all steps to a fresh draft and asks coremltools. A
call that is refused gets a treatment of its own; where that has nothing to offer, and the call came from
a choice, the next choice of that treatment is taken. Nothing is guessed: the search is over when
coremltools converts the draft.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from convlint.capture.walk import graph_of_program
from convlint.model import Finding, OpCall, Trial, TrialFailure
from convlint.repair.draft import CHANGED, Change, Draft
from convlint.repair.folding import Folder
from convlint.repair.forms.table import REGION_PASSES
from convlint.repair.forms.walk import RegionPass
from convlint.repair.search.choices import Choice, Choices, fold
from convlint.repair.search.refusals import readers_of_unreadable, refused_nodes
from convlint.repair.search.wrong_numbers import AskRules, errors_of
from convlint.rewrites.table import NotApplicable
from convlint.rules.match import RawMatch

if TYPE_CHECKING:
    from torch.fx import Node

    from convlint.trial.job import Reader

ROUNDS = 16
"""Conversions tried in one search."""

LATE_PASSES = 3
"""Times that a region pass runs again over what other changes have made."""

EVERYTHING = "*"
"""The ban of every call."""

TryOut = Callable[[Any], Trial]


@dataclass(slots=True, eq=False)
class Treatment:
    """What is done to the call ``node``, which a choice for the call ``parent`` has put there, if any."""

    node: str
    parent: str
    untried: Iterator[Choice]
    choice: Choice | None = None

    def take_next(self) -> bool:
        """Take the next choice that applies; whether there was one."""
        try:
            self.choice = next(self.untried, None)
        except NotApplicable:
            self.choice = None
        return self.choice is not None


@dataclass(frozen=True, slots=True)
class Kept:
    """An attempt that converted: the draft, with the steps and the choices that made it."""

    draft: Draft
    trial: Trial
    steps: tuple[Treatment | RegionPass, ...]
    choices: tuple[tuple[Treatment, Choice | None], ...]
    wrong: tuple[RawMatch, ...]


@dataclass(frozen=True, slots=True)
class Searched:
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
    calls convert to other numbers; ``first`` is what coremltools said of the program
    as it is, if it was asked. After ``seconds`` no further round begins."""

    def __init__(
        self,
        program: Any,
        try_out: TryOut,
        *,
        unsafe: bool = False,
        banned: frozenset[str] = frozenset(),
        ask_rules: AskRules = lambda program: (),
        seconds: float = inf,
        first: Trial | None = None,
    ) -> None:
        self.program = program
        self.first = first
        self.try_out = try_out
        self.ask_rules = ask_rules
        self.until = time.monotonic() + seconds
        self.banned = banned
        self.choices = Choices(unsafe=unsafe)
        self.passes: list[RegionPass] = []
        self.steps: list[Treatment | RegionPass] = []
        self.float_buffers = False
        self.wrong: tuple[RawMatch, ...] = ()

    def run(self) -> Searched:
        """Search until coremltools converts the draft, or nothing is left to try."""
        draft, trial = self.attempt()
        rounds, best = 1, self.kept(None, draft, trial)
        while rounds < ROUNDS and time.monotonic() < self.until and self.choose(draft, trial):
            draft, trial = self.attempt()
            rounds += 1
            best = self.kept(best, draft, trial)
        if trial.status != "converted" and best is not None:
            self.steps, self.wrong = list(best.steps), best.wrong
            for treatment, choice in best.choices:
                treatment.choice = choice
            draft, trial = best.draft, best.trial
        return self.searched(draft, trial, rounds)

    def kept(self, best: Kept | None, draft: Draft, trial: Trial) -> Kept | None:
        """The better one of ``best`` and this attempt: of those that convert, with the fewest wrong numbers.

        What is tried against wrong numbers may be refused in the end, which must not lose what converted.
        """
        if trial.status != "converted" or (best is not None and len(best.wrong) <= len(self.wrong)):
            return best
        choices = tuple((step, step.choice) for step in self.treatments())
        return Kept(draft, trial, tuple(self.steps), choices, self.wrong)

    def attempt(self) -> tuple[Draft, Trial]:
        """A fresh draft with all changes so far, and what coremltools says of it."""
        draft = Draft(self.program)
        for step in (*self.passes, *self.steps):
            self.apply(step, draft)
        program = draft.program()
        self.wrong = self.ask_rules(program)
        known, self.first = self.first, None
        return draft, known or self.try_out(program)

    def apply(self, step: Treatment | RegionPass, draft: Draft) -> None:
        """Apply one step, as far as the draft has a call for it."""
        if isinstance(step, RegionPass):
            step(draft)
            return
        node = draft.nodes().get(step.node)
        if node is not None and step.choice is not None:
            step.choice.apply(draft, node)

    def searched(self, draft: Draft, trial: Trial, rounds: int) -> Searched:
        """The end of the search."""
        changes = self.changes(draft)
        if changes:
            draft.settle()
        program = draft.program()
        failures = tuple(failure for failure in trial.failures if not failure.follows) or trial.failures
        return Searched(
            program,
            trial,
            changes,
            () if trial.status == "converted" else failures,
            rounds,
            tuple(self.choices.notes.values()),
            errors_of(self.wrong),
        )

    def changes(self, draft: Draft) -> tuple[Change, ...]:
        """What was changed, each change once: those whose nodes are in the draft, then those of all steps."""
        of_nodes = [node.meta[CHANGED] for node in draft.graph.nodes if node.meta.get(CHANGED) is not None]
        of_steps = [step.choice.change for step in self.treatments() if step.choice is not None]
        return tuple({(change.node, change.title): change for change in (*of_nodes, *of_steps)}.values())

    def choose(self, draft: Draft, trial: Trial) -> bool:
        """Take the next steps: first for what is refused, then for what converts to other numbers."""
        if EVERYTHING in self.banned:
            return False
        if trial.status != "converted" and self.choose_for_refused(draft, trial):
            return True
        return self.choose_for_wrong(draft)

    def choose_for_refused(self, draft: Draft, trial: Trial) -> bool:
        """Take the next step for everything that was refused; whether there was one."""
        if self.take_pass(draft, trial):
            return True
        refused = refused_nodes(draft, trial)
        folded = self.fold(draft, [*refused, *readers_of_unreadable(draft)])
        moved = bool(folded)
        for node, error in refused.items():
            if node not in folded and node.name not in self.banned:
                moved |= self.treat(node, self.choices.of_refused(node, error))
        if moved or self.float_buffers:
            return moved
        self.float_buffers = True
        return bool(Folder(draft, float_buffers=True).frontier(refused)) and self.choose_for_refused(
            draft, trial
        )

    def choose_for_wrong(self, draft: Draft) -> bool:
        """Take the next step for every call that converts to other numbers; whether there was one."""
        by_name = draft.nodes()
        folder = Folder(draft, float_buffers=False)
        calls = (match.subject.thing for match in self.wrong)
        moved = False
        for name in dict.fromkeys(call.name for call in calls if isinstance(call, OpCall)):
            node = by_name.get(name)
            if node is not None and not {name, _parent(node)} & self.banned:
                moved |= self.treat(node, self.choices.of_wrong(node, folder))
        return moved

    def take_pass(self, draft: Draft, trial: Trial) -> bool:
        """Take a region pass that the refusals ask for: first of all, or again after the steps so far."""
        for region_pass in REGION_PASSES.values():
            if not region_pass.wanted(draft, trial):
                continue
            if region_pass not in self.passes:
                self.passes.append(region_pass)
                self.steps.clear()  # the calls that they treat may be others now
                return True
            times = sum(step is region_pass for step in self.steps)
            if self.steps and self.steps[-1] is not region_pass and times < LATE_PASSES:
                self.steps.append(region_pass)
                return True
        return False

    def fold(self, draft: Draft, nodes: list[Node]) -> set[Node]:
        """Fold what ``nodes`` read that depends on no input: what is folded, and what that is made from."""
        folder = Folder(draft, float_buffers=self.float_buffers)
        folded: set[Node] = set()
        for node in folder.frontier(nodes):
            value = folder.value(node)
            if value is not None:
                self.steps.append(Treatment(node.name, _parent(node), iter(()), fold(node, value)))
                folded |= _with_ancestors(node)
        return folded

    def treat(self, node: Node, choices: Iterator[Choice]) -> bool:
        """Take the first of ``choices`` for ``node``, or the next one for the call that it was made for."""
        if self.treatment_of(node.name) is None:
            treatment = Treatment(node.name, _parent(node), choices)
            if treatment.take_next():
                self.steps.append(treatment)
                return True
        parent = self.treatment_of(_parent(node))
        if parent is None or parent.choice is None:
            return False
        self.forget_children(parent.node)
        return parent.take_next()

    def treatments(self) -> list[Treatment]:
        """The steps that treat a call."""
        return [step for step in self.steps if isinstance(step, Treatment)]

    def treatment_of(self, node: str) -> Treatment | None:
        """The treatment of a call, if it has one."""
        return next((step for step in self.treatments() if step.node == node), None)

    def forget_children(self, node: str) -> None:
        """Take out the treatments of calls that a choice for ``node`` had made, and of what came of them."""
        for child in self.treatments():
            if child.parent == node and child in self.steps:
                self.forget_children(child.node)
                self.steps.remove(child)


def _parent(node: Node) -> str:
    """The call that ``node`` was made for, empty for one of the program's own."""
    change = node.meta.get(CHANGED)
    return change.node if change is not None else ""


def _with_ancestors(node: Node) -> set[Node]:
    """``node`` and all that it is computed from."""
    reached: set[Node] = set()
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one not in reached:
            reached.add(one)
            waiting += one.all_input_nodes
    return reached


def convert_in_child(target: str, timeout: float, read: Reader | None = None) -> TryOut:
    """A :data:`TryOut` that asks coremltools by the export frontend, weightless, in its own process.

    ``read`` reads the programs that were converted.
    """
    from convlint.trial.run import run_trial

    def try_out(program: Any) -> Trial:
        graph = graph_of_program(program)
        return run_trial(program, graph, "export", target, "passes", timeout, read=read)

    return try_out
