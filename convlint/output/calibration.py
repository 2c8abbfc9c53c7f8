"""The fit of a chip's numbers, for people: every measurement, what was fitted, and what that is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convlint.model.calibrated import Calibrated
from convlint.model.fitted import FITTED_WORDS
from convlint.output.page import Page, Plain
from convlint.output.plan_units import aligned
from convlint.text import count, shown_path, significant

if TYPE_CHECKING:
    from rich.console import Console

_DIM = "bright_black"


def render_calibrated(found: Calibrated, path: str, written: bool, console: Console | Plain) -> None:
    """Write one fit; ``path`` is where its numbers are, or would be."""
    page = Page(console)
    of = f"{count(len(found.times), 'measurement')} of {count(found.fitted.models, 'model')}"
    page.put((found.chip, "bold"), (f"  {of}", _DIM))
    page.gap()
    rows = [("from", "model", "units", "measured", "shipped numbers", "fitted to the other models")]
    for time in found.times:
        rows.append(
            (
                shown_path(time.file),
                time.model,
                time.compute_units,
                f"{significant(time.milliseconds, 3)} ms",
                _beside(time.shipped_ms, time.milliseconds),
                _beside(time.unseen_ms, time.milliseconds),
            )
        )
    head, *lines = aligned(rows)
    page.put((head, _DIM), indent=2, code=True)
    for line in lines:
        page.put(line, indent=2, code=True)
    page.gap()
    before = f"error on a model that was left out: {found.before:.0%} with the shipped numbers"
    page.put(f"{before}, {found.after:.0%} with those fitted to the others", hang=2)
    for name, factor in found.fitted.factors.items():
        page.put(f"{FITTED_WORDS[name]} takes {factor:.2f} times what is shipped", indent=2, hang=2)
    if found.fitted.factors:
        rest = [words for name, words in FITTED_WORDS.items() if name not in found.fitted.factors]
        page.put((f"as shipped: {', '.join(rest)}", _DIM), indent=2, hang=2)
        words = (
            f"plans for {found.chip} use them from now on, and say so: {path}"
            if written
            else (f"nothing is written (--dry-run); without it: {path}")
        )
        page.put((words, "bold green" if written else "bold"), hang=2)
    else:
        page.put(
            ("the shipped numbers stay: fitted ones are no better on models that they have not seen", "bold"),
            hang=2,
        )
    page.gap()


def _beside(planned: float, measured: float) -> str:
    return f"{significant(planned, 3)} ms ({planned / measured:.2f} x)"
