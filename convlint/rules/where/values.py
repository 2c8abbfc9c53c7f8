"""What the ``where`` language does with values: equality, order, arithmetic, attributes, functions.

Every operation is bounded, and says why it has no answer by raising :class:`Undecided`: a size
that is symbolic, an argument that is None, a division by zero. :mod:`convlint.rules.where.language` turns
that into "does not hold, because ...".
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from convlint.coreml.dtypes import COREML_DTYPES
from convlint.coreml.versions import Release, Target
from convlint.model import TensorArg, TensorMeta

LARGEST = 2**64
"""No integer of the language grows beyond this magnitude."""

_LONGEST_TEXT = 10_000
_SHOWN_ITEMS = 8
_SHOWN_CHARS = 80


class Undecided(Exception):
    """A condition that has no answer for these values; the text says why."""


class Fuel:
    """What is left of the steps that one evaluation may take."""

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def burn(self, steps: int) -> None:
        """Take ``steps``, or give up."""
        self.left -= steps
        if self.left < 0:
            raise Undecided("it takes too many steps")


def describe(value: object) -> str:
    """``value`` as a message shows it: short, and a tensor by its name, origin, dtype and shape."""
    if isinstance(value, TensorArg):
        text = f"{value.name} ({value.origin} {value.meta})"
    elif isinstance(value, tuple):
        shown = [describe(item) for item in value[:_SHOWN_ITEMS]] + ["..."] * (len(value) > _SHOWN_ITEMS)
        text = f"({', '.join(shown)}{',' if len(value) == 1 else ''})"
    elif isinstance(value, str):
        text = repr(value[:_SHOWN_CHARS])
    else:
        text = str(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def _numel(shape: Sequence[int | str]) -> int:
    total = 1
    for size in shape:
        if isinstance(size, str):
            raise Undecided(f"the size {size} is symbolic")
        total *= size
    return total


def _meta(value: TensorArg | TensorMeta) -> TensorMeta:
    return value.meta if isinstance(value, TensorArg) else value


_OF_BOTH: dict[str, Callable[[Any], Any]] = {
    "rank": lambda value: len(_meta(value).shape),
    "shape": lambda value: _meta(value).shape,
    "dtype": lambda value: _meta(value).dtype,
    "numel": lambda value: _numel(_meta(value).shape),
}
_OF_ARGUMENT: dict[str, Callable[[TensorArg], Any]] = {
    "const": lambda value: value.const,
    "origin": lambda value: value.origin,
    "producer": lambda value: value.producer,
    "value": lambda value: value.value,
    "fill": lambda value: value.fill,
    "name": lambda value: value.name,
}
ATTRIBUTES: tuple[str, ...] = (*_OF_BOTH, *_OF_ARGUMENT)
"""Everything that may follow a dot."""


def attribute(value: object, name: str) -> Any:
    """``value.name``, for tensors only."""
    if isinstance(value, TensorArg) and name in _OF_ARGUMENT:
        return _OF_ARGUMENT[name](value)
    if isinstance(value, TensorArg | TensorMeta) and name in _OF_BOTH:
        return _OF_BOTH[name](value)
    raise Undecided(f"{describe(value)} has no {name}")


def element(value: object, index: object, fuel: Fuel) -> Any:
    """``value[index]``, of tuples only."""
    if not isinstance(value, tuple):
        raise Undecided(f"{describe(value)} is not a list")
    if isinstance(index, slice):
        fuel.burn(len(value))
        try:
            return value[index]
        except (TypeError, ValueError) as error:
            raise Undecided(str(error)) from None
    if not isinstance(index, int) or isinstance(index, bool):
        raise Undecided(f"{describe(index)} is not an index")
    if not -len(value) <= index < len(value):
        raise Undecided(f"{describe(value)} has no element {index}")
    return value[index]


def truth(value: object) -> bool:
    """A boolean as it is; nothing else has a truth value here."""
    if isinstance(value, bool):
        return value
    raise Undecided(f"{describe(value)} is neither true nor false")


def equal(one: object, other: object, fuel: Fuel) -> bool:
    """``one == other``. A number against a symbolic size has no answer."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        fuel.burn(len(one))
        return len(one) == len(other) and all(equal(a, b, fuel) for a, b in zip(one, other, strict=True))
    for text, number in ((one, other), (other, one)):
        if isinstance(text, str) and isinstance(number, int | float) and not isinstance(number, bool):
            raise Undecided(f"{describe(text)} is no number that is known here")
        if isinstance(text, str) and isinstance(number, Release | Target):
            raise Undecided(f"a text; write version({text!r}) or target({text!r})")
    return bool(one == other)


