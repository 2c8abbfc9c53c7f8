"""The changes of a search, as the report lists them: by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convlint.model.applied import Applied
from convlint.repair.applied import add_call
from convlint.repair.layout.views import CARRIED

if TYPE_CHECKING:
    from convlint.repair.draft import Change


def applied_changes(program: Any, changes: Sequence[Change]) -> tuple[Applied, ...]:
    """The changes to calls of the user's own program, those of one line and kind counted together."""
    nodes = {node.name: node for node in program.graph.nodes}
    by_line: dict[tuple[Any, ...], Applied] = {}
    carried = 0
    for change in changes:
        node = nodes.get(change.node)
        if node is None or node.op != "call_function":
            continue  # a change inside a change
        if change.title == CARRIED:
            carried += 1  # it follows its neighbours: one word for all of them
        else:
            add_call(by_line, node, change.kind, change.title, change.safety, change.rule)
    if carried:
        by_line[CARRIED,] = Applied("what lies between", "layout", CARRIED, calls=carried)
    return tuple(by_line.values())
