"""The attributes of an op that placement and cost use, with the same names for MIL and ATen.

=================  ==========================================================================
``kernel``         spatial sizes of a convolution or pooling window, at least (height, width)
``strides``        the same of its strides
``dilations``      the same of its dilations
``groups``         of a convolution
``depth``          how many products one entry of the result sums
``indices_const``  whether the indices of a lookup are known when the model is compiled
``begin_const``    the same of where a slice begins
``mode``, ``value``  of a padding
``shrinks``        whether a resize makes its image smaller
=================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from convlint.model import TensorArg, TensorMeta

CONVOLUTIONS = ("conv", "conv_transpose")
POOLINGS = ("max_pool", "avg_pool", "l2_pool")
PRODUCTS = ("linear", "matmul", "einsum")
RESIZES = (
    "resize",
    "resize_bilinear",
    "resize_nearest_neighbor",
    "upsample_bilinear",
    "upsample_nearest_neighbor",
)
_INDICES = {
    "gather": "indices",
    "gather_along_axis": "indices",
    "gather_nd": "indices",
    "scatter": "indices",
    "scatter_along_axis": "indices",
    "scatter_nd": "indices",
}
_BEGINS = {"slice_by_size": ("begin",), "slice_by_index": ("begin", "end"), "slice_update": ("begin", "end")}


def attributes_of(kind: str, arguments: Mapping[str, Any], outputs: Sequence[TensorMeta]) -> dict[str, Any]:
    """The attributes of an op from its MIL arguments: tensors as :class:`TensorArg`, the rest as values."""
    attributes: dict[str, Any] = {}
    x = arguments.get("x")
    if kind in CONVOLUTIONS:
        weight = arguments.get("weight")
        if isinstance(weight, TensorArg) and len(weight.meta.shape) > 2:
            attributes |= convolution(
                weight.meta.shape, kind == "conv_transpose", int(arguments.get("groups") or 1)
            )
        attributes |= _windows(arguments, "strides", "dilations")
    elif kind in POOLINGS:
        attributes["kernel"] = plane(arguments.get("kernel_sizes") or ())
        attributes |= _windows(arguments, "strides")
    elif kind == "linear" and isinstance(x, TensorArg) and x.meta.shape:
        attributes["depth"] = x.meta.shape[-1]
    elif kind == "matmul" and isinstance(x, TensorArg) and x.meta.shape:
        attributes["depth"] = x.meta.shape[-2 if arguments.get("transpose_x") and x.meta.rank > 1 else -1]
    elif kind == "einsum":
        values = [value for value in arguments.get("values") or () if isinstance(value, TensorArg)]
        attributes["depth"] = einsum_depth(str(arguments.get("equation") or ""), values)
    elif kind in _INDICES:
        indices = arguments.get(_INDICES[kind])
        attributes["indices_const"] = not isinstance(indices, TensorArg) or indices.const
    elif kind in _BEGINS:
        bounds = [arguments.get(name) for name in _BEGINS[kind]]
        attributes["begin_const"] = all(not isinstance(bound, TensorArg) or bound.const for bound in bounds)
    elif kind == "pad":
        attributes["mode"] = arguments.get("mode") or "constant"
        attributes["value"] = arguments.get("constant_val") or 0
    if kind in RESIZES and isinstance(x, TensorArg) and outputs:
        attributes["shrinks"] = shrinks(x.meta, outputs[0])
    return attributes


def convolution(weight: Sequence[int | str], transposed: bool, groups: int) -> dict[str, Any]:
    """``kernel``, ``groups`` and ``depth`` from the shape of a weight."""
    inner = weight[0] if transposed else weight[1]
    depth = inner // groups if transposed and isinstance(inner, int) else inner
    for size in weight[2:]:
        depth = depth * size if isinstance(depth, int) and isinstance(size, int) else depth
    return {"kernel": plane(weight[2:]), "groups": groups, "depth": depth}


def plane(sizes: Sequence[int | str]) -> tuple[int | str, ...]:
    """Window sizes as (height, width): a window over one axis is a row."""
    return (1, *sizes) if len(sizes) == 1 else tuple(sizes)


def einsum_depth(equation: str, values: Sequence[TensorArg]) -> int:
    """The product of the sizes of the axes that an einsum sums over."""
    inputs, _, output = equation.replace(" ", "").partition("->")
    depth = 1
    seen = set(output)
    for letters, value in zip(inputs.split(","), values, strict=False):
        for letter, size in zip(letters, value.meta.shape, strict=False):
            if letter not in seen and isinstance(size, int):
                depth *= size
            seen.add(letter)
    return depth


def shrinks(before: TensorMeta, after: TensorMeta) -> bool:
    """Whether some axis becomes shorter."""
    pairs = zip(before.shape, after.shape, strict=False)
    return any(isinstance(a, int) and isinstance(b, int) and b < a for a, b in pairs)


def _windows(arguments: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: plane(arguments[name]) for name in names if isinstance(arguments.get(name), tuple)}