def contains(item: object, items: object, fuel: Fuel) -> bool:
    """``item in items``, for tuples and for a text within a text."""
    if isinstance(items, tuple):
        fuel.burn(len(items))
        return any(equal(item, other, fuel) for other in items)
    if isinstance(item, str) and isinstance(items, str):
        return item in items
    raise Undecided(f"{describe(item)} cannot be looked for in {describe(items)}")


def _number(value: object) -> int | float:
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        raise Undecided(f"{describe(value)} is no number that is known here")
    raise Undecided(f"{describe(value)} is not a number")


def _ordered(name: str, compare: Callable[[Any, Any], bool]) -> Callable[[object, object, Fuel], bool]:
    def run(one: object, other: object, fuel: Fuel) -> bool:
        for kind in (Release, Target):
            if isinstance(one, kind) and isinstance(other, kind):
                return compare(one, other)
            if isinstance(one, kind) or isinstance(other, kind):
                raise Undecided(f"{describe(one)} {name} {describe(other)} compares different things")
        return compare(_number(one), _number(other))

    return run


def _same(one: object, other: object, fuel: Fuel) -> bool:
    return one is other


COMPARISONS: dict[str, Callable[[object, object, Fuel], bool]] = {
    "Eq": equal,
    "NotEq": lambda one, other, fuel: not equal(one, other, fuel),
    "Lt": _ordered("<", operator.lt),
    "LtE": _ordered("<=", operator.le),
    "Gt": _ordered(">", operator.gt),
    "GtE": _ordered(">=", operator.ge),
    "In": contains,
    "NotIn": lambda one, other, fuel: not contains(one, other, fuel),
    "Is": _same,
    "IsNot": lambda one, other, fuel: one is not other,
}


def bounded(value: Any) -> int | float:
    """``value`` if it is a number within the limits of the language."""
    if isinstance(value, int) and -LARGEST <= value <= LARGEST:
        return value
    if isinstance(value, float):
        return value
    raise Undecided("the number grows too large")


def _power(base: float, exponent: float) -> Any:
    if abs(exponent) > 64:
        raise Undecided(f"the exponent {exponent} is too large")
    if isinstance(base, int) and exponent > 0 and base.bit_length() * exponent > 2 * LARGEST.bit_length():
        raise Undecided("the number grows too large")
    return base**exponent


def _arithmetic(compute: Callable[[Any, Any], Any]) -> Callable[[object, object], int | float]:
    def run(one: object, other: object) -> int | float:
        try:
            return bounded(compute(_number(one), _number(other)))
        except (ArithmeticError, ValueError) as error:
            raise Undecided(str(error)) from None

    return run


ARITHMETIC: dict[str, Callable[[object, object], int | float]] = {
    "Add": _arithmetic(operator.add),
    "Sub": _arithmetic(operator.sub),
    "Mult": _arithmetic(operator.mul),
    "Div": _arithmetic(operator.truediv),
    "FloorDiv": _arithmetic(operator.floordiv),
    "Mod": _arithmetic(operator.mod),
    "Pow": _arithmetic(_power),
}


def negative(value: object) -> int | float:
    """``-value``."""
    return bounded(-_number(value))


def items(value: object, fuel: Fuel) -> tuple[Any, ...]:
    """The elements that a function or a comprehension runs over."""
    if not isinstance(value, tuple):
        raise Undecided(f"{describe(value)} is not a list")
    fuel.burn(len(value))
    return value


def _dtype(value: object) -> str:
    if isinstance(value, TensorArg | TensorMeta):
        return _meta(value).dtype
    if isinstance(value, str):
        return value
    raise Undecided(f"{describe(value)} has no dtype")


