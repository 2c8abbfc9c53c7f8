"""Ops on complex tensors, done on their real and imaginary parts."""

from __future__ import annotations

import math
from typing import Any

from convlint.repair.forms.walk import Carrier
from convlint.rewrites.table import NotApplicable

_EACH_PART = (
    "aten.view.default", "aten._unsafe_view.default", "aten.reshape.default", "aten.unsqueeze.default",
    "aten.squeeze.", "aten.permute.default", "aten.transpose.int", "aten.expand.default", "aten.slice.Tensor",
    "aten.select.int", "aten.clone.default", "aten.alias.default", "aten.detach.default", "aten.contiguous.",
    "aten.cat.default", "aten.stack.default", "aten.index_select.default", "aten.index.Tensor",
    "aten.neg.default", "aten.roll.default", "aten.flip.default", "aten.sum.", "aten.mean.",
    "aten.repeat.default", "aten.split.",
    "aten.split_with_sizes.", "aten.unbind.int", "aten.narrow.default", "aten.constant_pad_nd.default",
    "aten.lift_fresh_copy.default", "aten.movedim.", "aten.flatten.", "aten.unflatten.", "aten.t.default",
    "aten.resolve_conj.default", "aten.resolve_neg.default", "aten.fft_fftshift.default",
    "aten.fft_ifftshift.default",
)  # fmt: skip

LONGEST = 4096
"""Length of a Fourier transform up to which its matrix is written out."""


def parts(value: Any) -> tuple[Any, ...]:
    """A complex tensor as its two parts."""
    return value.real.contiguous(), value.imag.contiguous()


