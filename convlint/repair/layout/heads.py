"""Attention over data kept channels-first, head by head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from convlint.repair.layout.axes import BATCH, CHANNELS, PARTS, PLACES, Atom, Layout, Run
from convlint.repair.layout.layers import convolved
from convlint.repair.layout.views import Carrier, argument
from convlint.repair.layout.walk import Relay
from convlint.repair.layout.writer import Writer, shape_of
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    from torch.fx import Node


def product(relay: Relay, node: Any, write: Writer) -> Carrier:
    """A product of two activations, as attention has them; of one with a weight, as a linear layer."""
    one, two = node.args[0], node.args[1]
    if two in relay.weights:
        return convolved(relay, one, two, None, write, turned=True)
    left, right = relay.carry(one, write), relay.carry(two, write)
    try:
        return _scores(relay, left, right, write)
    except NotApplicable:
        return _mixed(relay, left, right, write)


def _same_batch(one: Layout, two: Layout) -> None:
    if any(one.signature()[group] != two.signature()[group] for group in (PARTS, BATCH)):
        raise NotApplicable("its operands have other batches")


def _scores(relay: Relay, query: Carrier, key: Carrier, write: Writer) -> Carrier:
    """Queries times transposed keys: for each head (batch, keys, 1, queries)."""
    query, key = relay.exposed(query, -1, write), relay.exposed(key, -2, write)
    q, k = query.layout, key.layout
    roles = (q.whole_group(-1), q.whole_group(-2), k.whole_group(-2), k.whole_group(-1))
    if roles != (CHANNELS, PLACES, CHANNELS, PLACES):
        raise NotApplicable("it is not a product of queries and keys")
    _same_batch(q, k)
    aten = torch.ops.aten
    parts = []
    for left, right in zip(query.parts, key.parts, strict=True):
        turned = write(aten.transpose.int, right, 1, 3)
        parts.append(write(aten.einsum.default, "bchq,bkhc->bkhq", [left, turned]))
    keys: Run = tuple(Atom(atom.size) for atom in k.axes[-1])  # the queries may have the very same atoms
    axes = (*q.axes[:-1], keys)
    groups = (q.groups[PARTS], q.groups[BATCH], keys, q.axes[-2])
    return Carrier(Layout(axes, groups), tuple(parts))


def _mixed(relay: Relay, weights: Carrier, value: Carrier, write: Writer) -> Carrier:
    """Attention weights times values: for each head (batch, size, 1, queries)."""
    value = relay.exposed(value, -1, write)
    w, v = weights.layout, value.layout
    roles = (w.whole_group(-1), w.whole_group(-2), v.whole_group(-2), v.whole_group(-1))
    if roles != (CHANNELS, PLACES, PLACES, CHANNELS):
        raise NotApplicable("it is not a product of attention weights and values")
    _same_batch(w, v)
    einsum = torch.ops.aten.einsum.default
    parts = tuple(
        write(einsum, "bkhq,bchk->bchq", [left, right])
        for left, right in zip(weights.parts, value.parts, strict=True)
    )
    groups = (w.groups[PARTS], w.groups[BATCH], v.axes[-1], w.axes[-2])
    return Carrier(Layout((*w.axes[:-1], v.axes[-1]), groups), parts)


def attention(relay: Relay, node: Any, write: Writer) -> Carrier:
    """Fused attention, head by head."""
    aten = torch.ops.aten
    mask = argument(node, 3, "attn_mask", None)
    causal = argument(node, 5, "is_causal", False)
    scale = node.kwargs.get("scale")
    query, key, value = (relay.carry(source, write) for source in node.args[:3])
    if len(query.layout.axes) < 3:
        raise NotApplicable("it has no heads")
    if node.kwargs.get("enable_gqa", False):
        key, value = _shared_heads(relay, query, key, write), _shared_heads(relay, query, value, write)
    size = shape_of(node.args[0])[-1]
    rank = len(key.layout.axes)
    turned = Carrier(key.layout.permuted([*range(rank - 2), rank - 1, rank - 2]), key.parts)
    scores = _scores(relay, query, turned, write)
    factor = size**-0.5 if scale is None else scale
    parts = [write(aten.mul.Tensor, part, factor) for part in scores.parts]
    if causal:
        many, few = scores.layout.shape[-1], scores.layout.shape[-2]
        later = torch.full((few, many), -3e4).triu(1).t().reshape(1, many, 1, few).contiguous()
        dtype = node.meta["val"].dtype
        upper = relay.draft.add_constant(later.to(dtype))
        parts = [write(aten.add.Tensor, part, upper) for part in parts]
    if mask is not None:
        masks = relay.spread(mask, scores.layout, write)
        parts = [_masked(part, one, write) for part, one in zip(parts, masks, strict=True)]
    parts = [write(aten.softmax.int, part, 1) for part in parts]
    return _mixed(relay, Carrier(scores.layout, tuple(parts)), value, write)


def _masked(part: Node, mask: Node, write: Writer) -> Node:
    aten = torch.ops.aten
    if mask.meta["val"].dtype is not torch.bool:
        return write(aten.add.Tensor, part, mask)
    # float16 holds -30000, and its exponential is 0 beside any score.
    return write(aten.masked_fill.Scalar, part, write(aten.logical_not.default, mask), -3e4)


def _shared_heads(relay: Relay, query: Carrier, key: Carrier, write: Writer) -> Carrier:
    many, few = query.layout.shape[-3], key.layout.shape[-3]
    return _repeated(relay, key, -3, many // few, write)


def _repeated(relay: Relay, held: Carrier, axis: int, count: int, write: Writer) -> Carrier:
    """Every entry of an axis of heads ``count`` times, one after the other."""
    if count == 1:
        return held
    run = held.layout.axes[axis]
    new = Atom(count)
    if run:
        groups = held.layout.groups
        if not groups[PARTS] and groups[CHANNELS][: len(run)] == run:
            held = relay.parted(held, len(run), write)
        if held.layout.groups[PARTS] != run:
            raise NotApplicable("what is repeated is no axis of heads")
    elif held.layout.groups[PARTS]:
        raise NotApplicable("it is in parts already")
    axes = list(held.layout.axes)
    axes[axis] = (*run, new)
    layout = held.layout.with_axes(axes).with_group(PARTS, (*held.layout.groups[PARTS], new))
    return Carrier(layout, tuple(part for part in held.parts for _ in range(count)))


def expanded(relay: Relay, node: Any, write: Writer) -> Carrier:
    """Heads repeated by an axis that grows: (batch, heads, 1 -> times, sequence, size)."""
    held = relay.carried[node.args[0]]
    before, after = held.layout.shape, shape_of(node)
    if before == after:
        return held
    grown = (
        [axis for axis in range(len(before)) if before[axis] != after[axis]]
        if len(before) == len(after)
        else []
    )
    if len(grown) != 1 or grown[0] == 0:
        raise NotApplicable("it grows other axes than one of heads")
    run = held.layout.axes[grown[0] - 1]
    groups = held.layout.groups
    if not groups[PARTS] and run and groups[CHANNELS][: len(run)] == run:
        held = relay.parted(held, len(run), write)
    if not run or held.layout.groups[PARTS] != run:
        raise NotApplicable("what is repeated is no axis of heads")
    new = Atom(after[grown[0]])
    axes = list(held.layout.axes)
    axes[grown[0]] = (new,)
    layout = held.layout.with_axes(axes).with_group(PARTS, (*run, new))
    return Carrier(layout, tuple(part for part in held.parts for _ in range(new.size)))


def repeat_interleave(relay: Relay, node: Any, write: Writer) -> Carrier:
    dim = argument(node, 2, "dim", None)
    if dim is None:
        raise NotApplicable("it repeats the flattened tensor")
    return _repeated(relay, relay.carried[node.args[0]], dim, node.args[1], write)
