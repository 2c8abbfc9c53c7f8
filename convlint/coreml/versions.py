"""Releases and deployment targets that can be compared, and the bounds that rules put on them.

Both the rule files (``applies``) and the ``where`` language use them. Standard library only, because
``convlint rule`` must start without anything else.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from convlint.coreml.targets import normalise_target, order
from convlint.errors import UsageError

_RELEASE = re.compile(
    r"(?P<numbers>\d{1,9}(?:\.\d{1,9}){0,5})"
    r"(?:[._-]?(?P<stage>alpha|a|beta|b|rc|c)[._-]?(?P<stage_number>\d{0,9}))?"
    r"(?P<post>[._-]?post[._-]?(?P<post_number>\d{0,9}))?"
    r"(?P<dev>[._-]?dev[._-]?(?P<dev_number>\d{0,12}))?"
    r"(?:\+[A-Za-z0-9._-]*)?",
    re.ASCII,
)
_DEV, _FINAL = -4, 0
_STAGES = {"a": -3, "alpha": -3, "b": -2, "beta": -2, "c": -1, "rc": -1}
_NOT_DEV = 10**12

_TERM = re.compile(r"\s*(?P<operator>==|!=|>=|<=|>|<)\s*(?P<bound>[^\s,<>=!]+)\s*")
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """A version such as 9.0, ordered as Python packages are: 9.1.dev1 before 9.1rc1 before 9.1."""

    key: tuple[tuple[int, ...], int, int, int, int]
    text: str = field(compare=False)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A deployment target, ordered by the operations that it has: iOS17 equals macOS14."""

    level: int
    name: str = field(compare=False)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds, such as ``>=8,<10``, all of which must hold."""

    source: str
    terms: tuple[tuple[str, Release | Target], ...]

    def hold(self, value: Release | Target) -> bool:
        """Whether ``value`` lies within every bound."""
        return all(_OPERATORS[name](value, bound) for name, bound in self.terms)

    def __str__(self) -> str:
        return self.source


@cache
def parse_release(text: str) -> Release:
    """The release that ``text`` names. A local part (``+cu130``) does not count."""
    match = _RELEASE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a version such as 9.0 or 9.1.dev1")
    numbers = [int(part) for part in match["numbers"].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    stage = _STAGES[match["stage"]] if match["stage"] else _FINAL
    if match["dev"] and not match["stage"] and not match["post"]:
        stage = _DEV
    post = int(match["post_number"] or 0) if match["post"] else -1
    dev = int(match["dev_number"] or 0) if match["dev"] else _NOT_DEV
    return Release((tuple(numbers), stage, int(match["stage_number"] or 0), post, dev), text.strip())


@cache
def parse_target(text: str) -> Target:
    """The deployment target of this name."""
    name = normalise_target(text)
    return Target(order(name), name)


@cache
def parse_bounds(text: str, of: Literal["version", "target"] = "version") -> Bounds:
    """The bounds that ``text`` names, over versions or over deployment targets."""
    terms: list[tuple[str, Release | Target]] = []
    for part in text.split(","):
        match = _TERM.fullmatch(part)
        if match is None:
            example = ">=iOS15" if of == "target" else ">=8,<10"
            raise UsageError(
                f"{text!r} is not a list of bounds such as {example} (operators: == != >= <= > <)"
            )
        bound = parse_target(match["bound"]) if of == "target" else parse_release(match["bound"])
        terms.append((match["operator"], bound))
    return Bounds(text, tuple(terms))
