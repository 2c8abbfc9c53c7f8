"""The parts that cards are made of: the head with its sign, and folds."""

from __future__ import annotations

from collections.abc import Sequence

from convlint.output.html.markup import Child, Markup, tag
from convlint.text import count

MOST = 5
"""Errors, changes and blockers that are shown unfolded."""

_SIGNS = {"yes": "✓", "nearly": "✎", "no": "✕", "unknown": "?"}


def head(kind: str, headline: str, step: str, facts: Sequence[str]) -> Markup:
    """The verdict with its sign, the next step and some facts; ``kind`` is a key of the signs."""
    return tag(
        "header",
        tag("span", _SIGNS[kind], class_="sign", aria_hidden="true"),
        tag(
            "div",
            tag("strong", headline),
            tag("p", _words(step)) if step else None,
            tag("p", " · ".join(filter(None, facts)), class_="quiet"),
        ),
        class_=kind,
    )


def _words(text: str) -> list[Child]:
    """Text in which what stands between backquotes is code."""
    return [tag("code", part) if number % 2 else part for number, part in enumerate(text.split("`"))]


def fold(title: str, parts: Sequence[Child]) -> Markup | None:
    """Parts under a title that opens them; None where there are none."""
    return tag("details", tag("summary", title), list(parts)) if any(parts) else None


def unfolded(parts: Sequence[Child], more: str) -> list[Child]:
    """The first parts, and the others folded under how many of ``more`` they are."""
    rest = list(parts[MOST:])
    return [*parts[:MOST], fold(f"and {count(len(rest), more)}", rest)]
