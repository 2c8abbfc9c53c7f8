"""The file of the catalogue: every entry as JSON, compressed, one file in the package.

It is read as it was measured; nothing is fetched. What is damaged or of another version is said, and keeps
from using the catalogue alone.
"""

from __future__ import annotations

import json
import lzma
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from convlint.catalogue.entry import Door, Entry, Equal, Features, Left, Place, Repairs
from convlint.errors import ConvlintError
from convlint.model.plain import plain

DATA = Path(__file__).parent / "data" / "entries.json.xz"
VERSION = 1
"""Version of the file: grows when a field changes its meaning or goes, not for new fields with a default."""
_WITHOUT = "Everything else works without it; installing convlint anew brings the catalogue back."


class CatalogueError(ConvlintError):
    """The catalogue cannot be read (exit code 3)."""

    exit_code = 3


def read(path: Path | None = None) -> tuple[Entry, ...]:
    """Every entry, sorted by name. Raises :class:`CatalogueError` for a file that is no catalogue."""
    path = DATA if path is None else path
    try:
        stat = os.stat(path)
    except OSError as error:
        raise CatalogueError(
            f"the catalogue {path} cannot be read ({error.strerror or error}). {_WITHOUT}"
        ) from None
    return _read(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> tuple[Entry, ...]:
    try:
        document = json.loads(lzma.decompress(path.read_bytes()))
    except OSError as error:
        raise CatalogueError(
            f"the catalogue {path} cannot be read ({error.strerror or error}). {_WITHOUT}"
        ) from None
    except (lzma.LZMAError, ValueError, RecursionError) as error:
        raise CatalogueError(f"the catalogue {path} is damaged ({error}). {_WITHOUT}") from None
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version != VERSION:
        raise CatalogueError(
            f"the catalogue {path} is of version {version}, and this convlint reads version {VERSION}."
            f" {_WITHOUT}"
        )
    try:
        entries = tuple(entry_of(each) for each in document["entries"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CatalogueError(
            f"the catalogue {path} is damaged ({type(error).__name__}: {error}). {_WITHOUT}"
        ) from None
    return tuple(sorted(entries, key=lambda entry: entry.name))


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write the entries, sorted by name: the same entries always make the same bytes."""
    ordered = sorted(entries, key=lambda entry: entry.name)
    document = {"schema_version": VERSION, "entries": [as_dict(entry) for entry in ordered]}
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, sort_keys=True)
    data = lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def as_dict(entry: Entry) -> dict[str, Any]:
    """An entry as JSON types, under the names of its fields."""
    made: dict[str, Any] = plain(entry)
    return made


_Noun = TypeVar("_Noun")


def _of(kind: type[_Noun], row: Mapping[str, Any], **made: Any) -> _Noun:
    """A noun of its row; fields that a later release has added are passed over."""
    try:
        return kind(**{**row, **made})
    except TypeError:  # a field of which this release knows nothing, or one that is missing
        known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
        return kind(**{name: value for name, value in {**row, **made}.items() if name in known})


_NESTED: Mapping[str, Callable[[Any], Any]] = {
    "command": tuple,
    "inputs": tuple,
    "classes": tuple,
    "warnings": tuple,
    "features": lambda rows: tuple(_of(Features, row) for row in rows),
    "doors": lambda rows: tuple(_of(Door, row, refused=tuple(row["refused"])) for row in rows),
    "repairs": lambda row: row and _of(Repairs, row, left=tuple(_of(Left, each) for each in row["left"])),
    "equal": lambda row: row and _of(Equal, row),
    "places": lambda rows: tuple(_of(Place, row) for row in rows),
    "bytes_at": lambda rows: tuple((int(bits), int(size)) for bits, size in rows),
    "versions": lambda rows: tuple((str(name), str(version)) for name, version in rows),
}
"""What makes the value of a field of what JSON has in its place; other fields are as they are."""


def entry_of(row: Mapping[str, Any]) -> Entry:
    """The entry that :func:`as_dict` made ``row`` of. Raises what its constructors raise."""
    return _of(Entry, row, **{name: _NESTED[name](value) for name, value in row.items() if name in _NESTED})
