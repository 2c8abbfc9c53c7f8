"""Ops on complex tensors, done on their real and imaginary parts."""

from __future__ import annotations

from typing import Any

from convlint.repair.forms import short_time
from convlint.repair.forms.counterparts import Call, Carrier, Counterparts
from convlint.repair.forms.fourier import NAMES, transformed
from convlint.rewrites.table import NotApplicable

COUNTERPARTS = Counterparts("for pairs")
"""For the name of an op, the function that does it on pairs."""

register = COUNTERPARTS.register


def split(value: Any) -> tuple[Any, Any]:
    """A complex tensor as its two parts."""
    return value.real.contiguous(), value.imag.contiguous()


def parts_of(value: Any) -> tuple[Any, Any]:
    """The real and the imaginary part of an argument, which may be a number or a real tensor."""
    import torch

    if isinstance(value, Carrier):
        return value.parts[0], value.parts[1]
    if isinstance(value, complex):
        return value.real, value.imag
    if isinstance(value, torch.Tensor):
        return value, torch.zeros_like(value)
    return value, 0.0


def pair(call: Call, re: Any, im: Any) -> Carrier:
    """The carrier of what ``call`` returns, in the dtype of its parts and in its shape."""
    import torch

    dtypes = {
        torch.complex32: torch.float16,
        torch.complex64: torch.float32,
        torch.complex128: torch.float64,
    }
    dtype = dtypes[call.value.dtype]
    shape = tuple(int(size) for size in call.value.shape)
    both = (part.to(dtype) for part in (re, im))
    return Carrier(tuple(part if tuple(part.shape) == shape else part.expand(shape) for part in both), shape)


@register("aten.view_as_complex.default")
def from_last_axis(call: Call) -> Any:
    return pair(call, call.args[0].select(-1, 0), call.args[0].select(-1, 1))


@register("aten.complex.default")
def from_parts(call: Call) -> Any:
    return pair(call, call.args[0], call.args[1])


@register("aten.polar.default")
def from_length_and_angle(call: Call) -> Any:
    import torch

    length, angle = call.args
    return pair(call, length * torch.cos(angle), length * torch.sin(angle))


@register("aten.view_as_real.default")
def to_last_axis(call: Call) -> Any:
    import torch

    return torch.stack(list(parts_of(call.args[0])), -1)


@register("aten.real.default")
def real(call: Call) -> Any:
    return parts_of(call.args[0])[0]


@register("aten.imag.default")
def imaginary(call: Call) -> Any:
    return parts_of(call.args[0])[1]


@register("aten.abs.default")
def length(call: Call) -> Any:
    import torch

    re, im = parts_of(call.args[0])
    return torch.sqrt(re * re + im * im)


@register("aten.angle.default")
def angle(call: Call) -> Any:
    import torch

    re, im = parts_of(call.args[0])
    return torch.atan2(im, re)


@register(
    "aten.conj.default",
    "aten._conj.default",
    "aten.conj_physical.default",
    "aten._conj_physical.default",
)
def conjugate(call: Call) -> Any:
    re, im = parts_of(call.args[0])
    return pair(call, re, -im)


@register("aten.exp.default")
def exponential(call: Call) -> Any:
    import torch

    re, im = parts_of(call.args[0])
    return pair(call, torch.exp(re) * torch.cos(im), torch.exp(re) * torch.sin(im))


@register(
    "aten.view.default", "aten._unsafe_view.default", "aten.reshape.default", "aten.unsqueeze.default",
    "aten.squeeze.", "aten.permute.default", "aten.transpose.int", "aten.expand.default", "aten.slice.Tensor",
    "aten.select.int", "aten.clone.default", "aten.alias.default", "aten.detach.default", "aten.contiguous.",
    "aten.cat.default", "aten.stack.default", "aten.index_select.default", "aten.index.Tensor",
    "aten.neg.default", "aten.roll.default", "aten.flip.default", "aten.sum.",
    "aten.mean.",
    "aten.repeat.default", "aten.split.", "aten.split_with_sizes.", "aten.unbind.int", "aten.narrow.default",
    "aten.lift_fresh_copy.default", "aten.movedim.", "aten.flatten.",
    "aten.unflatten.", "aten.t.default", "aten.resolve_conj.default", "aten.resolve_neg.default",
    "aten.fft_fftshift.default", "aten.fft_ifftshift.default",
)  # fmt: skip
def each_part(call: Call) -> Any:
    """The op itself on the real parts, and on the imaginary ones."""
    re, im = _on_parts(call, 0), _on_parts(call, 1)
    if isinstance(re, (list, tuple)):
        return [_carrier(one, two) for one, two in zip(re, im, strict=True)]
    return _carrier(re, im)


