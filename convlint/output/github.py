"""GitHub annotations: workflow commands that show each finding at its line in a pull request.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from convlint.model import Replacement
from convlint.model.reasons import reasons_line
from convlint.model.remarks import code_of, help_line
from convlint.model.run import Run
from convlint.model.verdict import verdict
from convlint.output.findings import MOST_LINES, best_helps
from convlint.output.places import Shown, shown_findings
from convlint.text import visible

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def render_github(run: Run) -> str:
    """One command for each finding, and one for each model that could not be judged."""
    lines = [_finding(shown) for shown in shown_findings(run)]
    for outcome in run.outcomes:
        if outcome.error is not None:
            lines.append(_command("error", f"{outcome.model}: {outcome.error}", title="convlint"))
        elif outcome.report is not None and outcome.report.exit_code:
            result = verdict(outcome.report)
            others = [each.sentence for each in outcome.report.alternatives]
            text = "\n".join([f"{result.headline} {result.next_step}", *others])
            title = f"{outcome.model}: {reasons_line(outcome.report)}"
            lines.append(_command("error", text, title=title))
    lines += [
        _command(
            "warning", f"{each.site}: this comment silences nothing: {each.site.source}", title="convlint"
        )
        for each in run.unused_ignores
    ]
    lines += [_command("error", f"stale in the baseline: {each}", title="convlint") for each in run.stale]
    return "".join(f"{line}\n" for line in lines)


def _finding(shown: Shown) -> str:
    finding = shown.finding
    modules = f" (in {', '.join(shown.modules)})" if shown.modules else ""
    where = f"at {shown.place}" if shown.path is None and shown.place else ""
    helps = [line for each in best_helps(finding.replacements) for line in _help(each)]
    why = f"why: convlint rule {finding.rule.code}"
    text = "\n".join(filter(None, [f"{finding.message}{modules}", where, *helps, why]))
    place = {"file": shown.path, "line": str(shown.line)} if shown.path is not None else {}
    return _command(
        _LEVELS[finding.severity],
        text,
        **place,
        title=f"{finding.rule.code} {finding.rule.name}: {shown.model}",
    )


def _help(replacement: Replacement) -> list[str]:
    """A replacement with its code under it, which GitHub shows as it is written."""
    code = code_of(replacement)
    lines = [f"help: {help_line(replacement)}"]
    if code is None:
        return lines
    lines += [code.heading] if code.heading else []
    sides = (("- ", code.before), ("+ ", code.after))
    edit = [f"  {sign}{line}" for sign, text in sides for line in text.strip("\n").splitlines()]
    return lines + edit if len(edit) <= MOST_LINES else lines[:1]


def _command(name: str, text: str, **properties: str) -> str:
    parameters = ",".join(f"{key}={_escape(value, ':,')}" for key, value in properties.items())
    return f"::{name} {parameters}::{_escape(text)}"


def _escape(text: str, more: str = "") -> str:
    text = visible(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    for letter in more:
        text = text.replace(letter, f"%{ord(letter):02X}")
    return text
