"""A program whose stream of activations is kept channels-first: the walk with its table of counterparts."""

from __future__ import annotations

from typing import Any

from convlint.repair.draft import CHANGED, Change, Draft
from convlint.repair.layout.counterparts import counterpart
from convlint.repair.layout.walk import KIND, Relay


def channels_first(program: Any, banned: frozenset[str] = frozenset()) -> tuple[Any, tuple[Change, ...]]:
    """``program`` with its stream kept channels-first, and the changes that did it."""
    draft = Draft(program)
    Relay(draft, counterpart, banned).run()
    draft.settle()
    changed_program = draft.program()
    changes = [node.meta[CHANGED] for node in draft.graph.nodes if CHANGED in node.meta]
    mine = {(one.node, one.title): one for one in changes if one.kind == KIND}
    return changed_program, tuple(mine.values())
