"""The functions by which results show themselves, by what they make: ``convlint/__init__`` names them.

A result is plain data and knows nothing of a page. It asks here for the function that shows it, which is
imported when somebody looks.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES: dict[str, str] = {}


def register(kind: str, home: str) -> None:
    """Let ``kind`` be made by the function at ``home``, such as ``convlint.output.notebook.card:card_of``."""
    _HOMES[kind] = home


def rendered(kind: str, *arguments: Any) -> Any:
    """What the function for ``kind`` makes of these arguments."""
    module, _, function = _HOMES[kind].partition(":")
    return getattr(import_module(module), function)(*arguments)
