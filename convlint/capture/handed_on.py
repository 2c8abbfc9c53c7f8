"""Outputs that are no tensor of their own: an input given back, one tensor returned twice, a constant.

The converter takes ops away that change nothing, so that ``x.clone()`` and ``y.view(y.shape)`` at the
end of a model get the name of what they were made of.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convlint.model import Port

if TYPE_CHECKING:
    from torch.fx import Node

_CHANGE_NOTHING = frozenset(
    "aten.alias.default aten.clone.default aten.contiguous.default aten.detach.default "
    "aten.expand.default aten.reshape.default aten.view.default aten._unsafe_view.default".split()
)
"""Ops that give their tensor on untouched where neither its shape nor its dtype changes."""


def mark_handed_on(
    outputs: Iterable[Port], by_name: Mapping[str, Node], constants: Collection[str]
) -> tuple[Port, ...]:
    """The outputs with what the converter makes of them: constant, or the tensor of another port."""
    seen: dict[str, str] = {}
    ports = []
    for port in outputs:
        node: Any = by_name.get(port.name)
        node = origin(node)
        if port.kind != "tensor" or node is None:
            ports.append(port)
            continue
        own = node.op == "call_function" or node.name in constants
        same = seen.setdefault(node.name, "" if own else node.name)
        seen[node.name] = same or port.name
        ports.append(replace(port, same_as=same, const=port.name in constants))
    return tuple(ports)


def origin(node: Any) -> Any:
    """The node whose values ``node`` hands on, itself in the end; None where that is no tensor."""
    from torch.fx import Node

    while node is not None and _hands_on(node):
        node = node.args[0] if isinstance(node.args[0], Node) else None
    return node


def _hands_on(node: Node) -> bool:
    """Whether a node gives its first argument back as it is; the converter takes such an op away."""
    if node.op != "call_function" or str(node.target) not in _CHANGE_NOTHING or not node.args:
        return False
    before, after = getattr(node.args[0], "meta", {}).get("val"), node.meta.get("val")
    return getattr(before, "shape", None) == getattr(after, "shape", None) and (
        getattr(before, "dtype", None) == getattr(after, "dtype", None)
    )
