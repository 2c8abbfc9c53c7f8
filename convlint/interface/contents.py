"""The values in the tensor of an input: ``=100``, ``=10,6,3``, ``=0..31999`` or ``<32000`` after its dtype.

Lengths, positions, token ids and masks need values that the model can use, unlike zeros or noise.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


class WrongContents(ValueError):
    """Contents that cannot be parsed; the text says why, without a full stop."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Elements from ``low`` to ``high``, both included, or exactly those of ``listed``, in their order."""

    low: int | float = 0
    high: int | float = 0
    listed: tuple[int | float, ...] = ()

    def __str__(self) -> str:
        if self.listed:
            return "=" + ",".join(map(repr, self.listed))
        return f"={self.low!r}" if self.low == self.high else f"={self.low!r}..{self.high!r}"


def parse_contents(text: str, dtype: str, shape: tuple[int, ...]) -> Contents:
    """Read what follows the dtype: ``=VALUE``, ``=A,B,C``, ``=LOW..HIGH`` (both included) or ``<END``."""
    whole = dtype.startswith(("int", "uint", "bool"))
    sign, body = text[:1], text[1:].strip()
    if sign == "<":
        end = _number(body, whole)
        if not whole or end < 1:
            raise WrongContents(
                f"'<{body}' is for integers from 0 up to, but not including, a number above 0"
            )
        return Contents(0, end - 1)
    low, dots, high = body.partition("..")
    if dots:
        contents = Contents(_number(low, whole), _number(high, whole))
        if contents.low > contents.high:
            raise WrongContents(f"the range {body} is reversed; write {high.strip()}..{low.strip()}")
        return contents
    numbers = tuple(_number(part, whole) for part in body.split(","))
    if len(numbers) == 1:
        return Contents(numbers[0], numbers[0])
    if len(numbers) != math.prod(shape):
        raise WrongContents(f"it lists {len(numbers)} values for {math.prod(shape)} elements")
    return Contents(min(numbers), max(numbers), numbers)


def _number(text: str, whole: bool) -> int | float:
    text = text.strip()
    if text in ("True", "true", "False", "false"):
        return int(text.lower() == "true")
    if not re.fullmatch(_NUMBER, text) or len(text) > 40:
        raise WrongContents(
            f"{text[:40]!r} is not a value; write =100, =10,6,3, =0..31999 or <32000 after the dtype"
        )
    if whole and not re.fullmatch(r"[-+]?\d+", text):
        raise WrongContents(f"{text!r} is not an integer, and the dtype is one of integers")
    return int(text) if whole else float(text)
