"""Where two programs part: the changed calls whose result is not that of the call that they replace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convlint.numerics.difference import difference
from convlint.numerics.tolerance import BLAME_OF_ZEROS, FIXED
from convlint.repair.draft import CHANGED

if TYPE_CHECKING:
    from torch.fx import Node


def first_changes(module: Any, before: Any, after: Any, inputs: Any) -> frozenset[str]:
    """The calls of ``before`` whose changes lead to the first value of ``after`` that is another.

    Calls that were not changed keep their names, so their values can be laid beside each other.
    """
    import torch

    from convlint.capture.build import borrowed
    from convlint.numerics.comparison import fixed_inputs

    sample = fixed_inputs(inputs, 0)
    # A difference shows first where a changed call hands its result on: nothing else is kept.
    borders = {
        name
        for node in after.graph.nodes
        for source in node.all_input_nodes
        if source.meta.get(CHANGED) is not None and source.meta[CHANGED] is not node.meta.get(CHANGED)
        for name in (node.name, source.name, source.meta[CHANGED].node)
    }
    with borrowed(module), torch.no_grad():
        right = _values(module, before, sample, borders)
        try:
            actual = _values(module, after, sample, borders)
        except Exception:  # what cannot be run has no values: halving the changes finds the one
            return frozenset()
    unchanged = {node.name for node in after.graph.nodes if node.meta.get(CHANGED) is None}
    last = next(node for node in after.graph.nodes if node.op == "output")
    parting = next(
        (
            node
            for node in after.graph.nodes
            if node.name in unchanged and node.name in right and node.name in actual
            if _differs(actual[node.name], right[node.name])
        ),
        last,
    )
    suspects = _changes_before(parting)
    proven = {name for name in suspects if _is_wrong(name, after, right, actual)}
    return frozenset(proven or suspects)


def _changes_before(node: Node) -> set[str]:
    """The changes that ``node`` reads, and those that they read in turn."""
    names: set[str] = set()
    waiting, seen = [node], {node}
    while waiting:
        one = waiting.pop()
        change = one.meta.get(CHANGED)
        if change is not None:
            names.add(change.node)
        for source in one.all_input_nodes:
            if source not in seen and source.meta.get(CHANGED) is not None:
                seen.add(source)
                waiting.append(source)
    return names


def _is_wrong(name: str, after: Any, right: dict[str, Any], actual: dict[str, Any]) -> bool:
    """Whether what stands in the place of the call ``name`` hands on another value than the call did."""
    if name not in right:
        return False
    mine = [
        n for n in after.graph.nodes if (change := n.meta.get(CHANGED)) is not None and change.node == name
    ]
    handed_on = [node for node in mine if any(user not in mine for user in node.users)]
    return bool(handed_on) and all(
        node.name in actual and _differs(actual[node.name], right[name]) for node in handed_on
    )


def _values(module: Any, program: Any, inputs: Any, names: set[str]) -> dict[str, Any]:
    """The values of the named calls, run with the module's own tensors."""
    import torch

    from convlint.repair.module import FixedModule

    values: dict[str, Any] = {}

    class Watching(torch.fx.Interpreter):
        def run_node(self, n: Node) -> Any:
            value = super().run_node(n)
            if n.name in names and isinstance(value, torch.Tensor):
                values[n.name] = value
            return value

    fixed = FixedModule(module, program)
    watching = Watching(vars(fixed)["_graph_module"])
    vars(fixed)["_graph_module"] = watching.run
    args, kwargs = inputs
    torch.manual_seed(0)
    fixed(*args, **kwargs)
    return values


def _differs(actual: Any, right: Any) -> bool:
    """Whether two values are not the same. Integers and booleans are decisions: each must be the same."""
    inexact = right.is_floating_point() or right.is_complex()
    return bool(difference([actual], [right], of_zeros=BLAME_OF_ZEROS).beyond(FIXED if inexact else 0.0))
