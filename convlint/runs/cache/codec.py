"""Writes a report as JSON and reads it back as an equal report.

The nouns form a graph in which a call or a site occurs in many places. Each is written once, into
a table; elsewhere its number stands for it. Reading builds the table from the first row to the
last, so a row refers only to rows before it.

A rule comes back without its conditions, examples and replacements (a finding has its own): no report
shows them, and the rule file still has them.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from importlib import import_module
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from convlint import model
from convlint.model import Report, Rule

_REFERENCE, _MAPPING, _COMPLEX = "@", "=", "j"
_PLAIN = frozenset((str, int, float, bool, type(None)))
_NOUNS: Mapping[str, type[Any]] = {
    name: noun for name, noun in vars(model).items() if isinstance(noun, type) and is_dataclass(noun)
}


_MEASURED = (
    "convlint.model.alternative",
    "convlint.model.applied",
    "convlint.model.compression",
    "convlint.model.first_launch",
    "convlint.model.fitted",
    "convlint.model.form",
    "convlint.model.parity",
    "convlint.model.placement",
    "convlint.model.repair",
)
"""Modules of nouns that not every report holds, imported for those that do."""


class Unreadable(ValueError):
    """The text is not a report of this release of convlint."""


def encode_report(report: Report) -> dict[str, Any]:
    """The report as JSON types; a ``TypeError`` where JSON cannot express a value."""
    writer = _Writer()
    root = writer.value(report)
    return {"nouns": writer.nouns, "rows": writer.rows, "report": root}


def decode_report(document: Any) -> Report:
    """The report that :func:`encode_report` wrote; raises :class:`Unreadable` for anything else."""
    try:
        nouns = [(_noun(name), names) for name, names in document["nouns"]]
        for noun, names in nouns:
            if [field.name for field in fields(noun)] != names:
                raise Unreadable(f"{noun.__name__} has other fields now")
        rows: list[Any] = []
        for number, *values in document["rows"]:
            noun, names = nouns[number]
            read = _read_all(values, rows)
            for name, value, holds in zip(names, read, _checks(noun), strict=True):
                if not holds(value):
                    raise Unreadable(f"{noun.__name__}.{name} is {type(value).__name__}")
            rows.append(noun(*read))
        report = _read(document["report"], rows)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from error
    if not isinstance(report, Report):
        raise Unreadable("there is no report in it")
    return report


class _Writer:
    def __init__(self) -> None:
        self.nouns: list[tuple[str, list[str]]] = []
        self.rows: list[list[Any]] = []
        self._numbers: dict[type, int] = {}
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []

    def value(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, tuple):
            return [self.value(item) for item in value]
        if isinstance(value, Mapping):
            return {_MAPPING: {str(name): self.value(item) for name, item in value.items()}}
        if type(value).__name__ in _NOUNS or type(value).__module__ in _MEASURED:
            return {_REFERENCE: self._row(value)}
        if isinstance(value, complex):
            return {_COMPLEX: [value.real, value.imag]}
        raise TypeError(f"a {type(value).__name__} in a report cannot be cached")

    def _row(self, noun: Any) -> int:
        known = self._seen.get(id(noun))
        if known is not None:
            return known
        kind = type(noun)
        names = [field.name for field in fields(kind)]
        if kind not in self._numbers:
            self._numbers[kind] = len(self.nouns)
            home = f"{kind.__module__}:" if kind.__module__ in _MEASURED else ""
            self.nouns.append((f"{home}{kind.__name__}", names))
        bare: dict[str, Any] = dict.fromkeys(("matches", "bad", "good", "replacements"), ())
        plain = replace(noun, **bare) if isinstance(noun, Rule) else noun
        row = [self._numbers[kind], *(self.value(getattr(plain, name)) for name in names)]
        self.rows.append(row)
        self._alive.append(noun)  # an id is good only while its object lives
        return self._seen.setdefault(id(noun), len(self.rows) - 1)


def _noun(name: str) -> type[Any]:
    home, colon, own = name.rpartition(":")
    if not colon:
        return _NOUNS[name]
    noun: type[Any] = vars(import_module(_MEASURED[_MEASURED.index(home)]))[own]
    return noun


Check = Callable[[Any], bool]


class _Names(dict[str, Any]):
    """The names of a module; a name imported for type checkers only stands for any type."""

    def __missing__(self, name: str) -> Any:
        return getattr(builtins, name, Any)


@cache
def _checks(noun: type[Any]) -> tuple[Check, ...]:
    """One test of the type for each field of a noun, because a file may hold anything."""
    hints = get_type_hints(noun, {}, _Names({**vars(import_module(noun.__module__)), **_NOUNS}))
    return tuple(_check_of(hints[field.name]) for field in fields(noun))


def _check_of(hint: Any) -> Check:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        checks = tuple(map(_check_of, args))
        return lambda value: any(check(value) for check in checks)
    if origin is Literal:
        allowed = frozenset(args)
        return lambda value: type(value) in _PLAIN and value in allowed
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        each = _check_of(args[0])
        return lambda value: isinstance(value, tuple) and all(map(each, value))
    if origin is tuple:
        parts = tuple(map(_check_of, args))
        return lambda value: (
            isinstance(value, tuple)
            and len(value) == len(parts)
            and all(part(item) for part, item in zip(parts, value, strict=True))
        )
    if isinstance(origin, type) and issubclass(origin, Mapping):
        of_values = _check_of(args[1])
        return lambda value: isinstance(value, Mapping) and all(map(of_values, value.values()))
    if hint is float:
        return lambda value: type(value) in (float, int)
    if hint in (str, int, bool):
        return lambda value: type(value) is hint
    if hint in (None, type(None)):
        return lambda value: value is None
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda value: isinstance(value, hint)
    return lambda value: True


def _read_all(values: Iterable[Any], rows: list[Any]) -> list[Any]:
    # Most of thousands of values are plain: asking for the type here saves a call for each.
    return [value if type(value) in _PLAIN else _read(value, rows) for value in values]


def _read(value: Any, rows: list[Any]) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list):
        return tuple(_read_all(value, rows))
    if _REFERENCE in value:
        return rows[value[_REFERENCE]]
    if _MAPPING in value:
        items = value[_MAPPING]
        return dict(zip(items, _read_all(items.values(), rows), strict=True))
    return complex(*value[_COMPLEX])
