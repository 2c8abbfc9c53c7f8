"""Lines of code that torch generated, as for a block under ``torch.autocast``, led back to the user's.

Decomposing a program runs such a block from code that was printed from its graph, and the stacks of the new
nodes end there. The line of that code begins with the name of the node that it was printed from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

_LINE = re.compile(r'File "(<eval_with_key>[^"]*)", line \d+[^\n]*\n\s*(\w+)(?:, \w+)* = ([^;\n]*)')


def restore_lines(nodes: Iterable[Node], module: GraphModule) -> None:
    """Give nodes whose stacks end in generated code the stack and the module of what it was printed from.

    A file of generated code is of one submodule of ``module``, and the submodules run in their order.
    """
    waiting = list(_submodules(module))
    of: dict[str, Any] = {}
    for node in nodes:
        match = _LINE.search(node.meta["stack_trace"])
        if match is None:
            continue
        file, name, call = match.groups()
        if file not in of:
            fitting = (part for part in waiting if f"{name} = {call}" in part.code)
            of[file] = next(fitting, None)
            if of[file] is not None:
                waiting.remove(of[file])
        part = of[file]
        source = next((one for one in part.graph.nodes if one.name == name), None) if part else None
        if source is not None:
            for key in ("stack_trace", "nn_module_stack"):
                if source.meta.get(key):
                    node.meta[key] = source.meta[key]


def _submodules(module: GraphModule) -> Iterator[Any]:
    """The graph modules inside another, in the order in which it calls them."""
    for node in module.graph.nodes:
        if node.op == "get_attr":
            part = getattr(module, str(node.target), None)
            if hasattr(part, "graph") and hasattr(part, "code"):
                yield part
                yield from _submodules(part)  # type: ignore[arg-type]
