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

    from convlint.model import Site
    from convlint.repair.applied import Applied, LeftOut
    from convlint.repair.fixed import Fixed
    from convlint.source_edit import Refusal

SHOWN_CALLS = 8
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
    for change in fixed.proposed:
        page.put(("not done without --unsafe", "bold yellow"))
        _change(page, change)
    if fixed.left_out is not None:
        _left_out(page, fixed.left_out, done=fixed.converts == "yes")
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
    if fixed.converts == "yes" and fixed.left_out is not None:
        left = count(sum(call.calls for call in fixed.left_out.calls), "call")
        outputs = count(len(fixed.left_out.outputs), "tensor")
        text = f"Converts in part: the module gives {outputs} and leaves {left} to you, as named above."
        return "✓", "bold yellow", text
    if fixed.proposed:
        text = "Does not convert as a whole: --unsafe does what is proposed above."
        return "✗", "bold red", text
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


def _left_out(page: Page, left: LeftOut, *, done: bool) -> None:
    """What a split model gives, and what is left of it to whoever calls it, in the order of the run."""
    page.gap()
    page.put(("The model gives instead" if done else "The model would give instead", "bold"))
    for one in left.outputs:
        name = ", ".join(word for word in (one.name, one.variable) if word)
        page.put(
            (name or "a tensor", "bold"), f" {one.meta}", _place(one.site or one.caller), indent=2, hang=2
        )
    total = count(sum(call.calls for call in left.calls), "call")
    modules = f", with {', '.join(left.modules)}" if left.modules else ""
    page.put((f"Left to you: {total}{modules}", "bold"))
    for call in left.calls[:SHOWN_CALLS]:
        times = f" ×{call.calls}" if call.calls > 1 else ""
        page.put(call.op, (times, _DIM), _place(call.site or call.caller), indent=2, hang=2)
    if len(left.calls) > SHOWN_CALLS:
        page.put((f"and {len(left.calls) - SHOWN_CALLS} lines more, in --format json", _DIM), indent=2)


def _place(site: Site | None) -> tuple[str, str]:
    return (f"  {shown_path(site.path)}:{site.line}" if site is not None else "", "cyan")


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
        "proposed": plain(fixed.proposed),
        "left_out": plain(fixed.left_out),
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
