"""A program whose stream of activations is kept channels-first, the layout for the Neural Engine.

Linear layers become 1x1 convolutions over (batch, channels, 1, sequence), normalisation runs over the
channels' axis and attention head by head, as Apple describes it in
https://machinelearning.apple.com/research/neural-engine-transformers. The walk gives every call that it
knows a counterpart over the carried data; a call that it does not know reads the tensor as it was, put
together again. So transpositions stay only where the stream begins, ends, or is left.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.capture.walk import op_name
from convlint.repair.draft import Change, Draft
from convlint.repair.layout.axes import (
    BATCH,
    CHANNELS,
    DATA_AXIS,
    PARTS,
    PLACES,
    Layout,
    plain_layout,
    size_of,
)
from convlint.repair.layout.views import CARRIED, Carrier, is_in_order, moved, moves_nothing, sliced
from convlint.repair.layout.writer import Writer, shape_of
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    from torch.fx import Node

KIND = "layout"


@dataclass(frozen=True, slots=True)
class Counterpart:
    """What computes a call over the carried data.

    ``starts``: whether it is worth leaving the plain layout for. ``moves_nothing``: a view.
    """

    function: Callable[[Relay, Any, Writer], Any]
    title: str = CARRIED
    starts: bool = False
    moves_nothing: bool = False


Counterparts = Callable[[str, Any], "Counterpart | None"]
"""The counterpart of a call by the name of its op and its node, None where it has none."""


class Relay:
    """The walk over one draft. ``counterpart`` is the table of what computes a call over carried data;
    ``banned`` names the calls that must stay as they are."""

    def __init__(self, draft: Draft, counterpart: Counterparts, banned: frozenset[str] = frozenset()) -> None:
        self.draft = draft
        self.counterpart = counterpart
        self.banned = banned
        self.mode = draft.fake_mode()
        self.carried: dict[Node, Carrier] = {}
        self.lists: dict[Node, list[Carrier]] = {}
        self.views: list[Node] = []
        self.weights = _weights(draft)

    def run(self) -> None:
        """Give every call that has one its counterpart in the layout."""
        for node in list(self.draft.graph.nodes):
            if node.op == "call_function" and node not in self.weights and node.name not in self.banned:
                try:
                    self.call(node)
                except NotApplicable:
                    continue
        self.draft.graph.eliminate_dead_code()
        self.put_views_together()

    def put_views_together(self) -> None:
        """Read what is left of views and slices from the data itself, where that permutes nothing."""
        there = set(self.draft.graph.nodes)
        for node in self.views:
            if node in there and node.users and is_in_order(self.carried[node].layout.joined()):
                change = Change(node.name, op_name(node.target), KIND, CARRIED)
                whole = self.restored(self.carried[node], Writer(self.draft, self.mode, node, change))
                node.replace_all_uses_with(whole)
        self.draft.graph.eliminate_dead_code()

    def call(self, node: Node) -> None:
        op = op_name(node.target)
        touched = [
            source for source in node.all_input_nodes if source in self.carried or source in self.lists
        ]
        counterpart = self.counterpart(op, node)
        if not touched and moves_nothing(node):
            self.begin(node)
            return
        if counterpart is None or (not touched and not counterpart.starts):
            return
        write = Writer(self.draft, self.mode, node, Change(node.name, op, KIND, counterpart.title))
        result = counterpart.function(self, node, write)
        if isinstance(result, list):
            self.lists[node] = result
        elif counterpart.moves_nothing:
            self.carried[node] = result
            self.views.append(node)
        else:
            self.replace(node, result, write)

    def begin(self, node: Node) -> None:
        """Carry the result of a convolution as soon as a view puts its channels last: it lies well."""
        source, chain = self.behind_views(node)
        if op_name(source.target).startswith("aten.conv") and len(shape_of(node)) > 1:
            write = Writer(
                self.draft, self.mode, node, Change(node.name, op_name(node.target), KIND, CARRIED)
            )
            self.carried[node] = self._carry_from(source, chain, write, in_order=True)
            self.views.append(node)

    def replace(self, node: Node, carrier: Carrier, write: Writer) -> None:
        """Let ``carrier`` stand for ``node``, and the tensor put together again for who needs that."""
        whole = self.restored(carrier, write)
        wanted, value = node.meta["val"], whole.meta["val"]
        if tuple(wanted.shape) != tuple(value.shape) or wanted.dtype != value.dtype:
            raise NotApplicable(f"it gives {value.dtype}{list(value.shape)}")
        node.replace_all_uses_with(whole)
        self.draft.graph.erase_node(node)  # attention counts as random, and would not be swept away
        self.carried[whole] = carrier

    def restored(self, carrier: Carrier, write: Writer) -> Node:
        """The tensor as the program had it."""
        whole = self.joined(carrier, write)
        layout = whole.layout.merged()
        now = layout.groups[BATCH] + layout.groups[CHANNELS] + layout.groups[PLACES]
        order = tuple(atom for axis in layout.axes for atom in axis)
        return write.arranged(whole.parts[0], now, order, layout.shape)

    def carry(self, node: Node, write: Writer) -> Carrier:
        """The carrier of ``node``, made here where it has none: its last axis becomes the channels.

        Views and permutations before it are followed back, since what they were made of may already
        lie channels-first, as the result of a convolution does.
        """
        if node in self.carried:
            return self.carried[node]
        source, chain = self.behind_views(node)
        try:
            carrier = self._carry_from(source, chain, write)
        except NotApplicable:
            carrier = self._carry_from(node, [], write)
        self.carried[node] = carrier
        return carrier

    def behind_views(self, node: Node) -> tuple[Node, list[Node]]:
        """What ``node`` is a view of, and the views between, the last one first."""
        chain: list[Node] = []
        while node not in self.carried and node.op == "call_function" and moves_nothing(node):
            chain.append(node)
            node = node.all_input_nodes[0]
        return node, chain

    def channels_last(self, node: Node, write: Writer) -> Carrier:
        """A carrier of ``node`` in one part, whose channels are the last axis and nothing else."""
        held = self.joined(self.carry(node, write), write)
        if held.layout.axes[-1] == held.layout.groups[CHANNELS]:
            return held
        return self._carry_from(node, [], write)

    def _carry_from(
        self, source: Node, chain: list[Node], write: Writer, *, in_order: bool = False
    ) -> Carrier:
        """A carrier over the data of ``source``, behind the views of ``chain``; with ``in_order`` only
        where that permutes nothing."""
        shape = shape_of(source)
        layout = plain_layout(shape)
        for one in reversed(chain):
            layout = moved(layout, one)
        if len(shape) < 2 or not layout.axes:
            raise NotApplicable("it has no axis of channels")
        now = layout.groups[BATCH]
        channels = layout.axes[-1]
        first: list[Any] = []
        while size_of(tuple(first)) < shape[0]:
            first.append(now[len(first)])
        batch = tuple(atom for atom in first if atom not in channels)
        places = tuple(atom for atom in now if atom not in channels and atom not in batch)
        layout = Layout(layout.axes, ((), batch, channels, places))
        if in_order and now != batch + channels + places:
            raise NotApplicable("its channels do not lie first")
        data = write.arranged(source, now, batch + channels + places, layout.data_shape)
        return Carrier(layout, (data,))

    def joined(self, carrier: Carrier, write: Writer) -> Carrier:
        """``carrier`` in one part, its parts one behind the other along the channels."""
        import torch

        if not carrier.layout.groups[PARTS]:
            return carrier
        data = carrier.parts[0]
        if len(carrier.parts) > 1:
            data = write(torch.ops.aten.cat.default, list(carrier.parts), 1)
        return Carrier(carrier.layout.joined(), (data,))

    def parted(self, carrier: Carrier, count: int, write: Writer) -> Carrier:
        """``carrier`` with the ``count`` outer atoms of its channels told apart into parts."""
        if not count:
            return carrier
        outer = size_of(carrier.layout.groups[CHANNELS][:count])
        inner = size_of(carrier.layout.groups[CHANNELS][count:])
        parts = [
            sliced(part, DATA_AXIS[CHANNELS], place * inner, inner, write)
            for part in carrier.parts
            for place in range(outer)
        ]
        return Carrier(carrier.layout.parted(count), tuple(parts))

    def exposed(self, carrier: Carrier, axis: int, write: Writer) -> Carrier:
        """``carrier`` in parts such that ``axis`` is a whole group of the data."""
        layout = carrier.layout
        run, channels = layout.axes[axis], layout.groups[CHANNELS]
        if layout.whole_group(axis) is not None:
            return carrier
        if run and channels[-len(run) :] == run:
            return self.parted(carrier, len(channels) - len(run), write)
        raise NotApplicable("the axis is not one of the data")

    def like(self, node: Node, form: Carrier, write: Writer) -> list[Node]:
        """``node`` as data that broadcasts against each part of ``form``."""
        held = self.carried.get(node)
        if held is not None:
            wanted = form.layout.signature()
            held = Carrier(held.layout.merged(), held.parts)
            count = len(wanted[PARTS])
            if count and not held.layout.groups[PARTS]:
                signature = held.layout.signature()
                if signature[CHANNELS][:count] == wanted[PARTS]:
                    held = self.parted(held, count, write)
            signature = held.layout.signature()
            if all(mine in ((), theirs) for mine, theirs in zip(signature, wanted, strict=True)):
                return list(held.parts) * (len(form.parts) // len(held.parts))
        return self.spread(node, form.layout, write)

    def spread(self, node: Node, layout: Layout, write: Writer) -> list[Node]:
        """A tensor as it was, as data that broadcasts against data of ``layout``: one node a part."""
        import torch

        layout = layout.merged()
        count = size_of(layout.groups[PARTS])
        shape = shape_of(node)
        if not shape:
            return [node] * count
        if len(shape) > len(layout.axes):
            raise NotApplicable("it has more axes than what is carried")
        padded = (1,) * (len(layout.axes) - len(shape)) + shape
        for mine, axis in zip(padded, layout.axes, strict=True):
            if mine not in (1, size_of(axis)):
                raise NotApplicable("it does not broadcast")
        full = {a for mine, axis in zip(padded, layout.axes, strict=True) if mine != 1 for a in axis}
        for group in layout.groups:  # data broadcasts over whole groups alone
            if any(atom in full for atom in group):
                full.update(group)
        wide = [
            size_of(axis) if any(atom in full for atom in axis) else mine
            for mine, axis in zip(padded, layout.axes, strict=True)
        ]
        full = {a for size, axis in zip(wide, layout.axes, strict=True) if size != 1 for a in axis}
        if wide != list(padded):
            node = write(torch.ops.aten.expand.default, write.reshaped(node, padded), wide)
        now = tuple(atom for axis in layout.axes for atom in axis if atom in full)
        groups = [tuple(atom for atom in group if atom in full) for group in layout.groups]
        if any(run not in ((), group) for run, group in zip(groups, layout.groups, strict=True)):
            raise NotApplicable("it does not broadcast over whole groups")
        one = [size_of(groups[BATCH]), size_of(groups[CHANNELS]), 1, size_of(groups[PLACES])]
        order = tuple(atom for run in groups for atom in run)
        if not groups[PARTS]:
            return [write.arranged(node, now, order, one)] * count
        stack = write.arranged(node, now, order, [count, *one])
        return [write(torch.ops.aten.select.int, stack, 0, place) for place in range(count)]


def _weights(draft: Draft) -> set[Node]:
    """The nodes that depend on no input: weights, and what is computed of them."""
    from torch.export.graph_signature import InputKind

    written = set(draft.signature.buffers_to_mutate.values())
    placeholders = [node for node in draft.graph.nodes if node.op == "placeholder"]
    weights = {
        node
        for node, spec in zip(placeholders, draft.signature.input_specs, strict=True)
        if spec.kind in (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)
        and spec.target not in written
    }
    for node in draft.graph.nodes:
        if node.op == "call_function" and all(source in weights for source in node.all_input_nodes):
            weights.add(node)
    return weights
