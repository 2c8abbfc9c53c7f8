"""Slices, splits and concatenations of data kept channels-first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from convlint.repair.layout.axes import CHANNELS, DATA_AXIS, PARTS, Atom, Run, size_of
from convlint.repair.layout.views import Carrier, argument, sliced
from convlint.repair.layout.walk import Relay
from convlint.repair.layout.writer import Writer, shape_of
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    pass


def _narrowed(relay: Relay, held: Carrier, axis: int, start: int, length: int, write: Writer) -> Carrier:
    """``length`` entries of a logical axis."""
    layout = held.layout.merged()
    run = layout.axes[axis]
    if length == size_of(run):
        return held
    held = Carrier(layout, held.parts)
    inner = size_of(run[1:])
    if not run or start % inner or length % inner:
        raise NotApplicable("it cuts an axis where it has no seam")
    start, length = start // inner, length // inner
    atom = run[0]
    group = layout.group_of(atom)
    place = layout.groups[group].index(atom)
    if group == CHANNELS and place:
        held = relay.parted(held, place, write)
        layout, place = held.layout, 0
    new: Run = (Atom(length),) if length > 1 else ()
    if group == PARTS:
        behind = size_of(layout.groups[PARTS][place + 1 :])
        parts = tuple(
            part
            for number, part in enumerate(held.parts)
            if start <= number // behind % atom.size < start + length
        )
        return Carrier(layout.with_atoms(atom, new), parts)
    if place:
        raise NotApplicable("its axis lies inside another one")
    behind = size_of(layout.groups[group][1:])
    parts = tuple(
        sliced(part, DATA_AXIS[group], start * behind, length * behind, write) for part in held.parts
    )
    return Carrier(layout.with_atoms(atom, new), parts)


def slice_of(relay: Relay, node: Any, write: Writer) -> Carrier:
    held = relay.carried[node.args[0]]
    dim, step = argument(node, 1, "dim", 0), argument(node, 4, "step", 1)
    size = held.layout.shape[dim]
    start, stop, _ = slice(argument(node, 2, "start", None), argument(node, 3, "end", None)).indices(size)
    if step != 1 or stop <= start:
        raise NotApplicable("it takes steps")
    return _narrowed(relay, held, dim, start, stop - start, write)


def select(relay: Relay, node: Any, write: Writer) -> Carrier:
    dim = argument(node, 1, "dim", 0)
    return _selected(relay, relay.carried[node.args[0]], dim, argument(node, 2, "index", 0), write)


def _selected(relay: Relay, held: Carrier, dim: int, index: int, write: Writer) -> Carrier:
    size, rank = held.layout.shape[dim], len(held.layout.axes)
    one = _narrowed(relay, held, dim, index % size, 1, write)
    axes = [run for axis, run in enumerate(one.layout.axes) if axis != dim % rank]
    return Carrier(one.layout.with_axes(axes), one.parts)


def split(relay: Relay, node: Any, write: Writer) -> list[Carrier]:
    held = relay.carried[node.args[0]]
    dim = argument(node, 2, "dim", 0)
    lengths = [int(value.shape[dim]) for value in node.meta["val"]]
    starts = [sum(lengths[:place]) for place in range(len(lengths))]
    return [
        _narrowed(relay, held, dim, start, length, write)
        for start, length in zip(starts, lengths, strict=True)
    ]


def unbind(relay: Relay, node: Any, write: Writer) -> list[Carrier]:
    held = relay.carried[node.args[0]]
    dim = argument(node, 1, "dim", 0)
    return [_selected(relay, held, dim, index, write) for index in range(held.layout.shape[dim])]


def getitem(relay: Relay, node: Any, write: Writer) -> Carrier:
    carrier: Carrier = relay.lists[node.args[0]][node.args[1]]
    return carrier


def cat(relay: Relay, node: Any, write: Writer) -> Carrier:

    sources: Sequence[Any] = node.args[0]
    dim = argument(node, 1, "dim", 0)
    dim -= len(shape_of(node)) if dim >= 0 else 0
    held = [relay.carried[one] for one in sources if one in relay.carried]
    form = next((one for one in held if one.layout.axes[dim]), None)
    if form is None:
        raise NotApplicable("its axis is nowhere in the data")
    form = Carrier(form.layout.merged(), form.parts)
    run = form.layout.axes[dim]
    group = form.layout.group_of(run[0])
    if group == CHANNELS:
        form = relay.exposed(form, dim, write)
    if form.layout.whole_group(dim) != group or len(run) > 1:
        raise NotApplicable("its axis is not one of the data")
    atom = run[0]
    pieces = []
    for one in sources:
        size = shape_of(one)[dim]
        layout = form.layout.with_atoms(atom, (Atom(size),) if size > 1 else ())
        pieces.append(relay.like(one, Carrier(layout, form.parts), write))
    total = form.layout.with_atoms(atom, (Atom(shape_of(node)[dim]),))
    if group == PARTS:
        raise NotApplicable("it puts heads together")
    parts = tuple(
        write(torch.ops.aten.cat.default, [piece[place] for piece in pieces], DATA_AXIS[group])
        for place in range(len(form.parts))
    )
    return Carrier(total, parts)