def handle(op: str, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``node`` done on pairs: a tensor where the result is real, else what carries it."""
    import torch

    if op == "aten.view_as_complex.default":
        return _pair(node, args[0].select(-1, 0), args[0].select(-1, 1))
    if op == "aten.complex.default":
        return _pair(node, args[0], args[1])
    if op == "aten.polar.default":
        return _pair(node, args[0] * torch.cos(args[1]), args[0] * torch.sin(args[1]))
    if op in ("aten.view_as_real.default", "aten._view_as_real.default"):
        return torch.stack(list(_of(args[0])), -1)
    if op in ("aten.real.default", "aten.imag.default"):
        return _of(args[0])[op == "aten.imag.default"]
    if op in ("aten.abs.default", "aten.angle.default"):
        re, im = _of(args[0])
        return torch.sqrt(re * re + im * im) if op == "aten.abs.default" else torch.atan2(im, re)
    if op in (
        "aten.conj.default",
        "aten._conj.default",
        "aten.conj_physical.default",
        "aten._conj_physical.default",
    ):
        re, im = _of(args[0])
        return _pair(node, re, -im)
    if op == "aten.exp.default":
        re, im = _of(args[0])
        return _pair(node, torch.exp(re) * torch.cos(im), torch.exp(re) * torch.sin(im))
    if op.startswith(_EACH_PART):
        return _each(node, args, kwargs)
    if op == "aten._to_copy.default" or op.startswith("aten.to."):
        re, im = _of(args[0])
        return _pair(node, re, im) if node.meta["val"].is_complex() else re.to(node.meta["val"].dtype)
    if op == "aten.where.self":
        one, two = _of(args[1]), _of(args[2])
        return _pair(node, *(torch.where(args[0], a, b) for a, b in zip(one, two, strict=True)))
    made = _arithmetic(op, args, kwargs)
    if made is not None:
        return _pair(node, *made)
    if "fft" in op:
        return _transform(op, node, args, kwargs)
    raise NotApplicable(f"{op} has no counterpart for pairs")


def _of(value: Any) -> tuple[Any, Any]:
    import torch

    if hasattr(value, "parts"):
        return value.parts[0], value.parts[1]
    if isinstance(value, complex):
        return value.real, value.imag
    if isinstance(value, torch.Tensor):
        return value, torch.zeros_like(value)
    return value, 0.0


def _pair(node: Any, re: Any, im: Any) -> Any:
    value = node.meta["val"]
    kind = {"torch.complex64": "float32", "torch.complex128": "float64", "torch.complex32": "float16"}
    import torch

    dtype = getattr(torch, kind[str(value.dtype)])
    shape = tuple(int(size) for size in value.shape)
    both = [
        part.to(dtype).expand(shape) if tuple(part.shape) != shape else part.to(dtype) for part in (re, im)
    ]
    return Carrier(tuple(both), shape)


def _each(node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    from convlint.torch_adapter import pytree

    def side(number: int) -> Any:
        leaves, spec = pytree.tree_flatten((args, kwargs), is_leaf=lambda leaf: isinstance(leaf, Carrier))
        chosen = [leaf.parts[number] if isinstance(leaf, Carrier) else leaf for leaf in leaves]
        given, named = pytree.tree_unflatten(chosen, spec)
        named = {name: value for name, value in named.items() if name != "dtype"}
        return node.target(*given, **named)

    re, im = side(0), side(1)
    if isinstance(re, (list, tuple)):
        return [
            Carrier((one, two), tuple(int(size) for size in one.shape))
            for one, two in zip(re, im, strict=True)
        ]
    return Carrier((re, im), tuple(int(size) for size in re.shape))


def _arithmetic(op: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
    import torch

    name = op.split(".")[1]
    if name in ("mul", "mm", "bmm", "matmul"):
        (a, b), (c, d) = _of(args[0]), _of(args[1])
        times = torch.mul if name == "mul" else torch.matmul
        if not hasattr(args[1], "parts") and isinstance(args[1], torch.Tensor):
            return times(a, c), times(b, c)
        if not hasattr(args[0], "parts") and isinstance(args[0], torch.Tensor):
            return times(a, c), times(a, d)
        return times(a, c) - times(b, d), times(a, d) + times(b, c)
    if name in ("add", "sub"):
        (a, b), (c, d) = _of(args[0]), _of(args[1])
        alpha = kwargs.get("alpha", args[2] if len(args) > 2 else 1)
        sign = alpha if name == "add" else -alpha
        return a + c * sign, b + d * sign
    if name in ("div", "reciprocal"):
        (a, b), (c, d) = (_of(args[0]), _of(args[1])) if name == "div" else (_of(1.0), _of(args[0]))
        if name == "div" and not hasattr(args[1], "parts") and not isinstance(args[1], complex):
            return a / c, b / c
        size = c * c + d * d
        return (a * c + b * d) / size, (b * c - a * d) / size
    return None


def _transform(op: str, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A Fourier transform as products with its matrices, one for each axis."""
    name = op.split(".")[1]
    rank = len(args[0].shape)
    sizes, axes, norm, forward = _asked(name, node, args, kwargs, rank)
    re, im = _of(args[0])
    real_in = not hasattr(args[0], "parts")
    shape = [int(size) for size in node.meta["val"].shape]
    halved = axes[-1] if "irfft" in name or name == "_fft_c2r" else None
    for axis, size in zip(axes, sizes, strict=True):
        last = axis == halved
        if last:
            re, _ = _inverse_half(re, im, axis, size, norm)
            continue
        re, im = _fitted(re, axis, size), None if real_in else _fitted(im, axis, size)
        re, im = _one_axis(re, im, axis, size, size, norm, forward)
        real_in = False
        if shape[axis] != size:
            re, im = re.narrow(axis, 0, shape[axis]), im.narrow(axis, 0, shape[axis])
    if halved is not None:
        return re.to(node.meta["val"].dtype)
    return _pair(node, re, im)


def _asked(
    name: str, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], rank: int
) -> tuple[list[int], list[int], str, bool]:
    """Sizes, axes, normalisation and direction of a transform."""
    shape = [int(size) for size in args[0].shape]
    out = [int(size) for size in node.meta["val"].shape]
    named = {argument.name: index for index, argument in enumerate(node.target._schema.arguments)}

    def given(word: str, default: Any = None) -> Any:
        index = named.get(word)
        if index is not None and index < len(args):
            return args[index]
        return kwargs.get(word, default)

    if name in ("_fft_r2c", "_fft_c2c", "_fft_c2r"):
        modes = {0: "backward", 1: "ortho", 2: "forward"}
        axes = [axis % rank for axis in given("dim")]
        forward = name == "_fft_r2c" or (name == "_fft_c2c" and bool(given("forward")))
        norm = modes[int(given("normalization"))]
        if not forward:
            norm = {"backward": "forward", "forward": "backward"}.get(norm, norm)
        sizes = [shape[axis] for axis in axes]
        if name == "_fft_c2r":
            sizes[-1] = int(given("last_dim_size"))
        return sizes, axes, norm, forward
    forward = "ifft" not in name and "irfft" not in name
    axes_given = given("dim")
    if axes_given is None:
        axes_given = [-2, -1] if name.endswith("2") else list(range(rank)) if name.endswith("n") else [-1]
    axes = [axis % rank for axis in ([axes_given] if isinstance(axes_given, int) else axes_given)]
    sizes_given = given("n", given("s"))
    if sizes_given is None:
        sizes = [shape[axis] for axis in axes]
        if "irfft" in name:
            sizes[-1] = out[axes[-1]]
    else:
        sizes = [sizes_given] if isinstance(sizes_given, int) else list(sizes_given)
        axes = axes if len(axes) == len(sizes) else list(range(rank - len(sizes), rank))
    if name.startswith("fft_rfft"):  # the halved axis is the last one, and comes first
        axes, sizes = axes[::-1], sizes[::-1]
    return sizes, axes, str(given("norm") or "backward"), forward