@register("aten.constant_pad_nd.default", "aten.pad.default")
def padded(call: Call) -> Any:
    """Each part padded; a number is put into the real ones, as it has no imaginary part."""
    import torch

    re, im = parts_of(call.args[0])
    pads, mode = call.argument("pad"), call.argument("mode", "constant")
    if mode != "constant":
        return pair(call, *(torch.nn.functional.pad(part, pads, mode) for part in (re, im)))
    values = parts_of(call.argument("value") or 0.0)
    both = zip((re, im), values, strict=True)
    return pair(call, *(torch.nn.functional.pad(part, pads, value=value) for part, value in both))


def _on_parts(call: Call, side: int) -> Any:
    from convlint.torch_adapter import pytree

    leaves, spec = pytree.tree_flatten(
        (call.args, call.without("dtype")), is_leaf=lambda leaf: isinstance(leaf, Carrier)
    )
    chosen = [leaf.parts[side] if isinstance(leaf, Carrier) else leaf for leaf in leaves]
    args, kwargs = pytree.tree_unflatten(chosen, spec)
    return call.target(*args, **kwargs)


def _carrier(re: Any, im: Any) -> Carrier:
    return Carrier((re, im), tuple(int(size) for size in re.shape))


@register("aten._to_copy.default", "aten.to.")
def cast(call: Call) -> Any:
    re, im = parts_of(call.args[0])
    return pair(call, re, im) if call.value.is_complex() else re.to(call.value.dtype)


@register("aten.where.self")
def where(call: Call) -> Any:
    import torch

    condition, one, two = call.args
    both = zip(parts_of(one), parts_of(two), strict=True)
    return pair(call, *(torch.where(condition, a, b) for a, b in both))


@register("aten.mul.")
def product(call: Call) -> Any:
    import torch

    return _product(call, torch.mul)


@register("aten.mm.", "aten.bmm.", "aten.matmul.")
def matrix_product(call: Call) -> Any:
    import torch

    return _product(call, torch.matmul)


def _product(call: Call, times: Any) -> Any:
    one, two = call.args[:2]
    (a, b), (c, d) = parts_of(one), parts_of(two)
    if _is_real_tensor(two):
        return pair(call, times(a, c), times(b, c))
    if _is_real_tensor(one):
        return pair(call, times(a, c), times(a, d))
    return pair(call, times(a, c) - times(b, d), times(a, d) + times(b, c))


def _is_real_tensor(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor)  # complex ones are carried


@register("aten.add.")
def total(call: Call) -> Any:
    return _total(call, 1)


@register("aten.sub.")
def difference(call: Call) -> Any:
    return _total(call, -1)


def _total(call: Call, sign: int) -> Any:
    (a, b), (c, d) = parts_of(call.args[0]), parts_of(call.args[1])
    alpha = sign * call.kwargs.get("alpha", call.args[2] if len(call.args) > 2 else 1)
    return pair(call, a + c * alpha, b + d * alpha)


@register("aten.div.")
def quotient(call: Call) -> Any:
    one, two = call.args[:2]
    if isinstance(two, (Carrier, complex)):
        return _quotient(call, one, two)
    a, b = parts_of(one)
    return pair(call, a / two, b / two)


@register("aten.reciprocal.")
def reciprocal(call: Call) -> Any:
    return _quotient(call, 1.0, call.args[0])


def _quotient(call: Call, one: Any, two: Any) -> Any:
    (a, b), (c, d) = parts_of(one), parts_of(two)
    square = c * c + d * d
    return pair(call, (a * c + b * d) / square, (b * c - a * d) / square)


@register(*(f"aten.{name}.default" for name in NAMES))
def fourier(call: Call) -> Any:
    """Products with the matrices of the transform."""
    re, im = parts_of(call.args[0])
    re, im = transformed(call, re, im if isinstance(call.args[0], Carrier) else None)
    return re if im is None else pair(call, re, im)


@register(*short_time.FORWARD)
def short_time_spectrum(call: Call) -> Any:
    """A convolution with the matrix of the transform, which moves by the hop."""
    if isinstance(call.args[0], Carrier):
        raise NotApplicable("its signal is complex")
    re, im = short_time.spectrum(call, call.args[0])
    if not call.value.is_complex():
        import torch

        return torch.stack([re, im], -1)
    return pair(call, re, im)


@register(*short_time.INVERSE)
def short_time_signal(call: Call) -> Any:
    """A transposed convolution with the matrix of the transform: frames are added up where they overlap."""
    return short_time.signal(call, *parts_of(call.args[0]))
