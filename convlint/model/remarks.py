"""Remarks on a replacement that a reader needs before taking it, the same in every report for people.

Code of a rule that is not an edit of the user's own line is an example: it shows the form, and its proof
is not a proof for that line.
"""

from __future__ import annotations

from dataclasses import dataclass

from convlint.model.rule import Replacement

_SAFETY = {
    "safe": "",
    "unsafe": "may differ for some inputs",
    "retrain": "another function: only before training",
}
_KINDS = {
    "decomposition": "PyTorch decomposes it",
    "upgrade": "newer coremltools",
    "converter": "to be filled in",
}
EXAMPLE = "for example:"
"""The heading of code that is not the user's."""


@dataclass(frozen=True, slots=True)
class Code:
    """Both sides of a replacement; ``heading`` is empty where they are the user's own lines."""

    before: str
    after: str
    heading: str = ""


def is_example(replacement: Replacement) -> bool:
    """Whether its code is the rule's, and not the user's own line."""
    code = replacement.before.strip() or replacement.after.strip()
    return replacement.kind == "rewrite" and replacement.edit is None and bool(code)


def remark_of(replacement: Replacement) -> str:
    """Its kind, its safety and its tolerance; "" where there is nothing to remark."""
    remarks = [_KINDS.get(replacement.kind, ""), _SAFETY[replacement.safety]]
    if replacement.rtol is not None and not is_example(replacement):
        remarks.append(f"equal within {replacement.rtol:g}" if replacement.rtol else "equal bit for bit")
    return "; ".join(filter(None, remarks))


def help_line(replacement: Replacement) -> str:
    """Its title with the remark in brackets."""
    remark = remark_of(replacement)
    return f"{replacement.title} ({remark})" if remark else replacement.title


def code_of(replacement: Replacement) -> Code | None:
    """The code to show: the user's lines where the change can be made on them, else the rule's example."""
    if replacement.edit is not None:
        return Code(_dedent(replacement.edit.old), _dedent(replacement.edit.new))
    if not (replacement.before.strip() or replacement.after.strip()):
        return None
    heading = EXAMPLE if is_example(replacement) else ""
    return Code(replacement.before, replacement.after, heading)


def _dedent(text: str) -> str:
    """The text without the indentation of its first line, as far as the others have it."""
    lines = text.splitlines()
    first = lines[0] if lines else ""
    indent = first[: len(first) - len(first.lstrip())]
    return "\n".join(line.removeprefix(indent) for line in lines)
