"""Ops on tensors of rank above 5, done on tensors of rank 5 at most with the same elements in order."""

from __future__ import annotations

import math
import string
from collections.abc import Sequence
from typing import Any

from convlint.repair.forms.axes import (
    HIGHEST,
    blocks,
    expanded,
    low,
    merged,
    padded,
    runs,
    shape_of,
    uniform_runs,
)
from convlint.repair.forms.counterparts import Call, Carrier, Counterparts
from convlint.rewrites.einsum import einsum, labelled, neighbours
from convlint.rewrites.table import NotApplicable

COUNTERPARTS = Counterparts("at a lower rank")
"""For the name of an op, the function that does it on tensors of lower rank."""

register = COUNTERPARTS.register


def result(call: Call, value: Any, index: int | None = None) -> Any:
    """``value`` in the shape of what ``call`` returns (of its part ``index``), carried where that is high."""
    shape = shape_of(call.value if index is None else call.value[index])
    if len(shape) <= HIGHEST:
        return value.reshape(shape)
    if value.dim() > HIGHEST:
        value = value.reshape([shape[0], math.prod(shape[1:-1]), shape[-1]])
    return Carrier((value,), shape)


@register("aten.view.", "aten._unsafe_view.", "aten.reshape.", "aten.unsqueeze.", "aten.squeeze.",
          "aten.flatten.", "aten.unflatten.", "aten.clone.default", "aten.alias.default",
          "aten.contiguous.default", "aten.detach.default")  # fmt: skip
def same_order(call: Call) -> Any:
    return result(call, low(call.args[0]))


@register("aten.permute.default")
def permute(call: Call) -> Any:
    rank = len(call.args[0].shape)
    return result(call, _permuted(call.args[0], [axis % rank for axis in call.args[1]]))


@register("aten.transpose.int")
def transpose(call: Call) -> Any:
    value, *pair = call.args
    order = list(range(len(value.shape)))
    one, two = (axis % len(order) for axis in pair)
    order[one], order[two] = order[two], order[one]
    return result(call, _permuted(value, order))


def _permuted(value: Any, order: Sequence[int]) -> Any:
    """The elements of ``value`` in the order of the permuted axes, by permutations of rank 5 at most."""
    shape = shape_of(value)
    wanted = blocks(shape, order)
    sizes = [math.prod(shape[axis] for axis in block) for block in wanted]
    now = sorted(range(len(wanted)), key=lambda block: wanted[block][0])
    if len(wanted) <= HIGHEST:
        places = [now.index(block) for block in range(len(wanted))]
        return low(value).reshape([sizes[block] for block in now]).permute(places)
    return _moved(low(value), sizes, now)


def _moved(value: Any, sizes: Sequence[int], now: list[int]) -> Any:
    """The blocks of ``value``, which stand in the order ``now``, put in order one after the other."""
    for place in range(len(now)):
        source = now.index(place)
        if source == place:
            continue
        before = math.prod(sizes[block] for block in now[:place])
        between = math.prod(sizes[block] for block in now[place:source])
        behind = math.prod(sizes[block] for block in now[source + 1 :])
        value = value.reshape([before, between, sizes[place], behind]).permute(0, 2, 1, 3)
        now.insert(place, now.pop(source))
    return value


@register("aten.expand.default")
def expand(call: Call) -> Any:
    return result(call, expanded(call.args[0], shape_of(call.value)))


@register(
    "aten.select.int", "aten.slice.Tensor", "aten.narrow.default", "aten.index_select.default",
    "aten._softmax.default", "aten.softmax.int", "aten._log_softmax.default", "aten.log_softmax.int",
    "aten.cumsum.default", "aten.unbind.int", "aten.split.Tensor", "aten.split_with_sizes.default",
    "aten.chunk.default", "aten.argmax.default", "aten.argmin.default", "aten.max.dim", "aten.min.dim",
    "aten.topk.default", "aten.sort.default", "aten.prod.dim_int", "aten.glu.default",
)  # fmt: skip
def along_an_axis(call: Call) -> Any:
    """The op along the middle one of three axes: those before its own, its own, those behind it."""
    axis, position = _axis(call)
    args = list(call.args)
    while len(args) <= position:
        args.append(call.target._schema.arguments[len(args)].default_value)
    args[0], args[position] = _around(args[0], axis), 1
    value = call.target(*args, **call.without("dim"))
    if isinstance(value, (list, tuple)):
        return [result(call, part, index) for index, part in enumerate(value)]
    return result(call, value)


def _axis(call: Call) -> tuple[int, int]:
    """The axis that an op works along, and the position of that argument."""
    for position, argument in enumerate(call.target._schema.arguments):
        if argument.name == "dim":
            axis = call.argument("dim", argument.default_value)
            if isinstance(axis, int):
                return axis % len(call.args[0].shape), position
    raise NotApplicable("it names no axis")


def _around(value: Any, axis: int) -> Any:
    shape = shape_of(value)
    return low(value).reshape([math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])])


