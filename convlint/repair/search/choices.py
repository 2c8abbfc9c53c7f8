"""The ways to treat one call of a program, each ready to be applied to a draft that has the call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from convlint.capture.reach import is_checked_alone, what_follows
from convlint.capture.walk import op_name
from convlint.repair.draft import CHANGED, Change, Draft
from convlint.repair.search.candidates import (
    Candidate,
    candidates,
    corrections,
    spell_out,
    spelled_out,
    traced_or_none,
)
from convlint.rewrites.table import FixesSize

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

    from convlint.repair.folding import Folder


class Choice(Protocol):
    """One way to treat a call."""

    @property
    def change(self) -> Change:
        """What is done, for the report."""

    def apply(self, draft: Draft, node: Node) -> None:
        """Do it to ``node`` of ``draft``."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Leaves the call out, with all that is computed of it: nothing but checks."""

    change: Change

    def apply(self, draft: Draft, node: Node) -> None:
        gone = {node, *what_follows(node)}
        for each in [each for each in reversed(draft.graph.nodes) if each in gone]:
            draft.graph.erase_node(each)


@dataclass(frozen=True, slots=True)
class Fold:
    """Puts a constant in the place of the call."""

    change: Change
    value: Any

    def apply(self, draft: Draft, node: Node) -> None:
        draft.replace_by_constant(node, self.value, self.change)


@dataclass(frozen=True, slots=True)
class SpellOut:
    """Writes ``more`` of the arguments of the call by position."""

    change: Change
    more: int

    def apply(self, draft: Draft, node: Node) -> None:
        spell_out(node, self.more)
        node.meta[CHANGED] = self.change


@dataclass(frozen=True, slots=True)
class Insert:
    """Puts other calls in the place of the call."""

    change: Change
    traced: GraphModule

    def apply(self, draft: Draft, node: Node) -> None:
        draft.insert(node, self.traced, self.change)


def fold(node: Node, value: Any) -> Fold:
    """The choice to put ``value``, which is what ``node`` gives whatever the inputs are, in its place."""
    title = "computed once: it depends on no input"
    return Fold(Change(node.name, op_name(node.target), "fold", title), value)


class Choices:
    """Lists what may be done to a call. ``unsafe`` allows rewrites that differ for some input.

    ``notes`` says of an op why a rewrite of it was left out, where that is worth knowing.
    """

    def __init__(self, *, unsafe: bool) -> None:
        self.unsafe = unsafe
        self.notes: dict[str, str] = {}

    def of_refused(self, node: Node, error: str) -> Iterator[Choice]:
        """The ways to treat a call that coremltools refuses with ``error``, in the order to try them."""
        op = op_name(node.target)
        if is_checked_alone(node):
            yield Drop(Change(node.name, op, "drop", "an assertion, which computes nothing, left out"))
            return
        for more in spelled_out(node, error):
            change = Change(node.name, op, "defaults", f"the default arguments of {op} spelled out")
            yield SpellOut(change, more)
        yield from self._traced(node, candidates(node))

    def of_wrong(self, node: Node, folder: Folder) -> Iterator[Choice]:
        """The ways to compute a call, which converts to other numbers, in ops that do not."""
        if folder.const.get(node) and (value := folder.value(node)) is not None:
            yield fold(node, value)
        yield from self._traced(node, corrections(node))
        # The same call under another name would escape the rule, and compute what it did.
        yield from self._traced(node, candidates(node), fewest=2)

    def _traced(self, node: Node, functions: Iterable[Candidate], fewest: int = 0) -> Iterator[Choice]:
        """Those of the functions that can be traced with the arguments of ``node``, into so many calls."""
        op = op_name(node.target)
        for candidate in functions:
            if candidate.safety != "safe" and not self.unsafe:
                continue
            try:
                traced, _ = traced_or_none(node, candidate)
            except FixesSize as error:
                self.notes[op] = f"{op}: not rewritten ({candidate.title}): {error}"
                continue
            if traced is not None and _calls(traced) >= fewest:
                yield Insert(_change(node, candidate), traced)


def _change(node: Node, candidate: Candidate) -> Change:
    op = op_name(node.target)
    return Change(node.name, op, candidate.kind, candidate.title, candidate.name, candidate.safety)


def _calls(traced: GraphModule) -> int:
    return sum(1 for node in traced.graph.nodes if node.op == "call_function")
