"""Strict reading of a TOML table: notes every wrong key, type and word with its place.

A reader that stopped at the first mistake would make its user fix one a run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from convlint.nearest import did_you_mean

_TYPES = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "a table",
}
_MISSING = object()


class Problems:
    """The mistakes in one file, each as ``path: key: what is wrong, and what is allowed``."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.messages: list[str] = []

    def add(self, key: str, what: str) -> None:
        """Note one mistake."""
        self.messages.append(f"{self.path}: {key}: {what}" if key else f"{self.path}: {what}")


class Table:
    """A table of a TOML file under its key; ``allowed`` are the keys that it may have."""

    def __init__(
        self, data: Mapping[str, Any], key: str, allowed: Collection[str], problems: Problems
    ) -> None:
        self.data = data
        self.key = key
        self.problems = problems
        for name in data:
            if name not in allowed:
                self.problem(
                    name, f"unknown key.{did_you_mean(name, allowed)} Allowed: {', '.join(allowed)}."
                )

    def __contains__(self, name: str) -> bool:
        return name in self.data

    def path(self, name: str) -> str:
        """The full key of ``name``, for a message."""
        return f"{self.key}.{name}" if self.key else name

    def problem(self, name: str, what: str) -> None:
        """Note a mistake of the key ``name``."""
        self.problems.add(self.path(name) if name else self.key, what)

    def get(self, name: str, kind: type, default: Any = _MISSING) -> Any:
        """The value of ``name`` if it is of the type ``kind``; else None, with a mistake noted."""
        value = self.data.get(name, _MISSING)
        if value is _MISSING:
            if default is _MISSING:
                self.problem(name, f"missing; {_TYPES[kind]} is needed")
                return None
            return default
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            self.problem(name, f"{_TYPES[kind]} is needed, not {type_name(value)}")
            return None
        return value

    def text(self, name: str, default: Any = _MISSING) -> str:
        """A string that is not blank; "" where it is missing or wrong."""
        value = self.get(name, str, default)
        if isinstance(value, str) and not value.strip() and name in self.data:
            self.problem(name, "must not be empty")
        return value or ""

    def choice(self, name: str, allowed: Collection[str], default: Any = _MISSING) -> Any:
        """A string that is one of ``allowed``; None where it is not."""
        value = self.get(name, str, default)
        if value is None or value in allowed:
            return value
        self.problem(
            name, f"{value!r} is not known.{did_you_mean(value, allowed)} Allowed: {', '.join(allowed)}."
        )
        return None

    def texts(self, name: str, default: Any = _MISSING) -> tuple[str, ...]:
        """A list of strings that are not blank."""
        strings = []
        for index, item in enumerate(self.get(name, list, default) or (), 1):
            if type(item) is not str or not item.strip():
                self.problem(
                    f"{name}[{index}]", f"a string that is not empty is needed, not {type_name(item)}"
                )
            else:
                strings.append(item)
        return tuple(strings)

    def tables(self, name: str, allowed: Collection[str]) -> list[Table]:
        """The tables of an array ``[[name]]``."""
        tables = []
        for index, item in enumerate(self.get(name, list, ()) or (), 1):
            if type(item) is dict:
                tables.append(Table(item, f"{self.path(name)}[{index}]", allowed, self.problems))
            else:
                self.problem(f"{name}[{index}]", f"a table is needed, not {type_name(item)}")
        return tables

    def table(self, name: str, allowed: Collection[str]) -> Table:
        """The table ``name``, empty where it is missing or wrong."""
        return Table(self.get(name, dict, None) or {}, self.path(name), allowed, self.problems)


def type_name(value: object) -> str:
    """The type of a TOML value, in words."""
    return "an empty string" if value == "" else _TYPES.get(type(value), f"a {type(value).__name__}")
