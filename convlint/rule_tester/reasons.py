"""Why an example did not pass, in the words of a proof."""

from __future__ import annotations

from convlint.model import Example, Finding
from convlint.rule_tester.example import Refusal, Run

MISSES = 4
"""So many reasons are shown of each kind; more would hide the others."""


def wrong_refusals(example: Example, run: Run) -> list[str]:
    """Marked lines that convert, and refusals at lines that no error names."""
    refused = {refusal.line for refusal in run.refusals}
    if not example.lines or (None in refused and len(refused) == 1):
        return []  # nothing says where it was refused
    errors = tuple(finding for finding in run.findings if finding.severity == "error")
    reported = {*example.lines, *run.lines(errors)}
    problems = [
        f"line {line} is marked, and it is not refused" for line in example.lines if line not in refused
    ]
    problems += [
        f"line {refusal.line} is refused too, and no rule says so: {refusal.text}"
        for refusal in run.refusals
        if refusal.line is not None and refusal.line not in reported and not refusal.follows
    ]
    return problems + (not_converted(run) if problems else [])


def not_converted(run: Run) -> list[str]:
    """That the example does not convert, with what was refused."""
    return [f"it does not convert: {_refusal(refusal)}" for refusal in run.refusals[:MISSES]] or [
        "it does not convert"
    ]


def _refusal(refusal: Refusal) -> str:
    where = f"line {refusal.line}: " if refusal.line is not None else ""
    return f"{where}{refusal.text}"


def place_of(run: Run, finding: Finding) -> str:
    """The line of the example that a finding is at, in words."""
    lines = run.lines((finding,))
    return f"line {lines[0]}" if lines else "the model"


def lines_text(lines: tuple[int, ...]) -> str:
    """Lines in words."""
    return f"line {', '.join(map(str, lines))}" if lines else "no line"
