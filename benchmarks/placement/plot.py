"""The plot of published against predicted latencies."""

from __future__ import annotations

import math
from collections.abc import Sequence

from benchmarks.corpora.timed_models import Timed
from benchmarks.placement.fitting import Sample
from convlint.model.placement import Interval


def plot(checked: Sequence[tuple[Sample, float]], planned: Sequence[tuple[Timed, Interval]]) -> str:
    """Published against predicted on logarithmic axes, as SVG of words and circles.

    Open circles are the rows that nothing was fitted to.
    """
    size, edge = 420, 50
    circles = [(sample.row, predicted, "#2563eb") for sample, predicted in checked]
    circles += [(row, latency.mid, "none") for row, latency in planned]
    values = [value for row, predicted, _ in circles for value in (row.milliseconds, predicted)]
    low, high = math.log10(min(values)) - 0.1, math.log10(max(values)) + 0.1

    def at(value: float) -> float:
        return edge + (math.log10(value) - low) / (high - low) * (size - 2 * edge)

    ticks = [t for t in (0.1, 0.3, 1, 3, 10, 30, 100) if low < math.log10(t) < high]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" font-family="sans-serif" '
        'font-size="11" role="img">',
        "<title>Published latencies against those predicted without the family of the model</title>",
        f'<rect width="{size}" height="{size}" fill="white"/>',
        f'<path d="M{edge} {size - edge}L{size - edge} {edge}" stroke="#888"/>',
    ]
    for tick in ticks:
        x, y = at(tick), size - at(tick)
        parts.append(f'<path d="M{x:.1f} {edge}V{size - edge}M{edge} {y:.1f}H{size - edge}" stroke="#eee"/>')
        parts.append(f'<text x="{x:.1f}" y="{size - edge + 15}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{edge - 5}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for row, predicted, fill in circles:
        told = f"{row.name}, {row.chip}: {row.milliseconds:g} ms, predicted {predicted:.2g} ms"
        told = told.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        x, y = at(row.milliseconds), size - at(predicted)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" fill-opacity="0.6" stroke="#2563eb">'
            f"<title>{told}</title></circle>"
        )
    parts.append(f'<text x="{size / 2}" y="{size - 12}" text-anchor="middle">published, ms</text>')
    parts.append(
        f'<text x="14" y="{size / 2}" text-anchor="middle" transform="rotate(-90 14 {size / 2})">'
        "predicted, ms</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"
