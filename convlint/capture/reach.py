"""Which calls of a recorded graph depend on which, with what is written into shared memory in mind."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.fx import Graph, Node


def reached(graph: Graph, starts: Callable[[Node], bool]) -> frozenset[Node]:
    """The nodes that ``starts`` names and all that depend on them, through values or through memory.

    A recording keeps in-place ops, so a tensor may change after it was read: whoever reads memory
    that a reached call wrote to is reached as well. Views are followed by what the schemas say of them.
    """
    memory: dict[Node, Any] = {}
    dirty: set[Any] = set()
    nodes: set[Node] = set()
    for node in graph.nodes:
        sources = node.all_input_nodes
        memory[node] = _memory_of(node, memory)
        if starts(node) or any(source in nodes or memory[source] in dirty for source in sources):
            nodes.add(node)
            dirty |= {memory[target] for target in written(node)}
    return frozenset(nodes)


def needed_for(graph: Graph, ends: Iterable[Node]) -> frozenset[Node]:
    """The nodes that ``ends`` depend on, with the calls that write into memory that one of them reads."""
    memory: dict[Node, Any] = {}
    for node in graph.nodes:
        memory[node] = _memory_of(node, memory)
    writers = [node for node in graph.nodes if written(node)]
    needed: set[Node] = set()
    waiting = list(ends)
    while waiting:
        while waiting:
            node = waiting.pop()
            if node not in needed:
                needed.add(node)
                waiting += node.all_input_nodes
        touched = {memory[node] for node in needed}
        waiting = [
            node
            for node in writers
            if node not in needed and any(memory[target] in touched for target in written(node))
        ]
    return frozenset(needed)


_CHECKS = ("aten._assert", "aten._linalg_check_errors")
"""Ops that compute nothing: they raise where a value is not as it should be."""


def what_follows(node: Node) -> set[Node]:
    """All that is computed of a call, through values alone."""
    found: set[Node] = set()
    waiting = list(node.users)
    while waiting:
        user = waiting.pop()
        if user not in found:
            found.add(user)
            waiting += user.users
    return found


def is_checked_alone(node: Node) -> bool:
    """Whether a call is a check, or all that is computed of it ends in checks."""
    ends = (each for each in (node, *what_follows(node)) if not each.users)
    return all(str(each.target).startswith(_CHECKS) for each in ends)


def written(node: Node) -> list[Node]:
    """The arguments of a call that it writes to."""
    return [value for argument, value in _bound(node) if argument.alias_info.is_write]


def is_view(node: Node) -> bool:
    """Whether a call hands on elements of its first argument in other places, and computes nothing."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or schema.is_mutable:
        return False
    return any(result.alias_info is not None for result in schema.returns)


def _memory_of(node: Node, memory: dict[Node, Any]) -> Any:
    """What stands for the memory of a node's result: that of the argument that it may be a view of."""
    if node.op == "get_attr":
        return str(node.target)
    if node.target is operator.getitem:
        return memory[node.args[0]]  # type: ignore[index]
    schema = getattr(node.target, "_schema", None)
    if schema is not None and any(result.alias_info is not None for result in schema.returns):
        for _, value in _bound(node):
            return memory[value]
    return node


def _bound(node: Node) -> Iterator[tuple[Any, Node]]:
    """The arguments that a schema speaks of memory for, with the nodes that they are given."""
    import torch

    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return
    for position, argument in enumerate(schema.arguments):
        if argument.alias_info is None:
            continue
        value = node.kwargs.get(argument.name)
        if not argument.kwarg_only and position < len(node.args):
            value = node.args[position]
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(one, torch.fx.Node):
                yield argument, one
