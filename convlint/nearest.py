"""The nearest known name to a mistyped one, for error messages that help."""

from __future__ import annotations

from collections.abc import Iterable


def edit_distance(one: str, other: str) -> int:
    """The number of typing mistakes between two words: a letter added, lost, changed or swapped."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, other_letter in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other_letter))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == other_letter:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1]


def nearest_names(word: str, names: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Up to ``count`` of ``names`` that ``word`` may have meant, all equally near.

    Case does not count. One letter in three may be wrong, and at least one.
    """
    folded = word.casefold()
    allowed = max(1, len(folded) // 3) if folded else -1
    scored = [
        (edit_distance(folded, name.casefold()), name)
        for name in dict.fromkeys(names)
        if abs(len(name) - len(folded)) <= allowed
    ]
    best = min((distance for distance, _ in scored), default=0)
    return tuple(name for distance, name in scored if distance == best <= allowed)[:count]


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """``" Did you mean a or b?"`` with a leading space; empty where no name is near."""
    near = nearest_names(word, names)
    return f" Did you mean {' or '.join(near)}?" if near else ""
