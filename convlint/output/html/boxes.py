"""The nesting of a picture: modules by their paths, and the loose ops of a box with too many in runs."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import PurePath
from typing import Literal

from convlint.model import Site
from convlint.output.html.repeats import Stretch, stretches

MOST_DRAWN = 200
"""A box with no more children than this shows them as they are."""

MOST_BOXES = 60
"""What is folded stands in at most this many boxes side by side, because nobody reads a row of thousands."""

LEAST_FOLDED = 4
"""Fewer loose ops than this are no longer to read than the box that would fold them."""

Child = tuple[str, ...] | int
"""A module by its path, or an op by its number."""


@dataclass(frozen=True, slots=True)
class Box:
    """The model itself (``parent`` is -1), a module of it, or a run of one box's many ops."""

    name: str
    path: str
    parent: int
    kind: Literal["model", "module", "run"] = "module"
    type: str = ""


@dataclass(frozen=True, slots=True)
class _Run:
    """Children that a box folds away, under a name."""

    name: str
    type: str
    children: list[Child | _Run]


class Boxes:
    """Builds the nesting: modules by their paths first, and runs where a box has too many children.

    A module is never inside a run, unless there are too many modules themselves. Loose ops that repeat the
    same lines are one run (``decode_single() ×91``), with a run for each time; others are in runs by
    function.
    """

    def __init__(self, model: str) -> None:
        self._types: dict[tuple[str, ...], str] = {(): ""}
        self._children: dict[tuple[str, ...], list[Child]] = {(): []}
        self._functions: dict[int, str] = {}
        self._lines: dict[int, tuple[str, int, str]] = {}
        self._model = model
        self._built: list[Box] = []
        self._places: dict[int, int] = {}

    def put(self, node: int, path: tuple[str, ...], type_: str, site: Site | None, op: str = "") -> None:
        """Add the next node of the program inside the module of this path."""
        for length in range(1, len(path) + 1):
            inner = path[:length]
            if inner not in self._children:
                self._children[inner] = []
                self._children[path[: length - 1]].append(inner)
        self._children[path].append(node)
        self._types[path] = self._types.get(path) or type_.rpartition(".")[2]
        self._lines[node] = (site.path, site.line, op) if site is not None else ("", 0, op)
        if site is not None and site.function and not site.function.startswith("<"):
            self._functions[node] = f"{site.function}()"

    def placed(self) -> list[int]:
        """The number of the box of every node, in the order of the nodes."""
        self._build()
        return [self._places[node] for node in sorted(self._places)]

    def all(self) -> tuple[Box, ...]:
        """Every box, each after the one around it."""
        self._build()
        return tuple(self._built)

    def _build(self) -> None:
        if self._built:
            return
        self._built.append(Box(self._model, "", -1, "model", self._types[()]))
        waiting: deque[tuple[Sequence[Child | _Run], int]] = deque([(self._folded(self._children[()]), 0)])
        while waiting:
            children, box = waiting.popleft()
            outer = self._built[box]
            for child in children:
                if isinstance(child, int):
                    self._places[child] = box
                    continue
                if isinstance(child, _Run):
                    self._built.append(Box(child.name, outer.path, box, "run", child.type))
                    inside: Sequence[Child | _Run] = child.children
                else:
                    type_ = self._types.get(child, "")
                    self._built.append(Box(child[-1], ".".join(child), box, "module", type_))
                    inside = self._folded(self._children[child])
                waiting.append((inside, len(self._built) - 1))

    def _folded(self, children: list[Child]) -> list[Child | _Run]:
        """The children as they are where they are few; else with runs for the ops between the modules."""
        if len(children) <= MOST_DRAWN:
            return list(children)
        found: list[Child | _Run] = []
        for loose, group in groupby(children, lambda child: isinstance(child, int)):
            same = list(group)
            found += self._runs([op for op in same if isinstance(op, int)]) if loose else same
        if len(found) == 1 and isinstance(found[0], _Run):
            return found[0].children  # a box for everything that is in a box would say nothing
        return self._few(found)

    def _runs(self, ops: list[int]) -> Iterator[int | _Run]:
        """Runs of the ops that stand between two modules."""
        for stretch in stretches([self._lines[op] for op in ops]):
            inside = ops[stretch.start : stretch.stop]
            if stretch.times > 1:
                yield self._repeated(inside, stretch)
                continue
            for name, group in groupby(inside, self._name):
                same = list(group)
                if len(same) < LEAST_FOLDED:
                    yield from same
                else:
                    yield _Run(name or self._line(same[0]), "", self._few(list(same)))

    def _repeated(self, ops: list[int], stretch: Stretch) -> _Run:
        size = stretch.size
        name = self._function(ops) or self._line(ops[0])
        rounds: list[Child | _Run] = list(ops)
        if len(ops) > MOST_DRAWN and size >= LEAST_FOLDED:
            rounds = [
                _Run(f"{number + 1} of {stretch.times}", name, list(ops[number * size : (number + 1) * size]))
                for number in range(stretch.times)
            ]
        return _Run(f"{name} ×{stretch.times}", "", self._few(rounds))

    def _few(self, children: list[Child | _Run]) -> list[Child | _Run]:
        """The children, in runs of equal length where they are too many for one box."""
        boxes = sum(1 for child in children if not isinstance(child, int))
        if boxes <= MOST_BOXES and len(children) <= MOST_DRAWN:
            return children
        size = max(min(math.ceil(len(children) / 12), MOST_BOXES), math.ceil(len(children) / MOST_BOXES))
        runs: list[Child | _Run] = []
        for start in range(0, len(children), size):
            part = children[start : start + size]
            names = [_name_of(child) for child in part if not isinstance(child, int)]
            if len(names) == len(part):
                name = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
            else:
                name = f"{start + 1} … {start + len(part)} of {len(children)}"
            runs.append(_Run(name, self._function(part), self._few(part)))
        return runs

    def _name(self, op: int) -> str:
        return self._functions.get(op, "")

    def _line(self, op: int) -> str:
        """What says where an op without a function stands: its file and line."""
        path, line, _ = self._lines[op]
        return f"{PurePath(path).name}:{line}" if path else "ops"

    def _function(self, run: Sequence[Child | _Run]) -> str:
        """The function that contains most of a run, which says more about the run than numbers."""
        names = Counter(self._functions[op] for op in run if isinstance(op, int) and op in self._functions)
        return names.most_common(1)[0][0] if names else ""


def _name_of(child: tuple[str, ...] | _Run) -> str:
    return child.name if isinstance(child, _Run) else child[-1]
