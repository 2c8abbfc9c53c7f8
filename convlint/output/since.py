"""A plan beside an earlier one, for people: which lines left the Neural Engine, and what that costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convlint.model.plain import plain
from convlint.model.since import Change, MovedLine, Since
from convlint.output.markdown import escape
from convlint.output.page import Page, Plain
from convlint.output.places import shown_place
from convlint.text import significant, visible

if TYPE_CHECKING:
    from rich.console import Console

_WORDS: dict[Change, str] = {
    "left": "left the Neural Engine",
    "came": "came onto the Neural Engine",
    "new": "new, and off the Neural Engine",
}
_COLOURS: dict[Change, str] = {"left": "bold red", "came": "bold green", "new": "bold red"}
_SHOWN = 12


def render_since(since: Since, console: Console | Plain) -> None:
    """Write the lines that moved, and the sentence, under a plan."""
    page = Page(console)
    page.gap()
    for line in since.lines[:_SHOWN]:
        place = shown_place(line.site)
        head = f" {line.rule} {line.op}".replace("  ", " ") + (f" ×{line.number}" if line.number > 1 else "")
        words = f", on the {line.unit}" if line.change != "came" else ""
        change = (_WORDS[line.change], _COLOURS[line.change])
        page.put(change, ":", (head, "bold"), f"{words}, {_cost(line)}", hang=2)
        if place and line.site is not None:
            link = page.link("cyan", line.site.path, line.site.line)
            page.put(("→ ", "bright_black"), (place, link), indent=2, hang=2)
            if line.site.source:
                page.put((f"{line.site.line} │ ", "bright_black"), line.site.source, indent=4, hang=4)
        if line.change != "came":
            page.put((line.reason, "bright_black"), indent=4, hang=2)
    if len(since.lines) > _SHOWN:
        page.put((f"and {len(since.lines) - _SHOWN} more: --format json", "bright_black"))
    if since.lines:
        page.gap()
    page.put((since.sentence, "bold red" if since.left else "bold green"))


def since_markdown(since: Since) -> str:
    """The same as Markdown, for a comment in a pull request."""
    lines = ["", escape(since.sentence)]
    if since.lines:
        lines += ["", "| since then | op | where | unit | time | why |", "|---|---|---|---|---|---|"]
        lines += map(_row, since.lines[:_SHOWN])
    if len(since.lines) > _SHOWN:
        lines += ["", f"and {len(since.lines) - _SHOWN} more"]
    return "\n".join(lines) + "\n"


def since_to_dict(since: Since) -> dict[str, Any]:
    """The comparison for programs."""
    return {**plain(since), "left": len(since.left), "sentence": since.sentence}


def _row(line: MovedLine) -> str:
    times = f" ×{line.number}" if line.number > 1 else ""
    why = escape(line.reason) if line.change != "came" else ""
    name = escape(f"{line.rule} {line.op}".strip())
    where = escape(visible(shown_place(line.site)))
    return f"| {_WORDS[line.change]} | {name}{times} | {where} | {line.unit} | {_cost(line)} | {why} |"


def _cost(line: MovedLine) -> str:
    return f"{'+' if line.ms >= 0 else '-'}{significant(abs(line.ms), 2)} ms"
