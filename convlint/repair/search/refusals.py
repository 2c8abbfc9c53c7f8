"""Which calls of a draft coremltools refuses, by what it said of a trial."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from convlint.capture.names import located
from convlint.capture.walk import op_name
from convlint.model import Trial
from convlint.repair.draft import Draft

if TYPE_CHECKING:
    from torch.fx import Node

_RAISES_RANK = ("aten.group_norm.",)
"""Calls that coremltools takes apart with one axis more, so that the refusal names none of the program's.
https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/ops.py"""

_HIGHEST_UNSPLIT = 4
"""The rank up to which these calls stay within what Core ML takes."""

_UNREADABLE = (
    "torch.bfloat16",
    "torch.complex64",
    "torch.complex128",
    "torch.float8_e4m3fn",
    "torch.float8_e5m2",
)
"""Dtypes of constants that coremltools does not read."""


def refused_nodes(draft: Draft, trial: Trial) -> dict[Node, str]:
    """The nodes that were refused, with the error; those that only follow others, if there are no others."""
    by_name = draft.nodes()
    first: dict[Node, str] = {}
    follow: dict[Node, str] = {}
    for failure in trial.failures:
        node = _of_results(located(by_name, failure.node))
        if node is not None and node.op == "call_function":
            (follow if failure.follows else first).setdefault(node, failure.error)
    if any("rank <= 5" in failure.error for failure in trial.failures):
        for node in draft.graph.nodes:
            if op_name(node.target).startswith(_RAISES_RANK) and node.meta["val"].dim() > _HIGHEST_UNSPLIT:
                first.setdefault(node, "its converter makes a tensor of rank above 5")
    if any(_writes_nothing(node) for node in first):  # the pass ends at the first of them
        for node in filter(_writes_nothing, draft.graph.nodes):
            first.setdefault(node, "it writes nothing")
    return first or follow


def _writes_nothing(node: Node) -> bool:
    """Whether a call writes no element, or into a tensor that has none."""
    if op_name(node.target) not in ("aten.slice_scatter.default", "aten.select_scatter.default"):
        return False
    sizes = (size for tensor in node.all_input_nodes for size in tensor.meta["val"].shape)
    return any(isinstance(size, int) and size == 0 for size in sizes)


def _of_results(node: Node | None) -> Node | None:
    """The call whose result ``node`` takes out: it is that call which has to give another one."""
    while node is not None and node.target is operator.getitem and node.all_input_nodes:
        node = node.all_input_nodes[0]
    return node


def readers_of_unreadable(draft: Draft) -> list[Node]:
    """The calls that read a constant of a dtype that coremltools does not read."""
    return [
        user
        for node in draft.graph.nodes
        if node.op == "placeholder" and str(getattr(node.meta.get("val"), "dtype", "")) in _UNREADABLE
        for user in node.users
    ]
