"""A normalisation in ``forward``, folded into the convolution that reads it.

``conv((x - mean) / std)`` is a convolution of ``x`` with other weights. A factor for each channel goes into
the weights exactly, because a padded zero stays zero. The shift goes into the bias only without padding:
at an edge the window has fewer pixels, and so less of the shift. The fold is written into the graph as
an expression of the model's own weights, so trained weights still load.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.capture.walk import op_name
from convlint.repair.draft import Change, Draft
from convlint.repair.folding import Folder
from convlint.repair.layout.writer import Writer, shape_of
from convlint.rewrites.table import NotApplicable

if TYPE_CHECKING:
    from torch.fx import Node

WHOLE = "with the normalisation before it folded into the weights and the bias: it is gone"
FACTORS = (
    "with the factors of the normalisation before it folded into the weights; the shift stays, since a"
    " convolution that pads with zeros has less of it at the edge"
)
_CONVOLUTIONS = {"aten.conv2d.default": 4, "aten.conv2d.padding": 4, "aten.convolution.default": 4}
"""Convolutions, each with the position of its padding."""
_STEPS = ("aten.add.Tensor", "aten.sub.Tensor", "aten.mul.Tensor", "aten.div.Tensor")


@dataclass(frozen=True, slots=True)
class _Affine:
    """``factor * x + shift``, each a number or a node with an entry for each channel."""

    factor: Any = 1.0
    shift: Any = 0.0


def fold_normalisation(program: Any) -> tuple[Any, tuple[Change, ...]]:
    """``program`` with each normalisation of an input folded, and the changes; none without any."""
    draft = Draft(program)
    folder = Folder(draft, float_buffers=True)
    changes = []
    for node in list(draft.graph.nodes):
        op = op_name(node.target) if node.op == "call_function" else ""
        if op not in _CONVOLUTIONS or not _plain(op, node):
            continue
        source, steps = _steps(node.args[0], folder)
        if not steps or source.op != "placeholder" or source in folder.sources:
            continue
        padded = _is_padded(node, _CONVOLUTIONS[op])
        shifts = any(step in ("add", "sub") for step, _ in steps)
        change = Change(node.name, op, "normalisation", FACTORS if padded and shifts else WHOLE)
        try:
            _fold(node, source, steps, padded, Writer(draft, draft.fake_mode(), node, change))
        except NotApplicable:
            continue
        changes.append(change)
    if not changes:
        return program, ()
    return draft.program(), tuple(changes)


def _plain(op: str, node: Node) -> bool:
    """Whether it is a convolution over two axes in one group, not a transposed one."""
    position = 8 if op == "aten.convolution.default" else 6
    groups = node.args[position] if len(node.args) > position else node.kwargs.get("groups", 1)
    transposed = op == "aten.convolution.default" and node.args[6]
    weight: Any = node.args[1]
    return bool(groups == 1 and not transposed and len(shape_of(weight)) == 4)


def _is_padded(node: Node, position: int) -> bool:
    padding = node.args[position] if len(node.args) > position else node.kwargs.get("padding", 0)
    if isinstance(padding, str):
        return padding != "valid"
    return any(padding) if isinstance(padding, (list, tuple)) else bool(padding)


def _steps(node: Any, folder: Folder) -> tuple[Any, list[tuple[str, Any]]]:
    """The start of a chain of arithmetic with constants, and its steps from there."""
    steps: list[tuple[str, Any]] = []
    while node.op == "call_function" and op_name(node.target) in _STEPS and len(node.users) == 1:
        source, other = node.args[:2]
        if node.kwargs or len(node.args) > 2 or getattr(source, "meta", None) is None:
            break
        op = op_name(node.target).split(".")[1]
        if op in ("add", "mul") and folder.const.get(source):
            source, other = other, source
        is_number = isinstance(other, (int, float))
        if not is_number and not (folder.const.get(other) and _per_channel(other, node)):
            break
        if folder.const.get(source) or source.meta["val"].shape != node.meta["val"].shape:
            break
        steps.append((op, other))
        node = source
    return node, steps[::-1]


def _per_channel(constant: Node, result: Node) -> bool:
    """Whether a constant has one number, or one for each channel of a picture."""
    sizes = tuple(constant.meta["val"].shape)
    padded = (1,) * (4 - len(sizes)) + sizes
    channels = result.meta["val"].shape[1]
    return len(sizes) <= 4 and padded in ((1, 1, 1, 1), (1, channels, 1, 1))


def _fold(node: Node, source: Node, steps: list[tuple[str, Any]], padded: bool, write: Writer) -> None:
    import torch

    aten = torch.ops.aten
    affine = _Affine()
    for op, value in steps:
        affine = _after(affine, op, value, write)
    weight: Any = node.args[1]
    channels = shape_of(weight)[1]

    def column(value: Any) -> Any:
        if isinstance(value, float):
            return value
        sizes = shape_of(value)
        count = channels if channels in sizes else 1
        return write.reshaped(value, [1, count, 1, 1])

    factor, shift = column(affine.factor), column(affine.shift)
    args = list(node.args)
    args[0], args[1] = source, write(aten.mul.Tensor, weight, factor)
    if shift != 0.0 and padded:
        args[0] = write(aten.add.Tensor, source, _quotient(shift, factor, write))
    elif shift != 0.0:
        more = write(aten.sum.dim_IntList, write(aten.mul.Tensor, weight, shift), [1, 2, 3])
        bias = args[2] if len(args) > 2 else None
        args[2:3] = [more if bias is None else write(aten.add.Tensor, bias, more)]
    node.args = tuple(args)


def _after(affine: _Affine, op: str, value: Any, write: Writer) -> _Affine:
    """``affine`` with one step more."""
    value = float(value) if isinstance(value, (int, float)) else value
    if op in ("add", "sub"):
        more = value if op == "add" else _product(value, -1.0, write)
        return _Affine(affine.factor, _sum(affine.shift, more, write))
    change = _product if op == "mul" else _quotient
    return _Affine(change(affine.factor, value, write), change(affine.shift, value, write))


def _sum(one: Any, other: Any, write: Writer) -> Any:
    import torch

    if isinstance(one, float) and isinstance(other, float):
        return one + other
    if isinstance(one, float):
        one, other = other, one
    return one if other == 0.0 else write(torch.ops.aten.add.Tensor, one, other)


def _product(one: Any, other: Any, write: Writer) -> Any:
    import torch

    if isinstance(one, float) and isinstance(other, float):
        return one * other
    if isinstance(one, float):
        one, other = other, one
    if other == 0.0:
        return 0.0
    return one if other == 1.0 else write(torch.ops.aten.mul.Tensor, one, other)


def _quotient(one: Any, other: Any, write: Writer) -> Any:
    import torch

    if isinstance(other, float):
        return _product(one, 1 / other, write) if other else _fail()
    if one == 0.0:
        return 0.0
    if isinstance(one, float):
        return _product(write(torch.ops.aten.reciprocal.default, other), one, write)
    return write(torch.ops.aten.div.Tensor, one, other)


def _fail() -> Any:
    raise NotApplicable("it divides by zero")
