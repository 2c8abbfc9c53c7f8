"""Where a program repeats itself: a loop of the source leaves the same lines again for every round."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

LONGEST_ROUND = 128
"""A loop with a longer body than this is not looked for, so that the search stays linear."""

LEAST_REPEATED = 12
"""A repetition of fewer ops than this is as quickly read as its fold."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Items ``start`` to ``stop`` of a sequence: ``times`` rounds of ``size`` items."""

    start: int
    stop: int
    size: int
    times: int = 1


def stretches(items: Sequence[Hashable]) -> Iterator[Stretch]:
    """The whole sequence in stretches, with every repetition that is worth folding."""
    following = _following(items)
    plain = at = 0
    while at < len(items):
        found = _repetition(items, following, at)
        if found is None:
            at += 1
            continue
        if plain < at:
            yield Stretch(plain, at, at - plain)
        yield found
        plain = at = found.stop
    if plain < len(items):
        yield Stretch(plain, len(items), len(items) - plain)


def _following(items: Sequence[Hashable]) -> list[int]:
    """Where each item stands again, the length of the sequence for those that do not."""
    last: dict[Hashable, int] = {}
    following = [len(items)] * len(items)
    for at in reversed(range(len(items))):
        following[at] = last.get(items[at], len(items))
        last[items[at]] = at
    return following


def _repetition(items: Sequence[Hashable], following: Sequence[int], start: int) -> Stretch | None:
    """The longest repetition that begins here; of equally long ones, that with the shortest round."""
    best: Stretch | None = None
    second = start
    while (second := following[second]) < len(items) and second - start <= LONGEST_ROUND:
        size = second - start
        stop = second
        while stop < len(items) and items[stop] == items[stop - size]:
            stop += 1
        times = (stop - start) // size
        length = times * size
        if times < 2 or length < LEAST_REPEATED:
            continue
        if best is None or length > best.stop - best.start + best.size:
            best = Stretch(start, start + length, size, times)
    return best
