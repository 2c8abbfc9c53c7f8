"""A picture as the JSON that the page reads, in which no text occurs twice.

The order of the numbers in a row is that of ``data.ts`` in the sources of the page.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from convlint.model import TensorMeta
from convlint.model.placement import UNITS
from convlint.output.html.markup import Markup
from convlint.output.html.picture import Node, Picture
from convlint.output.places import shown_place
from convlint.text import visible

_DIGITS = 6
_LONGEST_SIZE = 14


@dataclass(frozen=True, slots=True)
class Mark:
    """A finding on the page: the ``id`` of its paragraph there, and the nodes that it is about."""

    id: str
    severity: str
    title: str
    nodes: tuple[int, ...]


class _Strings:
    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self._numbers.setdefault(visible(text), len(self._numbers))

    def all(self) -> list[str]:
        return list(self._numbers)


def picture_to_dict(picture: Picture, marks: Sequence[Mark]) -> dict[str, Any]:
    """The picture as plain JSON types; texts are indices into ``strings``."""
    strings = _Strings()
    boxes = [[box.parent, *map(strings, (box.name, box.path, box.type, box.kind))] for box in picture.boxes]
    nodes = [_row(node, strings) for node in picture.nodes]
    number_of = {edge: number for number, edge in enumerate(picture.edges)}
    return {
        "strings": strings.all(),
        "boxes": boxes,
        "nodes": nodes,
        "edges": [end for edge in picture.edges for end in edge],
        "crossings": [
            [number_of[edge], round(cost, _DIGITS)]
            for edge, cost in picture.crossings.items()
            if edge in number_of
        ],
        "findings": [
            {
                "id": mark.id,
                "severity": mark.severity,
                "title": visible(mark.title),
                "nodes": list(mark.nodes),
            }
            for mark in marks
        ],
        "blockers": list(picture.blockers),
        "units": list(UNITS) if any(node.unit for node in picture.nodes) else [],
        "timed": picture.timed,
    }


def script_data(document: Any) -> Markup:
    """JSON that is safe in a script element: no ``<`` can end the element or begin a comment."""
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)  # ASCII alone
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)


def _row(node: Node, strings: _Strings) -> list[Any]:
    shape = ", ".join(map(_shape, node.outputs))
    texts = (node.label, node.name, node.op, shape, shown_place(node.site))
    judged = (node.cause, node.reason, node.confidence, node.source)
    latency = node.latency
    return [
        node.box,
        *map(strings, (node.kind, *texts)),
        UNITS.index(node.unit) if node.unit else -1,
        *map(strings, judged),
        *(round(each, _DIGITS) for each in (latency.low, latency.mid, latency.high)),
        strings(node.given.arguments),
        strings(node.given.weights),
        node.flops,
        node.weight_bytes,
    ]


def _shape(meta: TensorMeta) -> str:
    """``float32[1x3xN]``; a dimension that is a sum of symbols is shown as one symbol."""
    sizes = (size if len(size) <= _LONGEST_SIZE else "…" for size in map(str, meta.shape))
    return f"{meta.dtype}[{'x'.join(sizes)}]"
