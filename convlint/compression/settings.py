"""The settings of ``convlint compress --to``: their names, and the oldest system that reads their result.

Standard library only, so that a wrong one is refused before coremltools is imported. The targets are those
of https://apple.github.io/coremltools/docs-guides/source/opt-overview.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from convlint.coreml.targets import order
from convlint.errors import UsageError
from convlint.nearest import did_you_mean

Method = Literal["int8", "int4", "palettize", "prune", "w8a8"]
PALETTE_BITS = (1, 2, 3, 4, 6, 8)
"""The bits that an index into a palette may have in Core ML; 5 and 7 do not exist."""

_NEEDS: dict[Method, str] = {
    "int8": "iOS16",
    "int4": "iOS18",
    "palettize": "iOS16",
    "prune": "iOS16",
    "w8a8": "iOS17",
}
FORMS = "int8, int4, palettize:N (N bits, or A..B for a range), prune:S (a share from 0 to 1), w8a8"
_SETTING = re.compile(r"(?P<method>[a-z0-9]+)(?::(?P<low>[\d.]*?)(?:\.\.(?P<high>\d+))?)?")


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to compress. ``amount`` is the bits of a palette, or the share of weights that become zero."""

    method: Method
    amount: float = 0

    def __str__(self) -> str:
        return f"{self.method}:{self.amount:g}" if self.amount else self.method

    @property
    def needs(self) -> str:
        """The oldest target that can read the result."""
        return _NEEDS[self.method]


def parse_settings(texts: Iterable[str], target: str) -> tuple[Setting, ...]:
    """The settings in these texts, each once; a :class:`UsageError` for those the target cannot read."""
    listed = list(texts)
    words = [word.strip() for text in listed for word in text.split(",") if word.strip()]
    if listed and not words:
        raise UsageError(f"compress names no setting. Known: {FORMS}.")
    settings = tuple(dict.fromkeys(setting for word in words for setting in _parse(word)))
    late = [setting for setting in settings if order(setting.needs) > order(target)]
    if late:
        needs = max((setting.needs for setting in late), key=order)
        raise UsageError(
            f"{', '.join(map(str, late))} makes a model that only {needs} and later can read, and"
            f" the target is {target}: give --target {needs}, or leave it out."
        )
    return settings


def _parse(word: str) -> Iterator[Setting]:
    shape = _SETTING.fullmatch(word)
    method = shape["method"] if shape else word.partition(":")[0]
    if method not in _NEEDS:
        raise UsageError(f"compress has no setting {word!r}.{did_you_mean(method, _NEEDS)} Known: {FORMS}.")
    low, high = (shape["low"], shape["high"]) if shape else ("?", None)
    if method == "palettize":
        yield from (Setting("palettize", bits) for bits in _bits(word, low, high))
    elif method == "prune":
        yield Setting("prune", _share(word, low, high))
    elif low is not None:
        raise UsageError(f"compress {word}: {method} takes no number. Known: {FORMS}.")
    else:
        yield Setting(method)


def _bits(word: str, low: str | None, high: str | None) -> Sequence[int]:
    known = ", ".join(map(str, PALETTE_BITS))
    if not low or not low.isdigit():
        raise UsageError(f"compress {word}: give the bits, as in palettize:6; Core ML has {known}.")
    first, last = int(low[:4]), int((high or low)[:4])  # four digits are too large anyway
    if first > last:
        raise UsageError(f"compress {word}: the range is reversed; write palettize:{last}..{first}.")
    chosen = [bits for bits in PALETTE_BITS if first <= bits <= last]
    if not chosen or (high is None and first not in PALETTE_BITS) or last > PALETTE_BITS[-1] or first < 1:
        raise UsageError(f"compress {word}: Core ML has palettes of {known} bits.")
    return chosen


def _share(word: str, low: str | None, high: str | None) -> float:
    try:
        share = float(low or "")
    except ValueError:
        share = 0.0
    if high is not None or not 0 < share < 1:
        raise UsageError(f"compress {word}: give the share of weights to be zero, as in prune:0.5.")
    return share