def _coreml_dtype(value: object) -> str:
    """What coremltools makes of a tensor, of a Python number or of the name of a dtype."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "int32" if isinstance(value, int) else "fp32"
    if isinstance(value, TensorArg) and value.coreml:
        return value.coreml
    dtype = _dtype(value)
    if dtype not in COREML_DTYPES:
        raise Undecided(f"Core ML has no {dtype}")
    return COREML_DTYPES[dtype]


def _is_of(starts: tuple[str, ...], number: type, value: object) -> bool:
    """Whether a dtype begins so, or a Python number is of that type; true and false are no numbers."""
    if isinstance(value, int | float):
        return isinstance(value, number) and not isinstance(value, bool)
    return _dtype(value).startswith(starts)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Undecided(f"{describe(value)} is not a text")
    return value[:_LONGEST_TEXT]


def _is_const(value: object) -> bool:
    if isinstance(value, TensorMeta):
        raise Undecided("only an argument of the op can be constant")
    if isinstance(value, tuple):
        return all(_is_const(item) for item in value)
    return value.const if isinstance(value, TensorArg) else True


def _extreme(pick: Callable[[Any], Any]) -> Callable[..., int | float]:
    def run(fuel: Fuel, *values: object) -> int | float:
        numbers = [_number(value) for value in (items(values[0], fuel) if len(values) == 1 else values)]
        if not numbers:
            raise Undecided("there is nothing to choose from")
        return bounded(pick(numbers))

    return run


def _float32(value: object) -> float:
    """The number as a converter holds it, which keeps constants in single precision."""
    try:
        return float(struct.unpack("f", struct.pack("f", _number(value)))[0])
    except OverflowError as error:
        raise Undecided(str(error)) from None


def _sum(fuel: Fuel, values: object) -> int | float:
    total: int | float = 0
    for value in items(values, fuel):
        total = bounded(total + _number(value))
    return total


def _product(fuel: Fuel, values: object) -> int | float:
    total: int | float = 1
    for value in items(values, fuel):
        total = bounded(total * _number(value))
    return total


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "len": (1, 1, lambda fuel, x: len(items(x, fuel))),
    "any": (1, 1, lambda fuel, x: any(map(truth, items(x, fuel)))),
    "all": (1, 1, lambda fuel, x: all(map(truth, items(x, fuel)))),
    "sum": (1, 1, _sum),
    "product": (1, 1, _product),
    "min": (1, 8, _extreme(min)),
    "max": (1, 8, _extreme(max)),
    "abs": (1, 1, lambda fuel, x: bounded(abs(_number(x)))),
    "float32": (1, 1, lambda fuel, x: _float32(x)),
    "zip": (2, 4, lambda fuel, *xs: tuple(zip(*(items(x, fuel) for x in xs), strict=False))),
    "is_const": (1, 1, lambda fuel, x: _is_const(x)),
    "is_tensor": (1, 1, lambda fuel, x: isinstance(x, TensorArg | TensorMeta)),
    "is_number": (1, 1, lambda fuel, x: isinstance(x, int | float) and not isinstance(x, bool)),
    "is_finite": (1, 1, lambda fuel, x: math.isfinite(_number(x))),
    "is_none": (1, 1, lambda fuel, x: x is None),
    "is_float": (1, 1, lambda fuel, x: _is_of(("float", "bfloat"), float, x)),
    "is_int": (1, 1, lambda fuel, x: _is_of(("int", "uint"), int, x)),
    "is_complex": (
        1,
        1,
        lambda fuel, x: isinstance(x, complex) or _dtype(x).startswith(("complex", "bcomplex")),
    ),
    "coreml_dtype": (1, 1, lambda fuel, x: _coreml_dtype(x)),
    "startswith": (2, 2, lambda fuel, x, start: _text(x).startswith(_text(start))),
    "endswith": (2, 2, lambda fuel, x, end: _text(x).endswith(_text(end))),
    "matches": (2, 2, lambda fuel, x, pattern: fnmatchcase(_text(x), _text(pattern))),
}
"""The functions of the language: fewest and most arguments, and what to do, given the fuel first."""
