"""Ops on tensors of rank above 5, done on tensors of rank 5 at most with the same elements in order."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

from convlint.repair.forms.walk import Carrier
from convlint.rewrites.einsum import einsum, labelled, neighbours
from convlint.rewrites.table import NotApplicable

_LIMIT = 5

_SAME_ORDER = ("aten.view.", "aten._unsafe_view.", "aten.reshape.", "aten.unsqueeze.", "aten.squeeze.",
               "aten.flatten.", "aten.unflatten.")  # fmt: skip
_ONE_AXIS = ("aten.select.int", "aten.slice.Tensor", "aten.narrow.default", "aten.index_select.default",
             "aten._softmax.default", "aten.softmax.int", "aten._log_softmax.default", "aten.log_softmax.int",
             "aten.cumsum.default", "aten.unbind.int", "aten.split.Tensor", "aten.split_with_sizes.default",
             "aten.chunk.default", "aten.argmax.default", "aten.argmin.default", "aten.max.dim",
             "aten.min.dim", "aten.topk.default", "aten.sort.default", "aten.prod.dim_int",
             "aten.glu.default")  # fmt: skip
_REDUCE = ("aten.sum.dim_IntList", "aten.mean.dim", "aten.amax.default", "aten.amin.default",
           "aten.logsumexp.default")  # fmt: skip


def handle(op: str, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``node`` done on carriers: a tensor where the result has a low rank, else what carries it."""
    import torch

    target = node.target
    if op.startswith(_SAME_ORDER):
        return _result(node, _low(args[0]))
    if op in ("aten.permute.default", "aten.transpose.int"):
        return _result(node, _permuted(args[0], _order(op, args)))
    if op in ("aten.clone.default", "aten.alias.default", "aten.contiguous.default", "aten.detach.default"):
        return _result(node, _low(args[0]))
    if op == "aten.expand.default":
        return _result(node, _expanded(args[0], _shape(node.meta["val"])))
    if op in _ONE_AXIS:
        return _along(node, args, kwargs)
    if op in _REDUCE:
        return _reduced(node, args, kwargs)
    if op in ("aten.cat.default", "aten.stack.default"):
        return _joined(node, op, args)
    if op == "aten.einsum.default":
        return _einsum(node, args)
    if op in ("aten.matmul.default", "aten.linear.default"):
        return _product(node, op, args)
    if op == "aten.layer_norm.default":
        sizes = list(args[1])
        flat = _low(args[0]).reshape([-1, *sizes])
        return _result(node, target(flat, *args[1:], **kwargs))
    if torch.Tag.pointwise in target.tags or op == "aten._to_copy.default":
        return _pointwise(node, args, kwargs)
    raise NotApplicable(f"{op} has no counterpart at a lower rank")


def _low(value: Any) -> Any:
    return value.parts[0] if hasattr(value, "parts") else value


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in value.shape)


def _result(node: Any, low: Any, index: int | None = None) -> Any:
    value = node.meta["val"] if index is None else node.meta["val"][index]
    shape = _shape(value)
    if len(shape) <= _LIMIT:
        return low.reshape(shape)
    if low.dim() > _LIMIT:
        low = low.reshape([shape[0], math.prod(shape[1:-1]), shape[-1]])
    return Carrier((low,), shape)


def _order(op: str, args: tuple[Any, ...]) -> list[int]:
    rank = len(args[0].shape)
    if op == "aten.permute.default":
        return [axis % rank for axis in args[1]]
    order = list(range(rank))
    one, two = args[1] % rank, args[2] % rank
    order[one], order[two] = order[two], order[one]
    return order


