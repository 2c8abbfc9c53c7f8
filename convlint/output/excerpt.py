"""Excerpts: a few lines of source around the line of a finding."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.cells import is_cell, text_of_cell
from convlint.model import Site

AROUND = 2
_LARGEST = 4 << 20


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Lines with their numbers; ``line`` is the number of the finding's line."""

    line: int
    lines: tuple[tuple[int, str], ...]


def excerpt_of(site: Site) -> Excerpt | None:
    """The line of a site and those around it, or that line alone where the file has changed or is gone."""
    lines = _read(site.path)
    own = site.source.strip()
    there = lines[site.line - 1] if 0 < site.line <= len(lines) else None
    if there is None or (own and not there.strip().startswith(own.splitlines()[0].strip())):
        return Excerpt(site.line, ((site.line, own),)) if own else None
    first = max(site.line - AROUND, 1)
    shown = list(enumerate(lines[first - 1 : site.line + AROUND], first))
    while shown[0][0] < site.line and not shown[0][1].strip():
        del shown[0]
    while shown[-1][0] > site.line and not shown[-1][1].strip():
        del shown[-1]
    margin = min((len(text) - len(text.lstrip()) for _, text in shown if text.strip()), default=0)
    return Excerpt(site.line, tuple((number, text[margin:]) for number, text in shown))


def _read(path: str) -> tuple[str, ...]:
    if is_cell(path):
        return tuple(line.expandtabs(4).rstrip() for line in text_of_cell(path).splitlines())
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return tuple(line.expandtabs(4).rstrip() for line in file.read(_LARGEST).splitlines())
    except (OSError, ValueError):  # the file is gone, or the path is not a file name, such as <string>
        return ()