def _fitted(value: Any, axis: int, size: int) -> Any:
    import torch

    have = int(value.shape[axis])
    if have > size:
        return value.narrow(axis, 0, size)
    if have < size:
        missing = [*value.shape[:axis], size - have, *value.shape[axis + 1 :]]
        return torch.cat([value, torch.zeros(missing, dtype=value.dtype)], axis)
    return value


def _scale(size: int, norm: str, forward: bool) -> float:
    if norm == "ortho":
        return 1.0 / math.sqrt(size)
    return 1.0 / size if (norm == "forward") == forward else 1.0


def _matrices(rows: int, columns: int, size: int, sign: float, scale: float) -> tuple[Any, Any]:
    """Cosines and sines of a transform, (rows, columns), as real tensors of the trace."""
    import torch

    from convlint import torch_adapter

    if size > LONGEST:
        raise NotApplicable(f"the transform is longer than {LONGEST}")
    with torch_adapter.real_tensors():
        turns = torch.outer(torch.arange(rows), torch.arange(columns)) % size
        angle = turns.to(torch.float64) * (sign * 2 * math.pi / size)
        return (torch.cos(angle) * scale).float(), (torch.sin(angle) * scale).float()


def _times(value: Any, matrix: Any, axis: int) -> Any:
    import torch

    last = value.movedim(axis, -1) if axis != value.dim() - 1 else value
    made = torch.matmul(last, matrix.to(value.dtype))
    return made.movedim(-1, axis) if axis != value.dim() - 1 else made


def _one_axis(
    re: Any, im: Any, axis: int, size: int, wanted: int, norm: str, forward: bool
) -> tuple[Any, Any]:
    cos, sin = _matrices(size, wanted, size, -1.0 if forward else 1.0, _scale(size, norm, forward))
    if im is None:
        return _times(re, cos, axis), _times(re, sin, axis)
    return (
        _times(re, cos, axis) - _times(im, sin, axis),
        _times(re, sin, axis) + _times(im, cos, axis),
    )


def _inverse_half(re: Any, im: Any, axis: int, size: int, norm: str) -> tuple[Any, None]:
    """The inverse of a transform of real values, from the half of it that is kept."""
    from convlint import torch_adapter

    half = size // 2 + 1
    re, im = _fitted(re, axis, half), _fitted(im, axis, half)
    cos, sin = _matrices(half, size, size, 1.0, _scale(size, norm, False))
    with torch_adapter.real_tensors():
        import torch

        twice = [1.0 if row == 0 or (size % 2 == 0 and row == half - 1) else 2.0 for row in range(half)]
        weight = torch.tensor(twice).reshape(half, 1)
        cos, sin = cos * weight, sin * weight
    return _times(re, cos, axis) - _times(im, sin, axis), None
