"""Messages of rules: text with ``where`` expressions in braces, such as ``a kernel of {kernel_size[0]}``.

``str.format`` would walk into attributes of anything; the ``where`` language stays on the nouns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from convlint.rules.where.language import Predicate, PredicateError, parse, value

_PIECE = re.compile(r"\{\{|\}\}|\{(?P<expression>[^{}]*)\}|(?P<stray>[{}])")

UNKNOWN = "?"
"""Stands where an expression has no answer."""


@lru_cache(maxsize=4096)
def parse_template(text: str) -> tuple[str | Predicate, ...]:
    """The pieces of ``text``; a PredicateError has the column of what is wrong with it."""
    pieces: list[str | Predicate] = []
    end = 0
    for found in _PIECE.finditer(text):
        pieces.append(text[end : found.start()])
        end = found.end()
        if found["stray"]:
            raise PredicateError("a brace without its partner; write {{ or }} for a brace", found.start() + 1)
        if found["expression"] is None:
            pieces.append(found[0][0])
            continue
        try:
            pieces.append(parse(found["expression"], condition=False))
        except PredicateError as error:
            raise PredicateError(error.message, found.start() + 1 + error.offset) from None
    return (*pieces, text[end:])


def render(
    text: str, namespace: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None
) -> str:
    """``text`` with each expression's value; :data:`UNKNOWN` where there is none."""
    pieces = parse_template(text)
    return "".join(
        piece if isinstance(piece, str) else _shown(piece, namespace, functions or {}) for piece in pieces
    )


def _shown(
    piece: Predicate, namespace: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
) -> str:
    found = value(piece, namespace, functions)
    return UNKNOWN if found is None else found
