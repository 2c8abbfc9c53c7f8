"""Axes put together: what a shape of high rank has in common with others, so that fewer axes do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from convlint.repair.forms.counterparts import Carrier
from convlint.rewrites.table import NotApplicable

HIGHEST = 5
"""The highest rank that Core ML takes."""

Run = tuple[int, int]
"""Axes side by side: the first of them, and the last plus 1."""


def low(value: Any) -> Any:
    """The tensor that holds the elements of an argument, be it carried or not."""
    return value.parts[0] if isinstance(value, Carrier) else value


def shape_of(value: Any) -> tuple[int, ...]:
    """The shape of an argument in the program."""
    return tuple(int(size) for size in value.shape)


def padded(value: Any, rank: int) -> tuple[int, ...]:
    """The shape of an argument with axes of size 1 in front, as it broadcasts."""
    shape = shape_of(value)
    return (1,) * (rank - len(shape)) + shape


def merged(shape: Sequence[int], groups: Sequence[Run]) -> list[int]:
    """The sizes of the groups."""
    return [math.prod(shape[first:last]) for first, last in groups]


def runs(marks: Sequence[Any]) -> list[Run]:
    """Runs of axes with equal marks; None goes with any."""
    groups: list[Run] = []
    current = None
    for axis, mark in enumerate(marks):
        if groups and (mark is None or current is None or mark == current):
            groups[-1] = (groups[-1][0], axis + 1)
            current = mark if current is None else current
        else:
            groups.append((axis, axis + 1))
            current = mark
    return groups


def uniform_runs(shapes: Sequence[tuple[int, ...]]) -> list[Run]:
    """Runs of axes over which every shape is either whole, as the last of them is, or 1."""
    whole = shapes[-1]
    groups = runs(
        [
            None if size == 1 else tuple(shape[axis] == size for shape in shapes)
            for axis, size in enumerate(whole)
        ]
    )
    if len(groups) > HIGHEST:
        raise NotApplicable("it broadcasts over too many axes apart from each other")
    return groups


def expanded(value: Any, wanted: tuple[int, ...]) -> Any:
    """The elements of ``value`` repeated to the shape ``wanted``, over the axes that go together merged."""
    groups = uniform_runs([padded(value, len(wanted)), wanted])
    small = low(value).reshape(merged(padded(value, len(wanted)), groups))
    return small.expand(merged(wanted, groups)).contiguous()


def blocks(shape: Sequence[int], order: Sequence[int]) -> list[list[int]]:
    """The axes in their new order, those that stay neighbours put together, those of size 1 left out."""
    large = [axis for axis in order if shape[axis] != 1] or [0]
    line = sorted(large)
    together = [[large[0]]]
    for axis in large[1:]:
        last = line.index(together[-1][-1])
        if last + 1 < len(line) and line[last + 1] == axis:
            together[-1].append(axis)
        else:
            together.append([axis])
    return together
