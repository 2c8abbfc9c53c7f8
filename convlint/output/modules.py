"""Module paths of repeated blocks, folded into one line."""

from __future__ import annotations

import re
from collections.abc import Iterable

_INDEX = re.compile(r"(?:(?<![^.])|(?<=_))\d+(?![^.])")


def fold_modules(paths: Iterable[str]) -> list[tuple[str, int]]:
    """Module paths with those that differ only in their indices as one, and the number of calls of each.

    ``layers.0.norm`` to ``layers.11.norm`` become ``layers.{0-11}.norm``, in the order of the first, and
    ``encoder_layer_0`` to ``encoder_layer_11`` become ``encoder_layer_{0-11}``.
    """
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(_INDEX.sub("#", path), []).append(path)
    return [(_fold(group), len(group)) for group in groups.values()]


def _fold(paths: list[str]) -> str:
    columns = list(zip(*(_INDEX.findall(path) for path in paths), strict=True))
    shown = iter([_indices({int(index) for index in column}) for column in columns])
    return _INDEX.sub(lambda _: next(shown), paths[0])


def _indices(indices: set[int]) -> str:
    """``{0-11}`` or ``{0-3,7}``; a single index stays as it is."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    if len(indices) == 1:
        return str(runs[0][0])
    return "{" + ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs) + "}"