def _permuted(value: Any, order: Sequence[int]) -> Any:
    """The elements of ``value`` in the order of the permuted axes, by permutations of rank 5 at most."""
    shape = _shape(value)
    blocks = _blocks(shape, order)
    sizes = [math.prod(shape[axis] for axis in block) for block in blocks]
    now = sorted(range(len(blocks)), key=lambda block: blocks[block][0])
    low = _low(value)
    if len(blocks) <= _LIMIT:
        return low.reshape([sizes[block] for block in now]).permute(
            [now.index(b) for b in range(len(blocks))]
        )
    for place in range(len(blocks)):
        found = now.index(place)
        if found == place:
            continue
        before = math.prod(sizes[block] for block in now[:place])
        between = math.prod(sizes[block] for block in now[place:found])
        behind = math.prod(sizes[block] for block in now[found + 1 :])
        low = low.reshape([before, between, sizes[place], behind]).permute(0, 2, 1, 3)
        now.insert(place, now.pop(found))
    return low


def _blocks(shape: Sequence[int], order: Sequence[int]) -> list[list[int]]:
    """The axes in their new order, those that stay neighbours put together, those of size 1 left out."""
    kept = [axis for axis in order if shape[axis] != 1] or [0]
    line = sorted(kept)
    blocks = [[kept[0]]]
    for axis in kept[1:]:
        last = line.index(blocks[-1][-1])
        if last + 1 < len(line) and line[last + 1] == axis:
            blocks[-1].append(axis)
        else:
            blocks.append([axis])
    return blocks


def _padded(value: Any, rank: int) -> tuple[int, ...]:
    shape = _shape(value)
    return (1,) * (rank - len(shape)) + shape


def _groups(shapes: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
    """Runs of axes over which every shape is whole or every shape is 1: (first, last + 1) of each."""
    whole = shapes[-1]
    groups: list[tuple[int, int]] = []
    patterns: list[tuple[bool, ...] | None] = []
    for axis, size in enumerate(whole):
        pattern = None if size == 1 else tuple(shape[axis] == size for shape in shapes)
        if groups and (pattern is None or patterns[-1] is None or patterns[-1] == pattern):
            groups[-1] = (groups[-1][0], axis + 1)
            patterns[-1] = pattern or patterns[-1]
        else:
            groups.append((axis, axis + 1))
            patterns.append(pattern)
    if len(groups) > _LIMIT:
        raise NotApplicable("it broadcasts over too many axes apart from each other")
    return groups


def _expanded(value: Any, wanted: tuple[int, ...]) -> Any:
    """The elements of ``value`` repeated to the shape ``wanted``, over the axes that go together merged."""
    groups = _groups([_padded(value, len(wanted)), wanted])
    small = _low(value).reshape(_merged(_padded(value, len(wanted)), groups))
    return small.expand(_merged(wanted, groups)).contiguous()


def _merged(shape: Sequence[int], groups: Sequence[tuple[int, int]]) -> list[int]:
    return [math.prod(shape[first:last]) for first, last in groups]


def _pointwise(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    import torch

    values = [arg for arg in args if hasattr(arg, "parts") or isinstance(arg, torch.Tensor)]
    whole = _shape(node.meta["val"])
    groups = _groups([*(_padded(value, len(whole)) for value in values), whole])
    low = [
        _low(arg).reshape(_merged(_padded(arg, len(whole)), groups))
        if hasattr(arg, "parts") or (isinstance(arg, torch.Tensor) and arg.dim())
        else arg
        for arg in args
    ]
    return _result(node, node.target(*low, **kwargs))


def _axis(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, int]:
    """The axis that an op works along, and the position of that argument."""
    for position, argument in enumerate(node.target._schema.arguments):
        if argument.name == "dim":
            given = args[position] if position < len(args) else kwargs.get("dim", argument.default_value)
            if not isinstance(given, int):
                raise NotApplicable("it names no axis")
            return given % len(args[0].shape), position
    raise NotApplicable("it names no axis")


def _around(value: Any, axis: int) -> Any:
    shape = _shape(value)
    return _low(value).reshape([math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])])


