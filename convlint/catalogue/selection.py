"""Entries asked for: by a pattern of their names, by what was measured of them, in an order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import inf
from typing import Literal

from convlint.catalogue.entry import Entry
from convlint.errors import UsageError
from convlint.nearest import did_you_mean, nearest_names

CONVERTS = ("as-is", "fixed", "in-part", "no", "unbuilt")
"""The answers that an entry can give, from the best to none."""
Sort = Literal["name", "latency", "size", "gflops"]
SORTS: tuple[Sort, ...] = ("name", "latency", "size", "gflops")
_SHOWN = 8
"""How many names an error lists."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for. ``chip`` is the one whose latencies count, by the name that entries have for it."""

    pattern: str = ""
    task: str = ""
    source: str = ""
    converts: str = ""
    chip: str = ""
    max_ms: float | None = None
    sort: Sort = "name"


def select(entries: Sequence[Entry], query: Query) -> tuple[Entry, ...]:
    """The entries that answer the query, in its order; a UsageError for a word that no entry has."""
    _known("task", query.task, (entry.task for entry in entries))
    _known("source", query.source, (entry.source for entry in entries))
    chosen = [entry for entry in entries if _named(entry, query.pattern)] if query.pattern else [*entries]
    if not chosen and entries:
        raise UsageError(
            f"no entry of the catalogue is named {query.pattern!r}.{_near(query.pattern, entries)}"
        )
    chosen = [
        entry
        for entry in chosen
        if query.task in ("", entry.task)
        and query.source in ("", entry.source)
        and query.converts in ("", entry.converts)
        and _fast_enough(entry, query)
    ]
    return tuple(sorted(chosen, key=lambda entry: (*_ORDERS[query.sort](entry, query.chip), entry.name)))


def find(entries: Sequence[Entry], name: str) -> Entry:
    """The entry of this name, or of this name in the only source that has it; else a UsageError."""
    word = _folded(name)
    whole = [entry for entry in entries if _folded(entry.name) == word]
    found = whole or [entry for entry in entries if _folded(entry.name).partition("/")[2] == word]
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(entry.name for entry in found)
        raise UsageError(f"{name!r} is more than one entry of the catalogue: name {names}.")
    raise UsageError(f"no entry of the catalogue is named {name!r}.{_near(name, entries)}")


def chips_of(entries: Iterable[Entry]) -> tuple[str, ...]:
    """The chips that any entry has a forecast for, in the order of the entries."""
    return tuple(dict.fromkeys(place.chip for entry in entries for place in entry.places))


def _named(entry: Entry, pattern: str) -> bool:
    name, word = _folded(entry.name), _folded(pattern)
    return fnmatchcase(name, word) if set("*?[") & set(word) else word in name


def _folded(name: str) -> str:
    """A name without what people write in another way: ``timm:fastvit_t8`` is ``timm/fastvit_t8``."""
    return name.strip().casefold().replace(":", "/")


def _near(name: str, entries: Sequence[Entry]) -> str:
    """The names that may have been meant: mistyped as a whole, behind the source, or begun."""
    word = _folded(name)
    names = [entry.name for entry in entries]
    near = nearest_names(word, names)
    if not near:
        behind: dict[str, list[str]] = {}
        for each in names:
            behind.setdefault(each.partition("/")[2], []).append(each)
        near = tuple(each for part in nearest_names(word, behind) for each in behind[part])
    if not near:
        short = word.partition("/")[2] or word
        beginning = max(3, len(short) // 2)
        near = tuple(each for each in names if short[:beginning] in each.casefold())
    if not near:
        return " `convlint catalogue` lists them all."
    more = f" and {len(near) - _SHOWN} more" if len(near) > _SHOWN else ""
    return f" Near it: {', '.join(near[:_SHOWN])}{more}."


def _known(what: str, word: str, words: Iterable[str]) -> None:
    known = sorted({*words})
    if word and word not in known:
        hint = did_you_mean(word, known)
        raise UsageError(
            f"no entry of the catalogue has the {what} {word!r}.{hint} Known: {', '.join(known)}."
        )


def _fast_enough(entry: Entry, query: Query) -> bool:
    if query.max_ms is None:
        return True
    place = entry.on(query.chip)
    return place is not None and place.milliseconds <= query.max_ms


def _latency(entry: Entry, chip: str) -> tuple[float, ...]:
    place = entry.on(chip)
    return (inf if place is None else place.milliseconds,)


_ORDERS: Mapping[Sort, Callable[[Entry, str], tuple[float, ...]]] = {
    "name": lambda entry, chip: (),
    "latency": _latency,
    "size": lambda entry, chip: (entry.parameters or inf,),
    "gflops": lambda entry, chip: (inf if entry.gflops is None else entry.gflops,),
}
