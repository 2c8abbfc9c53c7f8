"""How the axes of a tensor lie in data that is kept channels-first, for the Neural Engine.

A tensor of a transformer is (batch, sequence, channels) and, split into heads, (batch, heads, sequence,
size). Its data is kept as (batch, channels, 1, sequence), one tensor or one for each head. A
:class:`Layout` says where each logical axis lies in that data, so that views and permutations change
the layout alone and move nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from convlint.rewrites.table import NotApplicable

PARTS, BATCH, CHANNELS, PLACES = range(4)
"""The groups of a layout: separate tensors, then axes 0, 1 and 3 of each of them."""
DATA_AXIS = {BATCH: 0, CHANNELS: 1, PLACES: 3}


@dataclass(frozen=True, slots=True, eq=False)
class Atom:
    """A piece of an axis that is never taken apart further; two of one size are still two."""

    size: int


Run = tuple[Atom, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """``axes``: each logical axis as its atoms; ``groups``: the same atoms in the order of the data.

    An axis of size 1 has no atoms.
    """

    axes: tuple[Run, ...]
    groups: tuple[Run, Run, Run, Run]

    @property
    def shape(self) -> tuple[int, ...]:
        """The logical shape."""
        return tuple(size_of(axis) for axis in self.axes)

    @property
    def data_shape(self) -> tuple[int, int, int, int]:
        """The shape of the data of one part."""
        return size_of(self.groups[BATCH]), size_of(self.groups[CHANNELS]), 1, size_of(self.groups[PLACES])

    def group_of(self, atom: Atom) -> int:
        """The group that ``atom`` lies in."""
        return next(number for number, group in enumerate(self.groups) if atom in group)

    def whole_group(self, axis: int) -> int | None:
        """The group that is exactly the logical ``axis``, or None."""
        run = self.axes[axis]
        return next((n for n, group in enumerate(self.groups) if run and group == run), None)

    def permuted(self, order: Sequence[int]) -> Layout:
        """With the logical axes in another order."""
        return Layout(tuple(self.axes[axis] for axis in order), self.groups)

    def viewed(self, shape: Sequence[int]) -> Layout:
        """With the logical axes grouped into another shape, in the same order of elements."""
        waiting = [atom for axis in self.axes for atom in axis]
        layout, axes = self, []
        for size in shape:
            taken: list[Atom] = []
            need = size
            while need > 1:
                if not waiting:
                    raise NotApplicable("a view does not fit the axes")
                first = waiting.pop(0)
                if need % first.size:
                    if first.size % need:
                        raise NotApplicable("a view cuts an axis where it has no seam")
                    outer, inner = Atom(need), Atom(first.size // need)
                    layout = layout.with_atoms(first, (outer, inner))
                    waiting.insert(0, inner)
                    first = outer
                taken.append(first)
                need //= first.size
            axes.append(tuple(taken))
        if waiting:
            raise NotApplicable("a view does not fit the axes")
        return Layout(tuple(axes), layout.groups)

    def with_atoms(self, old: Atom, new: Run) -> Layout:
        """With ``old`` taken apart into ``new`` wherever it stands."""

        def swapped(run: Run) -> Run:
            return tuple(one for atom in run for one in (new if atom is old else (atom,)))

        one, two, three, four = (swapped(group) for group in self.groups)
        return Layout(tuple(swapped(axis) for axis in self.axes), (one, two, three, four))

    def merged(self) -> Layout:
        """With atoms made one that are neighbours both in an axis and in the data."""
        layout = self
        for axis in range(len(layout.axes)):
            position = 0
            while position + 1 < len(layout.axes[axis]):
                pair = layout.axes[axis][position : position + 2]
                group = layout.group_of(pair[0])
                run = layout.groups[group]
                place = run.index(pair[0])
                if run[place : place + 2] != pair:
                    position += 1
                    continue
                one = Atom(size_of(pair))
                layout = layout.with_atoms(pair[0], (one,)).with_atoms(pair[1], ())
        return layout

    def signature(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each group its atoms as (logical axis counted from the end, size): equal for equal forms."""
        layout = self.merged()
        home = {atom: place - len(layout.axes) for place, axis in enumerate(layout.axes) for atom in axis}
        return tuple(tuple((home[atom], atom.size) for atom in group) for group in layout.groups)

    def joined(self) -> Layout:
        """With the parts put together along the channels."""
        parts, batch, channels, places = self.groups
        return Layout(self.axes, ((), batch, parts + channels, places))

    def parted(self, count: int) -> Layout:
        """With the ``count`` outer atoms of the channels told apart into parts."""
        parts, batch, channels, places = self.groups
        return Layout(self.axes, (parts + channels[:count], batch, channels[count:], places))

    def with_group(self, number: int, run: Run) -> Layout:
        """With another group in the place of one."""
        groups = [*self.groups]
        groups[number] = run
        one, two, three, four = groups
        return Layout(self.axes, (one, two, three, four))

    def with_axes(self, axes: Sequence[Run]) -> Layout:
        """With other logical axes over the same data."""
        return Layout(tuple(axes), self.groups)


def size_of(run: Run) -> int:
    """The size of an axis made of ``run``."""
    return math.prod(atom.size for atom in run)


def plain_layout(shape: Sequence[int]) -> Layout:
    """Every axis an atom of its own, all in one group, to be regrouped."""
    axes = tuple((Atom(size),) if size != 1 else () for size in shape)
    return Layout(axes, ((), tuple(atom for axis in axes for atom in axis), (), ()))
