"""Sizes of an input: fixed, a range ``[224..512]``, or a list of choices ``{224,256,320}``.

A range becomes ``ct.RangeDim``, choices become ``ct.EnumeratedShapes``; Core ML does not allow both in
one input. Choices of several axes go together: the first of each makes the first shape.
https://apple.github.io/coremltools/docs-guides/source/flexible-inputs.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LARGEST_SIZE = 2**31 - 1
MOST_SHAPES = 128
"""How many shapes Core ML takes for one input, according to the page above."""


class WrongSizes(ValueError):
    """A wrong shape; the text says why, without a full stop."""


@dataclass(frozen=True, slots=True)
class Range:
    """Every size from ``low`` to ``high``, both included."""

    low: int
    high: int

    def __str__(self) -> str:
        return f"[{self.low}..{self.high}]"


@dataclass(frozen=True, slots=True)
class Sizes:
    """A shape as declared.

    ``shape`` is that of the example, and the default of the converted model. ``ranges`` has an entry for
    each axis, None for a fixed one; it is empty where all are fixed. ``shapes`` has all shapes of an
    enumeration, the default first; it is empty without an enumeration.
    """

    shape: tuple[int, ...]
    ranges: tuple[Range | None, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()


def parse_sizes(text: str) -> Sizes:
    """Parse ``1x3x224x224``, ``1x3x[224..512]x224``, ``1x3x{224,256}x{224,256}`` or ``{1x8,1x16}``."""
    whole = re.fullmatch(r"\{(.*x.*)\}", text)
    if whole and "{" not in whole[1]:
        return _enumerated([_fixed(part) for part in whole[1].split(",")])
    ranges: list[Range | None] = []
    columns: list[tuple[int, ...]] = []
    for part in _parts(text):
        ranges.append(_range(part) if part[:1] == "[" else None)
        columns.append(_choices(part) if part[:1] == "{" else (_size(part, text),) if part[:1] != "[" else ())
    if not any(ranges) and all(len(column) == 1 for column in columns):
        return Sizes(tuple(column[0] for column in columns))
    counts = {len(column) for column in columns if len(column) > 1}
    if any(ranges):
        if counts:
            raise WrongSizes(
                "it has a range and a list of choices, and Core ML does not allow both in one input"
            )
        pairs = zip(ranges, columns, strict=True)
        return Sizes(tuple(_example(each) if each else column[0] for each, column in pairs), tuple(ranges))
    if len(counts) > 1:
        raise WrongSizes(
            f"its axes have {' and '.join(map(str, sorted(counts)))} choices, which are taken together, first"
            " with first; list whole shapes instead, as in {1x3x224x224,1x3x224x320}"
        )
    count = counts.pop()
    rows = zip(*(column * count if len(column) == 1 else column for column in columns), strict=True)
    return _enumerated(list(rows))


def write_sizes(sizes: Sizes) -> str:
    """The text that :func:`parse_sizes` parses as ``sizes``."""
    if sizes.shapes:
        return "{" + ",".join("x".join(map(str, shape)) for shape in sizes.shapes) + "}"
    ranges = sizes.ranges or (None,) * len(sizes.shape)
    pairs = zip(sizes.shape, ranges, strict=True)
    return "x".join(str(each or size) for size, each in pairs) or "()"


def _parts(text: str) -> list[str]:
    """The axes of a shape; an ``x`` between brackets joins nothing."""
    parts = re.findall(r"(?:\[[^\]]*\]|\{[^}]*\}|[^x\[\]{}])+|(?<=x)(?=x|$)|^(?=x)", text)
    return [part.strip() for part in parts]


def _enumerated(shapes: list[tuple[int, ...]]) -> Sizes:
    ranks = sorted({len(shape) for shape in shapes})
    if len(ranks) > 1:
        raise WrongSizes(
            f"its shapes have {' and '.join(map(str, ranks))} axes;"
            " all shapes of one input have the same number"
        )
    twice = next((shape for shape in shapes if shapes.count(shape) > 1), None)
    if twice is not None:
        raise WrongSizes(f"the shape {'x'.join(map(str, twice))} is in it twice")
    if len(shapes) < 2:
        raise WrongSizes("a list of choices has at least two; leave the braces out for one")
    if len(shapes) > MOST_SHAPES:
        raise WrongSizes(
            f"it has {len(shapes)} shapes, and Core ML takes {MOST_SHAPES} for one input at most"
        )
    # torch.export fixes a size of 1, so the example should have no varying axis of size 1.
    varying = [axis for axis, column in enumerate(zip(*shapes, strict=True)) if len(set(column)) > 1]
    fit = (shape for shape in shapes if all(shape[axis] > 1 for axis in varying))
    return Sizes(next(fit, shapes[0]), (), tuple(shapes))


def _fixed(text: str) -> tuple[int, ...]:
    return tuple(_size(part.strip(), text) for part in text.strip().split("x"))


def _range(text: str) -> Range:
    match = re.fullmatch(r"\[\s*(-?[0-9]+)\s*\.\.\s*(-?[0-9]*)\s*\]", text)
    if not match:
        raise WrongSizes(f"{text!r} is not a range; it is written [224..512], both ends included")
    if not match[2]:
        raise WrongSizes(f"{text!r} has no upper end, which an ML Program must have")
    low, high = _size(match[1], text), _size(match[2], text)
    if low > high:
        raise WrongSizes(f"the range {text} is reversed; write [{high}..{low}]")
    if low == high:
        raise WrongSizes(f"the range {text} holds one size only; write {low}")
    return Range(low, high)


def _choices(text: str) -> tuple[int, ...]:
    if not re.fullmatch(r"\{[^{}]*\}", text):
        raise WrongSizes(f"{text!r} is not a list of choices; it is written {{224,256,320}}")
    inside = text[1:-1].strip()
    if not inside:
        raise WrongSizes("a list of choices is empty; it is written {224,256,320}")
    sizes = tuple(_size(part.strip(), text) for part in inside.split(","))
    if len(sizes) < 2:
        raise WrongSizes(f"the list {text} has one choice only; write {sizes[0]}")
    return sizes


_DIGITS = 40
"""How many digits of a number are parsed; a number with this many is already too large."""


def _size(size: str, text: str) -> int:
    if re.fullmatch("-?[0-9]+", size):
        number = int(size[:_DIGITS])  # Python refuses to parse thousands of digits
        if 0 < number <= LARGEST_SIZE:
            return number
        above = "above 0, for Core ML takes no tensor without elements"
        limit = above if number <= 0 else f"at most {LARGEST_SIZE}"
        raise WrongSizes(f"size {size} must be {limit}")
    if not size:
        raise WrongSizes("a size is missing beside an 'x'" if "{" not in text else "a choice is missing")
    raise WrongSizes(f"{size!r} is not a size")


def _example(sizes: Range) -> int:
    """The lower end, which is the default of ``ct.RangeDim``, but at least 2: torch.export fixes 0 and 1."""
    return max(sizes.low, 2)