def _along(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    axis, position = _axis(node, args, kwargs)
    changed = list(args)
    while len(changed) <= position:
        changed.append(node.target._schema.arguments[len(changed)].default_value)
    changed[0], changed[position] = _around(args[0], axis), 1
    kwargs = {name: value for name, value in kwargs.items() if name != "dim"}
    made = node.target(*changed, **kwargs)
    if isinstance(made, (list, tuple)):
        return [_result(node, part, index) for index, part in enumerate(made)]
    return _result(node, made)


def _reduced(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    shape = _shape(args[0])
    given = args[1] if len(args) > 1 else kwargs.get("dim")
    axes = {axis % len(shape) for axis in ([given] if isinstance(given, int) else given or range(len(shape)))}
    groups: list[tuple[int, int]] = []
    for axis in range(len(shape)):
        if groups and ((axis in axes) == (groups[-1][0] in axes)):
            groups[-1] = (groups[-1][0], axis + 1)
        else:
            groups.append((axis, axis + 1))
    if len(groups) > _LIMIT:
        raise NotApplicable("it reduces too many axes apart from each other")
    dims = [number for number, (first, _) in enumerate(groups) if first in axes]
    low = _low(args[0]).reshape(_merged(shape, groups))
    rest = {name: value for name, value in kwargs.items() if name not in ("dim", "keepdim")}
    return _result(node, node.target(low, dims, keepdim=True, **rest))


def _joined(node: Any, op: str, args: tuple[Any, ...]) -> Any:
    import torch

    shape = _shape(node.meta["val"])
    axis = (args[1] if len(args) > 1 else 0) % len(shape)
    if op == "aten.stack.default":
        around = [math.prod(shape[:axis]), 1, math.prod(shape[axis + 1 :])]
        return _result(node, torch.cat([_low(part).reshape(around) for part in args[0]], 1))
    return _result(node, torch.cat([_around(part, axis) for part in args[0]], 1))


def _product(node: Any, op: str, args: tuple[Any, ...]) -> Any:
    import torch

    one, two = args[0], args[1]
    rows = _low(one).reshape([-1, _shape(one)[-1]])
    if op == "aten.linear.default":
        return _result(node, torch.nn.functional.linear(rows, *args[1:]))
    if len(two.shape) == 2:
        return _result(node, torch.mm(rows, two))
    left, right = _shape(one), _shape(two)
    if min(len(left), len(right)) < 2:
        raise NotApplicable("it multiplies by a vector")
    many = _shape(node.meta["val"])[:-2]
    stacked = [
        (_low(part) if shape[:-2] == many else _expanded(part, many + shape[-2:])).reshape([-1, *shape[-2:]])
        for part, shape in ((one, left), (two, right))
    ]
    return _result(node, torch.bmm(*stacked))


def _einsum(node: Any, args: tuple[Any, ...]) -> Any:
    """The same products with axes that stay side by side in all operands and the result made one."""
    shapes = [_shape(operand) for operand in args[1]]
    words, wanted = labelled(args[0], [len(shape) for shape in shapes])
    pairs = {
        pair for word, shape in zip(words, shapes, strict=True) for pair in zip(word, shape, strict=True)
    }
    sizes = dict(pairs)
    if len(sizes) < len(pairs):
        raise NotApplicable("its operands broadcast")
    runs = neighbours([*words, wanted])
    names = {run[0]: letter for run, letter in zip(runs, string.ascii_lowercase, strict=False)}
    terms = ["".join(names[label] for label in word if label in names) for word in (*words, wanted)]
    if len(names) < len(runs) or max(map(len, terms)) > _LIMIT:
        raise NotApplicable("its operands have too many axes apart from each other")
    merged = {run[0]: math.prod(sizes[label] for label in run) for run in runs}
    low = [
        _low(operand).reshape([merged[label] for label in word if label in merged])
        for operand, word in zip(args[1], words, strict=True)
    ]
    return _result(node, einsum(f"{','.join(terms[:-1])}->{terms[-1]}", low))
