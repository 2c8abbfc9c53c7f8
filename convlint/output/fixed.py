"""What ``convlint fix`` did, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convlint.model import SCHEMA_VERSION
from convlint.output.json import plain
from convlint.output.page import Page
from convlint.text import count, one_line, shown_path

if TYPE_CHECKING:
    from rich.console import Console

    from convlint.fix import Applied, Fixed
    from convlint.source_edit import Refusal

_DIM = "bright_black"
_SAFETY = {"safe": "", "unsafe": "  (may differ for some inputs)"}


def render_fixed(
    name: str, fixed: Fixed, diff: str, refusals: Sequence[Refusal], written: Sequence[str], console: Console
) -> None:
    """The changes, what is left, the source changes as a diff, and the verdict in the last line."""
    page = Page(console)
    page.put((name, "bold"), (f"  for {fixed.target}, export frontend", _DIM))
    page.gap()
    for change in fixed.applied:
        _change(page, change)
    for text in fixed.rolled_back:
        page.put(("taken back", "bold yellow"), f": {text}", hang=2)
    for note in fixed.notes:
        page.put(("note", "bold cyan"), f": {note}", hang=2)
    for failure in fixed.remaining:
        page.put(("left", "bold red"), f": {failure.op or failure.stage}: {one_line(failure.error)}", hang=2)
        if failure.site is not None:
            page.put(f"→ {shown_path(failure.site.path)}:{failure.site.line}", indent=2)
    if diff:
        page.gap()
        for line in diff.splitlines():
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            page.put((line, colour))
    if refusals:
        page.gap()
        page.put(("Lines left to you", "bold"))
        for refusal in refusals:
            page.put(
                f"{shown_path(refusal.site.path)}:{refusal.site.line}: {refusal.reason}", indent=2, hang=2
            )
    page.gap()
    if fixed.checked:
        error = "" if fixed.max_abs_error is None else f"; largest difference {fixed.max_abs_error:.3g}"
        page.put(("compared", "bold"), f"  {', '.join(fixed.checked)}{error}", hang=2)
    page.put(("time", "bold"), f"  {', '.join(f'{k} {v:.1f} s' for k, v in fixed.seconds.items())}", hang=2)
    for path in written:
        page.put(("written", "bold"), f"  {shown_path(path)}")
    page.gap()
    sign, colour, text = last_line(fixed, bool(diff), bool(written))
    page.put((f"{sign} {text}", colour))


def last_line(fixed: Fixed, has_diff: bool, written: bool) -> tuple[str, str, str]:
    """The verdict: sign, colour and words."""
    if fixed.converted_before and not fixed.applied:
        return "✓", "bold green", "Converts as it is: there is nothing to change."
    if fixed.converts == "yes":
        changes = count(sum(change.calls for change in fixed.applied), "change")
        text = f"Converts after {changes}: convlint.fix(model, inputs).program goes into coremltools.convert."
        if has_diff and not written:
            text += " --write makes the changes above in your source."
        return "✓", "bold green", text
    left = count(len(fixed.remaining), "refusal")
    return "✗", "bold red", f"Does not convert: {left} left, named above. `convlint check` shows their rules."


def _change(page: Page, change: Applied) -> None:
    times = f" ×{change.calls}" if change.calls > 1 else ""
    page.put(
        (change.op, "bold"), (times, _DIM), ": ", change.title, (_SAFETY.get(change.safety, ""), _DIM), hang=2
    )
    for site, before in ((change.site, ""), (change.caller, "called from ")):
        if site is not None and (before == "" or site != change.site):
            page.put(
                (f"→ {before}", _DIM), (f"{shown_path(site.path)}:{site.line}", "cyan"), indent=2, hang=2
            )
            if site.source.strip():
                page.put((f"{site.line} │ ", _DIM), site.source.strip(), indent=4, hang=4)


def fixed_to_dict(
    name: str, fixed: Fixed, diff: str, refusals: Sequence[Refusal], written: Sequence[str]
) -> dict[str, Any]:
    """Everything that the terminal shows, as plain JSON types."""
    return {
        "schema_version": SCHEMA_VERSION,
        "model": name,
        "target": fixed.target,
        "converts": fixed.converts,
        "converted_before": fixed.converted_before,
        "applied": plain(fixed.applied),
        "remaining": plain(fixed.remaining),
        "rolled_back": list(fixed.rolled_back),
        "max_abs_error": fixed.max_abs_error,
        "max_rel_error": fixed.max_rel_error,
        "checked": list(fixed.checked),
        "diff": diff,
        "left_to_you": plain(tuple(refusals)),
        "written": list(written),
        "notes": list(fixed.notes),
        "seconds": dict(fixed.seconds),
    }