@register("aten.sum.dim_IntList", "aten.mean.dim", "aten.amax.default", "aten.amin.default",
          "aten.logsumexp.default")  # fmt: skip
def reduce(call: Call) -> Any:
    shape = shape_of(call.args[0])
    dim = call.args[1] if len(call.args) > 1 else call.kwargs.get("dim")
    axes = {axis % len(shape) for axis in ([dim] if isinstance(dim, int) else dim or range(len(shape)))}
    groups = runs([axis in axes for axis in range(len(shape))])
    if len(groups) > HIGHEST:
        raise NotApplicable("it reduces too many axes apart from each other")
    dims = [number for number, (first, _) in enumerate(groups) if first in axes]
    value = low(call.args[0]).reshape(merged(shape, groups))
    return result(call, call.target(value, dims, keepdim=True, **call.without("dim", "keepdim")))


@register("aten.cat.default")
def cat(call: Call) -> Any:
    import torch

    axis = _joint(call)
    return result(call, torch.cat([_around(part, axis) for part in call.args[0]], 1))


@register("aten.stack.default")
def stack(call: Call) -> Any:
    import torch

    axis, shape = _joint(call), shape_of(call.value)
    around = [math.prod(shape[:axis]), 1, math.prod(shape[axis + 1 :])]
    return result(call, torch.cat([low(part).reshape(around) for part in call.args[0]], 1))


def _joint(call: Call) -> int:
    """The axis of the result along which the parts are joined."""
    axis: int = call.args[1] if len(call.args) > 1 else 0
    return axis % len(shape_of(call.value))


@register("aten.linear.default")
def linear(call: Call) -> Any:
    import torch

    return result(call, torch.nn.functional.linear(_rows(call.args[0]), *call.args[1:]))


@register("aten.matmul.default")
def matmul(call: Call) -> Any:
    import torch

    one, two = call.args
    if len(two.shape) == 2:
        return result(call, torch.mm(_rows(one), two))
    if min(len(one.shape), len(two.shape)) < 2:
        raise NotApplicable("it multiplies by a vector")
    many = shape_of(call.value)[:-2]
    return result(call, torch.bmm(_matrices(one, many), _matrices(two, many)))


def _rows(value: Any) -> Any:
    return low(value).reshape([-1, shape_of(value)[-1]])


def _matrices(value: Any, many: tuple[int, ...]) -> Any:
    """The matrices of a stack of the shape ``many``, one after the other."""
    *stack_shape, rows, columns = shape_of(value)
    full = low(value) if tuple(stack_shape) == many else expanded(value, (*many, rows, columns))
    return full.reshape([-1, rows, columns])


@register("aten.einsum.default")
def einstein_sum(call: Call) -> Any:
    """The same products with axes that stay side by side in all operands and the result made one."""
    equation, operands = call.args[:2]
    shapes = [shape_of(operand) for operand in operands]
    words, wanted = labelled(equation, [len(shape) for shape in shapes])
    sizes = _sizes(words, shapes)
    together = neighbours([*words, wanted])
    names = {run[0]: letter for run, letter in zip(together, string.ascii_lowercase, strict=False)}
    terms = ["".join(names[label] for label in word if label in names) for word in (*words, wanted)]
    if len(names) < len(together) or max(map(len, terms)) > HIGHEST:
        raise NotApplicable("its operands have too many axes apart from each other")
    whole = {run[0]: math.prod(sizes[label] for label in run) for run in together}
    values = [
        low(operand).reshape([whole[label] for label in word if label in whole])
        for operand, word in zip(operands, words, strict=True)
    ]
    return result(call, einsum(f"{','.join(terms[:-1])}->{terms[-1]}", values))


def _sizes(words: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> dict[Any, int]:
    """The size of each label."""
    pairs = {
        pair for word, shape in zip(words, shapes, strict=True) for pair in zip(word, shape, strict=True)
    }
    sizes = dict(pairs)
    if len(sizes) < len(pairs):
        raise NotApplicable("its operands broadcast")
    return sizes


@register("aten.layer_norm.default")
def layer_norm(call: Call) -> Any:
    value, sizes, *rest = call.args
    return result(call, call.target(low(value).reshape([-1, *sizes]), sizes, *rest, **call.kwargs))


@register("aten._to_copy.default")
@COUNTERPARTS.register_pointwise
def pointwise(call: Call) -> Any:
    import torch

    tensors = [arg for arg in call.args if isinstance(arg, (Carrier, torch.Tensor))]
    whole = shape_of(call.value)
    groups = uniform_runs([*(padded(each, len(whole)) for each in tensors), whole])

    def grouped(arg: Any) -> Any:
        if not isinstance(arg, (Carrier, torch.Tensor)) or not len(arg.shape):
            return arg
        return low(arg).reshape(merged(padded(arg, len(whole)), groups))

    return result(call, call.target(*(grouped(arg) for arg in call.args), **call.kwargs))
