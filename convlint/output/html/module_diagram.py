"""Lays out the modules of a picture as few boxes, for paper: opens some, folds repetition, places all.

The rows of each open box are the generations of its graph of children (networkx), from the inputs down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from convlint.output.html.picture import Picture

MOST = 16
"""Boxes are opened, the largest first, until the drawing has about this many."""

LEAST = 0.05
"""The share of the model's nodes that a module must have to be opened."""

GAP_X, GAP_Y, PADDING, HEAD, CHAR = 22.0, 30.0, 16.0, 30.0, 7.6


@dataclass(slots=True)
class Part:
    """One thing to draw: a module, several similar ones in a row, or ops outside of any module.

    ``boxes`` are the boxes of the picture that it represents, ``nodes`` all nodes in them.
    """

    title: str
    subtitle: str
    boxes: tuple[int, ...]
    nodes: tuple[int, ...]
    parts: list[Part] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    @property
    def repeats(self) -> int:
        return max(len(self.boxes), 1)


def diagram_of(picture: Picture) -> Part:
    """The whole model as one laid out part, opened as far as it stays readable."""
    return _Diagram(picture).build()


class _Diagram:
    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._boxes: dict[int, list[int]] = {}
        self._own: dict[int, list[int]] = {}
        for number, box in enumerate(picture.boxes[1:], 1):
            self._boxes.setdefault(box.parent, []).append(number)
        for number, node in enumerate(picture.nodes):
            self._own.setdefault(node.box, []).append(number)
        self._all: dict[int, tuple[int, ...]] = {}
        for number in reversed(range(len(picture.boxes))):
            inner = (node for child in self._boxes.get(number, ()) for node in self._all[child])
            self._all[number] = tuple(sorted((*self._own.get(number, ()), *inner)))

    def build(self) -> Part:
        root = Part(self._picture.boxes[0].name, "", (0,), self._all[0])
        closed = self._open(root)
        shown = len(closed)
        while closed:
            part = max(closed, key=lambda each: len(each.nodes) / each.repeats)
            closed.remove(part)
            if not self._boxes.get(part.boxes[0]):
                continue
            inner = self._children(part.boxes[0])
            if shown + len(inner) > MOST or len(part.nodes) < LEAST * len(root.nodes):
                continue
            closed += self._open(part)
            shown += len(inner)
        _arrange(root, top=True)
        return root

    def _open(self, part: Part) -> list[Part]:
        """Give a part its children and the edges between them; return the children that may be opened."""
        part.parts = self._children(part.boxes[0])
        place = {node: number for number, child in enumerate(part.parts) for node in child.nodes}
        edges = {
            (place[source], place[target]): None
            for source, target in self._picture.edges
            if source in place and target in place and place[source] < place[target]
        }
        part.edges = list(edges)
        return [child for child in part.parts if child.boxes]

    def _children(self, box: int) -> list[Part]:
        """The modules and ops of a box in program order, with similar ones in a row as one part."""
        children: list[tuple[int, Part]] = []
        for child in self._boxes.get(box, ()):
            each = self._picture.boxes[child]
            nodes = self._all[child]
            if nodes:
                children.append((nodes[0], Part(each.name, each.type, (child,), nodes)))
        children += [(node, Part("", "", (), (node,))) for node in self._own.get(box, ())]
        parts: list[Part] = []
        for _, part in sorted(children, key=lambda pair: pair[0]):
            if parts and (joined := self._joined(parts[-1], part)) is not None:
                parts[-1] = joined
            else:
                parts.append(part)
        for part in parts:
            if not part.boxes:
                part.title, part.subtitle = self._words(part.nodes)
        return parts

    def _joined(self, one: Part, other: Part) -> Part | None:
        if bool(one.boxes) != bool(other.boxes):
            return None
        if not one.boxes:
            kinds = {self._picture.nodes[node].kind for node in (*one.nodes, *other.nodes)}
            return Part("", "", (), one.nodes + other.nodes) if len(kinds) == 1 else None
        names = [self._picture.boxes[part.boxes[0]].name for part in (one, other)]
        stems = {name.rstrip("0123456789") for name in names}
        numbered = names[1][-1:].isdigit() and len(stems) == 1
        if not numbered or self._shape(one.boxes[-1]) != self._shape(other.boxes[0]):
            return None
        boxes, nodes = one.boxes + other.boxes, one.nodes + other.nodes
        return Part(f"{names[0]} … {names[1].removeprefix(stems.pop())}", one.subtitle, boxes, nodes)

    def _shape(self, box: int) -> object:
        """A value that is equal for modules that do the same: their type and ops."""
        labels = Counter(self._picture.nodes[node].label for node in self._all[box])
        return self._picture.boxes[box].type, frozenset(labels.items())

    def _words(self, nodes: Sequence[int]) -> tuple[str, str]:
        labels = list(dict.fromkeys(self._picture.nodes[node].label for node in nodes))
        more = f", +{len(labels) - 3}" if len(labels) > 3 else ""
        return ", ".join(labels[:3]) + more, ""


def _arrange(part: Part, top: bool = False) -> None:
    """Set the sizes, from the innermost part outwards, and the places within the part around."""
    for child in part.parts:
        _arrange(child)
    words = len(part.title) + (len(part.subtitle) + 2) * 0.85 + (5 if part.repeats > 1 else 0)
    title = words * CHAR + 28
    if not part.parts:
        part.width = max(title, 150.0 if part.boxes else 60.0)
        part.height = 54.0 if part.boxes else 26.0
        return
    rows = _rows(part)
    widths = [sum(part.parts[each].width for each in row) + GAP_X * (len(row) - 1) for row in rows]
    skips = _skips(part, rows)
    side = PADDING + (18.0 * min(skips, 3) if skips else 0.0)
    inner = max(max(widths), 0.0 if top else title - 2 * side)
    y = PADDING + (0.0 if top else HEAD - 8)
    for row, width in zip(rows, widths, strict=True):
        x = side + (inner - width) / 2
        tall = max(part.parts[each].height for each in row)
        for each in row:
            child = part.parts[each]
            child.x, child.y = x, y + (tall - child.height) / 2
            x += child.width + GAP_X
        y += tall + GAP_Y
    part.width = inner + 2 * side
    part.height = y - GAP_Y + PADDING


def _rows(part: Part) -> list[list[int]]:
    import networkx

    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(part.parts)))
    graph.add_edges_from(part.edges)
    rows = [sorted(row) for row in networkx.topological_generations(graph)]
    at = {each: number / len(row) for row in rows for number, each in enumerate(row)}
    for row in rows[1:]:
        row.sort(key=lambda each: _mean([at[source] for source in graph.predecessors(each)]))
        at |= {each: number / len(row) for number, each in enumerate(row)}
    return rows


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0


def _skips(part: Part, rows: list[list[int]]) -> int:
    """The number of edges that skip a row, which are drawn around it."""
    row_of = {each: number for number, row in enumerate(rows) for each in row}
    return sum(1 for source, target in part.edges if row_of[target] - row_of[source] > 1)
