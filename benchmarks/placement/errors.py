"""How far predictions are off: factors, ranks and ranges."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

LEAST_SPREAD = 1.48
"""Half of the narrowest range, as a factor: sources differ by a third on the same model and chip."""


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's: the correlation of ranks, ties sharing theirs."""

    def ranks(values: Sequence[float]) -> list[float]:
        order = sorted(values)
        return [order.index(value) + (order.count(value) - 1) / 2 for value in values]

    return statistics.correlation(ranks([a for a, _ in pairs]), ranks([b for _, b in pairs]))


def error_of(ratio: float) -> float:
    """How far off a prediction is, as a factor above 1 less 1: twice and half are both 100 %."""
    return math.exp(abs(math.log(ratio))) - 1


def low_high(ratios: Sequence[float]) -> tuple[float, float]:
    """Factors around a prediction that hold four of five published latencies.

    Never narrower than ``LEAST_SPREAD`` more or less.
    """
    turned = sorted(1 / ratio for ratio in ratios)
    low, high = turned[int(0.1 * len(turned))], turned[min(int(0.9 * len(turned)), len(turned) - 1)]
    return min(low, 1 / LEAST_SPREAD), max(high, LEAST_SPREAD)
