"""The table of rewrites: for an ATen op, a function of the same arguments made of ops that convert.

A function takes exactly what the op's schema takes and is traced with the shapes of the user's model.
It raises :class:`NotApplicable` where it does not fit. The texts that users read stand in the rule
file whose ``[[replace]]`` names the function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from convlint.model import Safety

Function = TypeVar("Function", bound=Callable[..., Any])


class NotApplicable(Exception):
    """A rewrite does not fit these arguments; the text says why."""


class FixesSize(NotApplicable):
    """A rewrite needs the number of a size that is dynamic in the user's model."""

    def __init__(self) -> None:
        super().__init__("it would fix a size that is dynamic")


def need_numbers(*sizes: Any) -> None:
    """Raise :class:`FixesSize` where one of the sizes that a rewrite counts on has no number yet."""
    if not all(isinstance(size, int) for size in sizes):
        raise FixesSize


@dataclass(frozen=True, slots=True)
class Rewrite:
    """``function`` for each of ``ops`` (overloads). ``safety`` as in rule files."""

    name: str
    ops: tuple[str, ...]
    function: Callable[..., Any]
    safety: Safety = "safe"

    @property
    def title(self) -> str:
        """What the function does, in a line: the first of its docstring."""
        return (self.function.__doc__ or self.name).strip().splitlines()[0].rstrip(".")


_REWRITES: dict[str, list[Rewrite]] = {}
_CORRECTIONS: dict[str, list[Rewrite]] = {}


def rewrite(*ops: str, safety: Safety = "safe") -> Callable[[Function], Function]:
    """Register the function below as a rewrite of these overloads, after those registered before it."""

    def register(function: Function) -> Function:
        entry = Rewrite(function.__name__, ops, function, safety)
        for op in ops:
            _REWRITES.setdefault(op, []).append(entry)
        return function

    return register


def correction(*ops: str, safety: Safety = "safe") -> Callable[[Function], Function]:
    """Register the function below for calls of these overloads that convert, and to other numbers.

    A rule says of which calls that holds; the others are left as they are.
    """

    def register(function: Function) -> Function:
        entry = Rewrite(function.__name__, ops, function, safety)
        for op in ops:
            _CORRECTIONS.setdefault(op, []).append(entry)
        return function

    return register


def corrections_of(op: str) -> tuple[Rewrite, ...]:
    """The corrections of an overload, in the order to try them."""
    _load()
    return tuple(_CORRECTIONS.get(op, ()))


def rewrites_of(op: str) -> tuple[Rewrite, ...]:
    """The rewrites of an overload such as ``aten.hypot.default``, in the order to try them."""
    _load()
    return tuple(_REWRITES.get(op, ()))


def all_rewrites() -> tuple[Rewrite, ...]:
    """Every rewrite once, by name."""
    _load()
    return tuple({entry.name: entry for of_op in _REWRITES.values() for entry in of_op}.values())


@cache
def _load() -> None:
    from importlib import import_module

    from convlint.rewrites import KINDS

    for kind in KINDS:
        import_module(f"convlint.rewrites.{kind}")
