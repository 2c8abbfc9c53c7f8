"""Fourier transforms as products with their matrices, one for each axis, on real and imaginary parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from convlint.repair.forms.counterparts import Call
from convlint.rewrites.table import NotApplicable

LONGEST = 4096
"""Length of a Fourier transform up to which its matrix is written out."""

Scale = Literal["none", "root", "whole"]
"""What a transform is divided by: nothing, the root of its size, its size."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What the name of a transform says.

    ``real`` is the side on which there are real values alone, ``axes`` ("one", "two", "all") those that it
    works along where it is not told.
    """

    forward: bool
    real: Literal["none", "input", "output"]
    axes: str


_PUBLIC = {
    f"fft_{'' if forward else 'i'}{'r' if real else ''}fft{ending}": Kind(
        forward, ("input" if forward else "output") if real else "none", axes
    )
    for forward in (True, False)
    for real in (False, True)
    for ending, axes in (("", "one"), ("2", "two"), ("n", "all"))
}
"""Those of ``torch.fft``."""

_KERNELS = {"_fft_r2c": "input", "_fft_c2c": "none", "_fft_c2r": "output"}
"""Those that PyTorch makes of them, with the side that is real."""

NAMES = (*_PUBLIC, *_KERNELS)


@dataclass(frozen=True, slots=True)
class Transform:
    """A call of a transform: the axes in the order of their treatment, with the size along each.

    ``halved`` is the axis of which the input holds the half that says all, the values being real.
    """

    axes: list[int]
    sizes: list[int]
    scale: Scale
    forward: bool
    halved: int | None


def transformed(call: Call, re: Any, im: Any | None) -> tuple[Any, Any | None]:
    """The parts of a transform of these parts; None stands for an imaginary part that is zero."""
    import torch

    transform = transform_of(call)
    for axis, size in zip(transform.axes, transform.sizes, strict=True):
        if axis == transform.halved:
            im = torch.zeros_like(re) if im is None else im
            re = _inverse_half(re, im, axis, size, transform.scale)
            continue
        re, im = _fitted(re, axis, size), None if im is None else _fitted(im, axis, size)
        re, im = _along(re, im, axis, size, transform)
        wanted = int(call.value.shape[axis])
        if wanted != size:  # real values: the other half says the same
            re, im = re.narrow(axis, 0, wanted), im.narrow(axis, 0, wanted)
    return (re, im) if transform.halved is None else (re.to(call.value.dtype), None)


def transform_of(call: Call) -> Transform:
    """The transform that ``call`` asks for."""
    name = call.op.split(".")[1]
    return _of_kernel(call, name) if name in _KERNELS else _of_public(call, _PUBLIC[name])


def _of_kernel(call: Call, name: str) -> Transform:
    shape = [int(size) for size in call.args[0].shape]
    axes = [axis % len(shape) for axis in call.argument("dim")]
    sizes = [shape[axis] for axis in axes]
    scales: tuple[Scale, ...] = ("none", "root", "whole")
    if _KERNELS[name] == "output":
        sizes[-1] = int(call.argument("last_dim_size"))
    return Transform(
        axes,
        sizes,
        scales[int(call.argument("normalization"))],
        _KERNELS[name] == "input" or (_KERNELS[name] == "none" and bool(call.argument("forward"))),
        axes[-1] if _KERNELS[name] == "output" else None,
    )


def _of_public(call: Call, kind: Kind) -> Transform:
    axes, sizes = _axes(call, kind), call.argument("n", call.argument("s"))
    if sizes is None:
        sizes = [int(call.args[0].shape[axis]) for axis in axes]
        if kind.real == "output":
            sizes[-1] = int(call.value.shape[axes[-1]])
    else:
        sizes = [sizes] if isinstance(sizes, int) else list(sizes)
        rank = len(call.args[0].shape)
        axes = axes if len(axes) == len(sizes) else list(range(rank - len(sizes), rank))
    if kind.real == "input":  # the halved axis is the last one, and comes first
        axes, sizes = axes[::-1], sizes[::-1]
    scale = _scale(str(call.argument("norm") or "backward"), kind.forward)
    return Transform(axes, sizes, scale, kind.forward, axes[-1] if kind.real == "output" else None)


def _axes(call: Call, kind: Kind) -> list[int]:
    rank, axes = len(call.args[0].shape), call.argument("dim")
    if axes is None:
        axes = {"one": [-1], "two": [-2, -1]}.get(kind.axes, range(rank))
    return [axis % rank for axis in ([axes] if isinstance(axes, int) else axes)]


def _scale(norm: str, forward: bool) -> Scale:
    if norm == "ortho":
        return "root"
    return "whole" if (norm == "forward") == forward else "none"


def _fitted(value: Any, axis: int, size: int) -> Any:
    """``value`` cut to a size along an axis, or filled up with zeros."""
    import torch

    length = int(value.shape[axis])
    if length > size:
        return value.narrow(axis, 0, size)
    if length < size:
        missing = [*value.shape[:axis], size - length, *value.shape[axis + 1 :]]
        return torch.cat([value, torch.zeros(missing, dtype=value.dtype)], axis)
    return value


def _along(re: Any, im: Any | None, axis: int, size: int, transform: Transform) -> tuple[Any, Any]:
    """The transform along one axis."""
    cos, sin = _matrices(size, size, -1.0 if transform.forward else 1.0, transform.scale)
    if im is None:
        return _times(re, cos, axis), _times(re, sin, axis)
    return (
        _times(re, cos, axis) - _times(im, sin, axis),
        _times(re, sin, axis) + _times(im, cos, axis),
    )


def _inverse_half(re: Any, im: Any, axis: int, size: int, scale: Scale) -> Any:
    """The inverse of a transform of real values, from the half of it that is there."""
    import torch

    from convlint import torch_adapter

    half = size // 2 + 1
    re, im = _fitted(re, axis, half), _fitted(im, axis, half)
    cos, sin = _matrices(half, size, 1.0, scale)
    with torch_adapter.real_tensors():
        twice = [1.0 if row == 0 or (size % 2 == 0 and row == half - 1) else 2.0 for row in range(half)]
        weight = torch.tensor(twice).reshape(half, 1)
        cos, sin = cos * weight, sin * weight
    return _times(re, cos, axis) - _times(im, sin, axis)


def _matrices(rows: int, size: int, sign: float, scale: Scale) -> tuple[Any, Any]:
    """Cosines and sines of a transform, (rows, size), as real tensors of the trace."""
    import torch

    from convlint import torch_adapter

    if size > LONGEST:
        raise NotApplicable(f"the transform is longer than {LONGEST}")
    factor = {"none": 1.0, "root": 1.0 / math.sqrt(size), "whole": 1.0 / size}[scale]
    with torch_adapter.real_tensors():
        turns = torch.outer(torch.arange(rows), torch.arange(size)) % size
        angle = turns.to(torch.float64) * (sign * 2 * math.pi / size)
        return (torch.cos(angle) * factor).float(), (torch.sin(angle) * factor).float()


def _times(value: Any, matrix: Any, axis: int) -> Any:
    """The product with a matrix along an axis."""
    import torch

    if not value.is_floating_point():  # integers and booleans may be transformed too
        value = value.to(matrix.dtype)
    if value.dim() == 1:  # PyTorch writes into the result of a vector times a matrix
        return torch.matmul(value.unsqueeze(0), matrix.to(value.dtype)).squeeze(0)
    if axis == value.dim() - 1:
        return torch.matmul(value, matrix.to(value.dtype))
    return torch.matmul(value.movedim(axis, -1), matrix.to(value.dtype)).movedim(-1, axis)
