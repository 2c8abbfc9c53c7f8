"""For each call its counterpart over data kept channels-first: convolutions, norms, heads, slices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from convlint.repair.axes import BATCH, CHANNELS, DATA_AXIS, PARTS, PLACES, Atom, Layout, Run, size_of
from convlint.repair.channels_first import (
    CARRIED,
    Carrier,
    Relay,
    moved,
    moves_nothing,
    sliced,
)
from convlint.repair.writer import Writer, shape_of
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    from torch.fx import Node

Function = Callable[[Relay, Any, Writer], Any]

LARGEST_AXIS = 16384
"""Outputs of one convolution: an axis beyond that leaves the engine of older chips (rule CL219)."""


@dataclass(frozen=True, slots=True)
class Counterpart:
    """``starts``: whether it is worth leaving the plain layout for. ``moves_nothing``: a view."""

    function: Function
    title: str = CARRIED
    starts: bool = False
    moves_nothing: bool = False


def counterpart(op: str, node: Node) -> Counterpart | None:
    """What computes a call over the carried data, or None."""
    import torch

    if op in _table():
        return _table()[op]
    if moves_nothing(node):
        return _MOVED
    if torch.Tag.pointwise in getattr(node.target, "tags", ()) or op == "aten._to_copy.default":
        return _ELEMENTWISE
    return None


def _aten() -> Any:
    import torch

    return torch.ops.aten


def _argument(node: Any, position: int, name: str, default: Any) -> Any:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def _moved(relay: Relay, node: Any, write: Writer) -> Carrier:
    held = relay.carried[node.all_input_nodes[0]]
    return Carrier(moved(held.layout, node), held.parts)


def _elementwise(relay: Relay, node: Any, write: Writer) -> Carrier:
    import torch

    wanted = shape_of(node)
    held = [relay.carried[source] for source in node.all_input_nodes if source in relay.carried]
    forms = [one for one in held if one.layout.shape == wanted]
    if not forms:
        raise NotApplicable("nothing that is carried has the shape of the result")
    form = max(forms, key=lambda one: len(one.parts))
    given = {source: relay.like(source, form, write) for source in node.all_input_nodes}
    kwargs = {name: value for name, value in node.kwargs.items() if name != "memory_format"}
    parts = []
    for place in range(len(form.parts)):
        mine = {source: nodes[place] for source, nodes in given.items()}
        args, named = torch.fx.map_arg((node.args, kwargs), mine.__getitem__)
        parts.append(write(node.target, *args, **named))
    return Carrier(form.layout, tuple(parts))


def _convolved(
    relay: Relay, node: Any, weight: Any, bias: Any, write: Writer, *, turned: bool = False
) -> Carrier:
    """The linear layer as 1x1 convolutions; ``turned`` where the weight is (in, out)."""
    weights = relay.weights
    if weight not in weights or (bias is not None and bias not in weights) or len(shape_of(weight)) != 2:
        raise NotApplicable("its weight is computed from an input")
    if bias is not None and len(shape_of(bias)) != 1:
        raise NotApplicable("its bias is not one number for each channel")
    aten = _aten()
    held = relay.channels_last(node, write)
    if turned:
        weight = write(aten.permute.default, weight, [1, 0])
    outs, ins = shape_of(weight)
    made = []
    for start in range(0, outs, LARGEST_AXIS):
        length = min(LARGEST_AXIS, outs - start)
        kernel = write.reshaped(sliced(weight, 0, start, length, write), [length, ins, 1, 1])
        shift = None if bias is None else sliced(bias, 0, start, length, write)
        made.append(write(aten.conv2d.default, held.parts[0], kernel, shift))
    data = made[0] if len(made) == 1 else write(aten.cat.default, made, 1)
    new: Run = (Atom(outs),) if outs > 1 else ()
    layout = held.layout.with_axes((*held.layout.axes[:-1], new)).with_group(CHANNELS, new)
    return Carrier(layout, (data,))


def _linear(relay: Relay, node: Any, write: Writer) -> Carrier:
    return _convolved(relay, node.args[0], node.args[1], _argument(node, 2, "bias", None), write)


def _addmm(relay: Relay, node: Any, write: Writer) -> Carrier:
    if node.kwargs or len(node.args) > 3:
        raise NotApplicable("it scales its operands")
    return _convolved(relay, node.args[1], node.args[2], node.args[0], write, turned=True)


def _product(relay: Relay, node: Any, write: Writer) -> Carrier:
    """A product of two activations, as attention has them; of one with a weight, as a linear layer."""
    one, two = node.args[0], node.args[1]
    if two in relay.weights:
        return _convolved(relay, one, two, None, write, turned=True)
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
    aten = _aten()
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
    einsum = _aten().einsum.default
    parts = tuple(
        write(einsum, "bkhq,bchk->bchq", [left, right])
        for left, right in zip(weights.parts, value.parts, strict=True)
    )
    groups = (w.groups[PARTS], w.groups[BATCH], v.axes[-1], w.axes[-2])
    return Carrier(Layout((*w.axes[:-1], v.axes[-1]), groups), parts)


def _attention(relay: Relay, node: Any, write: Writer) -> Carrier:
    """Fused attention, head by head."""
    aten = _aten()
    mask = _argument(node, 3, "attn_mask", None)
    causal = _argument(node, 5, "is_causal", False)
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
        import torch

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
    import torch

    aten = _aten()
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


def _expanded(relay: Relay, node: Any, write: Writer) -> Carrier:
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


def _repeat_interleave(relay: Relay, node: Any, write: Writer) -> Carrier:
    dim = _argument(node, 2, "dim", None)
    if dim is None:
        raise NotApplicable("it repeats the flattened tensor")
    return _repeated(relay, relay.carried[node.args[0]], dim, node.args[1], write)


def _layer_norm(relay: Relay, node: Any, write: Writer) -> Carrier:
    weight, bias = _argument(node, 2, "weight", None), _argument(node, 3, "bias", None)
    eps = _argument(node, 4, "eps", 1e-5)
    held = _normalised_axis(relay, node, write)
    aten = _aten()
    parts = []
    for part in held.parts:
        centred = write(aten.sub.Tensor, part, write(aten.mean.dim, part, [1], True))
        parts.append(_divided(centred, centred, eps, write))
    return _scaled(Carrier(held.layout, tuple(parts)), weight, bias, write)


def _rms_norm(relay: Relay, node: Any, write: Writer) -> Carrier:
    import torch

    eps = _argument(node, 3, "eps", None)
    if eps is None:
        eps = torch.finfo(node.meta["val"].dtype).eps
    held = _normalised_axis(relay, node, write)
    parts = tuple(_divided(part, part, eps, write) for part in held.parts)
    return _scaled(Carrier(held.layout, parts), _argument(node, 2, "weight", None), None, write)


def _normalised_axis(relay: Relay, node: Any, write: Writer) -> Carrier:
    if len(node.args[1]) != 1:
        raise NotApplicable("it normalises over several axes")
    source = node.args[0]
    held = relay.exposed(relay.carry(source, write), -1, write)
    if held.layout.whole_group(-1) != CHANNELS:
        held = relay.channels_last(source, write)
    return held


def _divided(x: Node, over: Node, eps: float, write: Writer) -> Node:
    """``x`` by the root of the mean square of ``over``, along the channels."""
    aten = _aten()
    square = write(aten.mean.dim, write(aten.mul.Tensor, over, over), [1], True)
    return write(aten.mul.Tensor, x, write(aten.rsqrt.default, write(aten.add.Tensor, square, eps)))


def _scaled(held: Carrier, weight: Any, bias: Any, write: Writer) -> Carrier:
    aten = _aten()
    parts = list(held.parts)
    for op, operand in ((aten.mul.Tensor, weight), (aten.add.Tensor, bias)):
        if operand is not None:
            column = write.reshaped(operand, [1, shape_of(operand)[0], 1, 1])
            parts = [write(op, part, column) for part in parts]
    return Carrier(held.layout, tuple(parts))


def _softmax(relay: Relay, node: Any, write: Writer) -> Carrier:
    dim = node.args[1]
    held = relay.exposed(relay.carried[node.args[0]], dim, write)
    group = held.layout.whole_group(dim)
    if group not in DATA_AXIS:
        raise NotApplicable("it runs over the parts")
    parts = tuple(
        write(node.target, part, DATA_AXIS[group], *node.args[2:], **node.kwargs) for part in held.parts
    )
    return Carrier(held.layout, parts)


def _reduced(relay: Relay, node: Any, write: Writer) -> Carrier:
    given = _argument(node, 1, "dim", None)
    keep = bool(_argument(node, 2, "keepdim", False))
    held = relay.carried[node.args[0]]
    rank = len(held.layout.axes)
    dims = sorted({axis % rank for axis in ([given] if isinstance(given, int) else given or ())})
    if not dims:
        raise NotApplicable("it reduces to one number")
    for dim in dims:
        held = relay.exposed(held, dim, write)
    groups = [held.layout.whole_group(dim) for dim in dims]
    if any(group not in DATA_AXIS for group in groups):
        raise NotApplicable("it runs over the parts")
    rest = {name: value for name, value in node.kwargs.items() if name not in ("dim", "keepdim")}
    over = [DATA_AXIS[group] for group in groups if group is not None]
    parts = tuple(write(node.target, part, over, True, **rest) for part in held.parts)
    layout = held.layout
    for group in groups:
        assert group is not None
        layout = layout.with_group(group, ())
    axes = [() if axis in dims else run for axis, run in enumerate(layout.axes)]
    return Carrier(
        layout.with_axes([run for axis, run in enumerate(axes) if keep or axis not in dims]), parts
    )


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


def _slice(relay: Relay, node: Any, write: Writer) -> Carrier:
    held = relay.carried[node.args[0]]
    dim, step = _argument(node, 1, "dim", 0), _argument(node, 4, "step", 1)
    size = held.layout.shape[dim]
    start, stop, _ = slice(_argument(node, 2, "start", None), _argument(node, 3, "end", None)).indices(size)
    if step != 1 or stop <= start:
        raise NotApplicable("it takes steps")
    return _narrowed(relay, held, dim, start, stop - start, write)


def _select(relay: Relay, node: Any, write: Writer) -> Carrier:
    dim = _argument(node, 1, "dim", 0)
    return _selected(relay, relay.carried[node.args[0]], dim, _argument(node, 2, "index", 0), write)


def _selected(relay: Relay, held: Carrier, dim: int, index: int, write: Writer) -> Carrier:
    size, rank = held.layout.shape[dim], len(held.layout.axes)
    one = _narrowed(relay, held, dim, index % size, 1, write)
    axes = [run for axis, run in enumerate(one.layout.axes) if axis != dim % rank]
    return Carrier(one.layout.with_axes(axes), one.parts)


def _split(relay: Relay, node: Any, write: Writer) -> list[Carrier]:
    held = relay.carried[node.args[0]]
    dim = _argument(node, 2, "dim", 0)
    lengths = [int(value.shape[dim]) for value in node.meta["val"]]
    starts = [sum(lengths[:place]) for place in range(len(lengths))]
    return [
        _narrowed(relay, held, dim, start, length, write)
        for start, length in zip(starts, lengths, strict=True)
    ]


def _unbind(relay: Relay, node: Any, write: Writer) -> list[Carrier]:
    held = relay.carried[node.args[0]]
    dim = _argument(node, 1, "dim", 0)
    return [_selected(relay, held, dim, index, write) for index in range(held.layout.shape[dim])]


def _getitem(relay: Relay, node: Any, write: Writer) -> Carrier:
    found: Carrier = relay.lists[node.args[0]][node.args[1]]
    return found


def _cat(relay: Relay, node: Any, write: Writer) -> Carrier:
    import torch

    sources: Sequence[Any] = node.args[0]
    dim = _argument(node, 1, "dim", 0)
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


_MOVED = Counterpart(_moved, moves_nothing=True)
_ELEMENTWISE = Counterpart(_elementwise)


@cache
def _table() -> dict[str, Counterpart]:
    linear = "a 1x1 convolution over (batch, channels, 1, sequence)"
    norm = "normalised over the axis of channels"
    heads = "attention head by head"
    table = {
        "aten.linear.default": Counterpart(_linear, linear, starts=True),
        "aten.addmm.default": Counterpart(_addmm, linear, starts=True),
        "aten.layer_norm.default": Counterpart(_layer_norm, norm, starts=True),
        "aten.rms_norm.default": Counterpart(_rms_norm, norm, starts=True),
        "aten.scaled_dot_product_attention.default": Counterpart(_attention, heads),
        "aten.expand.default": Counterpart(_expanded, moves_nothing=True),
        "aten.repeat_interleave.self_int": Counterpart(_repeat_interleave, moves_nothing=True),
        "aten.slice.Tensor": Counterpart(_slice, moves_nothing=True),
        "aten.select.int": Counterpart(_select, moves_nothing=True),
        "aten.unbind.int": Counterpart(_unbind),
        "_operator.getitem": Counterpart(_getitem, moves_nothing=True),
        "aten.cat.default": Counterpart(_cat),
    }
    table |= dict.fromkeys(
        ("aten.mm.default", "aten.matmul.default", "aten.bmm.default"), Counterpart(_product, heads)
    )
    table |= dict.fromkeys(
        ("aten.softmax.int", "aten._softmax.default", "aten.log_softmax.int", "aten._log_softmax.default"),
        Counterpart(_softmax),
    )
    table |= dict.fromkeys(
        ("aten.mean.dim", "aten.sum.dim_IntList", "aten.amax.default", "aten.amin.default"),
        Counterpart(_reduced),
    )
    table |= dict.fromkeys(
        ("aten.split.Tensor", "aten.split_with_sizes.default", "aten.chunk.default"), Counterpart(_split)
    )
    return table
