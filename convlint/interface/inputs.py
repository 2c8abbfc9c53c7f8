"""Input specs: the shape and dtype of a tensor input of a model, as in ``name=1x3x224x224:float32``.

Sizes may be flexible (``1x3x[224..512]x224``, see :mod:`convlint.interface.sizes`), ``:image`` in place
of a dtype makes it a picture (see :mod:`convlint.interface.images`), and values may follow the dtype
(``lengths=1:int64=100``, ``ids=1x64:int64<32000``, see :mod:`convlint.interface.contents`).

A spec without a name is a positional argument of ``forward``, one with a name a keyword argument.
Parsing needs no torch; only :func:`make_tensors` and :func:`spec_of` touch tensors.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from convlint.errors import UsageError
from convlint.interface.contents import Contents, WrongContents, parse_contents
from convlint.interface.images import Image, WrongImage, parse_image, write_image
from convlint.interface.sizes import Range, Sizes, WrongSizes, parse_sizes, write_sizes
from convlint.nearest import did_you_mean

DEFAULT_DTYPE = "float32"

# fmt: off
DTYPES: tuple[str, ...] = (
    "float32", "float16", "bfloat16", "float64",
    "int64", "int32", "int16", "int8", "uint8", "bool",
    "uint16", "uint32", "uint64",
    "complex64", "complex128", "complex32", "bcomplex32",
    "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu",
    "float4_e2m1fn_x2",
    "int1", "int2", "int3", "int4", "int5", "int6", "int7",
    "uint1", "uint2", "uint3", "uint4", "uint5", "uint6", "uint7",
    "qint8", "quint8", "qint32", "quint4x2", "quint2x4",
    "bits1x8", "bits2x4", "bits4x2", "bits8", "bits16",
)
# fmt: on
"""Every dtype of torch under its own name; a test compares this with the installed torch."""

_ALIASES = {
    "float": "float32",
    "half": "float16",
    "double": "float64",
    "long": "int64",
    "int": "int32",
    "short": "int16",
    "chalf": "complex32",
    "cfloat": "complex64",
    "cdouble": "complex128",
    "bit": "uint1",
}

_EXAMPLE = "write for example 1x3x224x224, image=1x3x224x224:float32 or input_ids=1x64:int64"


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Shape and dtype of one input of a model. ``name`` is None for a positional argument.

    ``ranges`` and ``shapes`` are as in :class:`~convlint.interface.sizes.Sizes`; with ``image``, Core ML
    takes a picture here; ``contents`` are the declared values, None without any.
    """

    name: str | None
    shape: tuple[int, ...]
    dtype: str = DEFAULT_DTYPE
    ranges: tuple[Range | None, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    image: Image | None = None
    contents: Contents | None = None

    def __str__(self) -> str:
        sizes = write_sizes(Sizes(self.shape, self.ranges, self.shapes))
        kind = write_image(self.image) if self.image else f"{self.dtype}{self.contents or ''}"
        return f"{self.name}={sizes}:{kind}" if self.name else f"{sizes}:{kind}"

    @property
    def flexible(self) -> bool:
        return bool(self.shapes) or any(self.ranges)


class WrongInput(ValueError):
    """A wrong input spec; the text says why, without a full stop."""


def parse_input(text: str) -> InputSpec:
    """Parse one input spec; a :class:`UsageError` for a wrong one shows how to write it."""
    try:
        return _parse(text.strip())
    except WrongInput as error:
        # One example of how to write it is enough.
        example = "" if re.search(r"\bwrit(e|ten) ", str(error)) else f"; {_EXAMPLE}"
        raise UsageError(f"malformed input spec {text!r}: {error}{example}.") from None


def _parse(rest: str) -> InputSpec:
    name: str | None = None
    before, equals, after = rest.partition("=")
    if equals and "(" not in before and ":" not in before:
        if "=" in after.partition(":")[0].partition("(")[0]:
            raise WrongInput("it has more than one '='; give --input once for each tensor")
        name, rest = before.strip(), after.strip()
    shape, colon, kind = (part.strip() for part in rest.partition(":"))
    if re.search(r"\d\s*<", shape):
        raise WrongInput("values follow a dtype, as written in ids=1x64:int64<32000")
    if kind.partition("(")[0].strip() == "image":
        return make_input(name, shape, picture=lambda sizes: parse_image(kind, sizes))
    values = re.search("[=<].*", kind, re.DOTALL)
    dtype = kind[: values.start()].strip() if values else kind
    if colon and not dtype:
        raise WrongInput("no dtype follows the ':'")
    return make_input(name, shape, dtype or DEFAULT_DTYPE, values[0] if values else "")


def make_input(
    name: str | None,
    shape: str,
    dtype: str = DEFAULT_DTYPE,
    values: str = "",
    picture: Callable[[tuple[int, ...]], Image] | None = None,
) -> InputSpec:
    """A checked input, made from its parts: a shape as in ``1x3x[224..512]x224``, values as in ``=100``.

    ``picture`` makes the image for a shape. Raises :class:`WrongInput`.
    """
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise WrongInput(f"{name!r} cannot be the name of an argument of forward")
    sizes = _sizes(shape)
    try:
        image = picture(sizes.shape) if picture is not None else None
        if image is not None and (any(sizes.ranges[:2]) or len({each[:2] for each in sizes.shapes}) > 1):
            raise WrongImage("only height and width of a picture may vary")
        dtype = _dtype(dtype)
        contents = parse_contents(values, dtype, sizes.shape) if values else None
        if contents is not None and contents.listed and (any(sizes.ranges) or sizes.shapes):
            raise WrongContents("a list of values fits one shape, and its sizes vary")
    except (WrongImage, WrongContents) as error:
        raise WrongInput(str(error)) from None
    return InputSpec(name, sizes.shape, dtype, sizes.ranges, sizes.shapes, image, contents)


def parse_inputs(texts: Iterable[str]) -> tuple[InputSpec, ...]:
    """Parse several input specs; the same name twice is a mistake."""
    return distinct(parse_input(text) for text in texts)


def distinct(inputs: Iterable[InputSpec]) -> tuple[InputSpec, ...]:
    """The inputs as a tuple; a :class:`UsageError` where two have the same name."""
    specs = tuple(inputs)
    names = [spec.name for spec in specs if spec.name]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two inputs are named {name!r}; each argument of forward takes one tensor.")
    return specs


def _sizes(shape: str) -> Sizes:
    if shape in ("()", "scalar"):
        return Sizes(())
    if not shape:
        raise WrongInput("it has no shape (a tensor of rank 0 is spelled '()')")
    if re.fullmatch(r"[0-9]+( ?, ?[0-9]+)+|\([0-9]+(, ?[0-9]+)+\)|\[[0-9]+(, ?[0-9]+)+\]", shape):
        shape = "x".join(re.findall("[0-9]+", shape))  # as PyTorch prints a shape
    if re.fullmatch(r"[\[(]?[0-9]+([,;*X× ]+[0-9]+)+[\])]?", shape):
        raise WrongInput(f"sizes are joined by 'x': {'x'.join(re.findall('[0-9]+', shape))}")
    try:
        return parse_sizes(shape)
    except WrongSizes as error:
        raise WrongInput(str(error)) from None


def _dtype(dtype: str) -> str:
    name = dtype.removeprefix("torch.")
    name = _ALIASES.get(name, name)
    if name not in DTYPES:
        hint = did_you_mean(name, (*DTYPES, *_ALIASES)).strip()
        raise WrongInput(f"unknown dtype {dtype!r}" + (f" ({hint})" if hint else ""))
    return name


def random_factory(seed: int = 0) -> Callable[[InputSpec], Any]:
    """A function that makes plausible CPU tensors: normal floats, integer zeros, true booleans.

    Integers are zeros because they are mostly indices, and zero is a valid index of every table. All
    inputs share one generator, so that two inputs of the same shape differ. Declared contents override
    these defaults.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)

    def make(spec: InputSpec) -> Any:
        dtype = getattr(torch, spec.dtype)
        if spec.contents is not None:
            return filled(spec, generator)
        if dtype == torch.bool:
            return torch.ones(spec.shape, dtype=dtype)
        if dtype.is_floating_point and dtype.itemsize > 1:
            return torch.randn(spec.shape, generator=generator).to(dtype)
        if dtype.is_complex:
            return torch.randn(spec.shape, generator=generator, dtype=torch.complex64).to(dtype)
        if spec.dtype.startswith("q"):
            return torch.empty(spec.shape, dtype=dtype)
        return torch.zeros(spec.shape, dtype=dtype)

    return make


def filled(spec: InputSpec, generator: Any) -> Any:
    """A tensor with the declared contents of a spec."""
    import torch

    dtype, held = getattr(torch, spec.dtype), spec.contents
    assert held is not None
    if held.listed:
        return torch.tensor(held.listed).reshape(spec.shape).to(dtype)
    if held.low == held.high:
        return torch.full(spec.shape, held.low).to(dtype)
    if isinstance(held.low, int) and isinstance(held.high, int):
        return torch.randint(held.low, held.high + 1, spec.shape, generator=generator).to(dtype)
    drawn = torch.rand(spec.shape, generator=generator, dtype=torch.float64)
    return (drawn * (held.high - held.low) + held.low).to(dtype)


def zeros_by_default(specs: Iterable[InputSpec]) -> str:
    """A hint about integer inputs for the error of a model that ran with these; empty without any."""
    unsaid = [s for s in specs if s.contents is None and s.dtype.startswith(("int", "uint"))]
    if not unsaid:
        return ""
    first = unsaid[0]
    text = f"{first.name + '=' if first.name else ''}{write_sizes(Sizes(first.shape))}:{first.dtype}"
    return f" Integers are zeros by default: write --input '{text}=100', '{text}=1..100' or '{text}<32000'."


def given_inputs(
    example_inputs: Any, kwargs: Mapping[str, Any] | None
) -> tuple[tuple[Any, ...], dict[str, Any], tuple[InputSpec, ...]]:
    """Arguments and keyword arguments of ``forward`` from those of a Python function, and their specs.

    A mapping, as a tokenizer returns it, becomes keyword arguments; texts are specs as on the command line.
    """
    named = dict(kwargs or {})
    if isinstance(example_inputs, Mapping) and all(isinstance(key, str) for key in example_inputs):
        return (), {**example_inputs, **named}, ()
    listed = isinstance(example_inputs, (tuple, list)) and not hasattr(example_inputs, "_fields")
    args = tuple(example_inputs) if listed else (example_inputs,)
    if args and all(isinstance(arg, str) for arg in args):
        specs = parse_inputs(args)
        args, own = make_tensors(specs)
        return args, {**own, **named}, specs
    return args, named, ()


def make_tensors(
    specs: Iterable[InputSpec], factory: Callable[[InputSpec], Any] | None = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and keyword arguments for ``forward``.

    Named inputs are keyword arguments in any position, so ``mask=... 1x3x8x8`` calls
    ``forward(x, mask=...)``. ``factory`` makes one tensor, by default :func:`random_factory`.
    """
    make = factory or random_factory()
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for spec in specs:
        if spec.name is None:
            args.append(make(spec))
        else:
            kwargs[spec.name] = make(spec)
    return tuple(args), kwargs


def spec_of(tensor: Any, name: str | None = None) -> InputSpec:
    """The spec that describes an existing tensor."""
    return InputSpec(
        name, tuple(int(size) for size in tensor.shape), str(tensor.dtype).removeprefix("torch.")
    )
