"""The nouns of a comparison of two plans of one model: which lines changed their unit, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from convlint.model.graph import Site
from convlint.model.placement import Interval, Unit
from convlint.text import count, significant

Change = Literal["left", "came", "new"]
"""``left`` and ``came``: ops that were on the Neural Engine, and that are now. ``new``: added ops off it."""


@dataclass(frozen=True, slots=True)
class MovedLine:
    """The ops of one kind at one line that moved, or are new.

    ``ms`` is what the forecast gives for having them on the Neural Engine, changes of unit included, where
    they are refused there; else the time of these ops now less that of then. ``reason`` says why they are
    on their ``unit``.
    """

    change: Change
    op: str
    number: int
    unit: Unit
    ms: float
    reason: str
    rule: str = ""
    site: Site | None = None
    module: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is compared of a plan as a whole."""

    latency_ms: Interval
    ane_share: float
    islands: int
    crossings: int


@dataclass(frozen=True, slots=True)
class Since:
    """A plan beside an earlier one. ``kinds`` counts added and removed ops by kind, where there are any."""

    source: str
    before: Forecast
    after: Forecast
    lines: tuple[MovedLine, ...]
    kinds: Mapping[str, int]

    @property
    def left(self) -> tuple[MovedLine, ...]:
        """The lines off the Neural Engine that were not so before."""
        return tuple(line for line in self.lines if line.change != "came")

    @property
    def sentence(self) -> str:
        """The comparison in one sentence."""
        before, after = self.before, self.after
        change = after.latency_ms.mid - before.latency_ms.mid
        more = f"{'+' if change >= 0 else '-'}{significant(abs(change), 2)}"
        what = count(len(self.left), "line") if self.left else "no line"
        times = f"{significant(before.latency_ms.mid, 3)} to {significant(after.latency_ms.mid, 3)} ms"
        return (
            f"{what} left the Neural Engine since {self.source}: {times} ({more}),"
            f" {before.ane_share:.0%} to {after.ane_share:.0%} of the time on it,"
            f" {before.crossings} to {count(after.crossings, 'crossing')}."
        )
