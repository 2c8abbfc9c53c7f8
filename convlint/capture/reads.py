"""What Python reads of the values of inputs: a branch, a number, a list. A trace fixes each to what it was.

``torch.export`` refuses most of these, and its program keeps the others as ops of their own. A trace for
TorchScript goes on with the value that the example had, and says nothing: the program computes one thing for
all inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from convlint.capture.cut import reads_number
from convlint.capture.failures import asserts
from convlint.capture.reach import is_checked_alone, reached
from convlint.capture.walk import node_module, node_place
from convlint.model import Proviso, Site

if TYPE_CHECKING:
    from torch.fx import Graph, Node


def reads_of_inputs(graph: Graph, inputs: Collection[str] | None = None) -> tuple[Proviso, ...]:
    """Where Python reads what follows from an input, each line once, in the order of the run.

    ``inputs`` names the placeholders that are inputs; all of them where it is None.
    """
    moving = reached(graph, lambda node: node.op == "placeholder" and (inputs is None or node.name in inputs))
    by_line: dict[str, Proviso] = {}
    for node in _reads(graph):
        place = node_place(node)
        line = place.caller or place.site
        # A check passed for the example, and the program has no need of it.
        if node not in moving or is_checked_alone(node) or asserts(place.site) or asserts(place.caller):
            continue
        text = f"the {_what(line)} is that of the example, whatever the input"
        by_line.setdefault(str(line), Proviso("frozen", text, place.site, place.caller, node_module(node)[0]))
    return tuple(by_line.values())


def reading_lines(graph: Graph) -> frozenset[tuple[str, int]]:
    """Every line where Python reads a value, of an input or not."""
    places = [node_place(node).site for node in _reads(graph)]
    return frozenset((site.path, site.line) for site in places if site is not None)


def _reads(graph: Graph) -> Iterator[Node]:
    return (node for node in graph.nodes if node.op == "call_function" and reads_number(node))


def _what(line: Site | None) -> str:
    words = (line.source if line is not None else "").split()
    return "branch" if words[:1] and words[0] in ("if", "elif", "while") else "value"
