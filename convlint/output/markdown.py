"""Markdown, for a comment in a pull request or the summary of a job."""

from __future__ import annotations

import re

from convlint.model import SEVERITIES, Replacement, Report
from convlint.model.remarks import code_of, help_line
from convlint.model.run import Outcome, Run
from convlint.model.verdict import Kind, tally, verdict
from convlint.output.compression import compression_rows, heading, remark
from convlint.output.findings import MOST_LINES
from convlint.output.places import Shown, places_of
from convlint.text import count, named, one_line, visible

MARK = "<!-- convlint -->"
"""The first line, by which a job finds its own comment, to edit that instead of adding another."""

_SIGNS: dict[Kind, str] = {
    "converts": "✅",
    "converts-differently": "❌",
    "converts-after-fixes": "❌",
    "does-not-convert": "❌",
    "unknown": "❓",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&@])")


def render_markdown(run: Run) -> str:
    """A table of the models, and under it the findings of each."""
    lines = [MARK, "## Core ML conversion", "", "| model | target | verdict | found |", "|---|---|---|---|"]
    lines += [_row(outcome) for outcome in run.outcomes]
    for outcome in run.outcomes:
        lines += _section(outcome, run.base)
    if run.stale:
        lines += ["", "### The baseline is stale", "", *(f"- {escape(each)}" for each in run.stale)]
    if run.unused_ignores:
        comments = [f"- {escape(f'{each.site}: {each.site.source}')}" for each in run.unused_ignores]
        lines += ["", "### Comments that silence nothing", "", *comments]
    return "\n".join(lines) + "\n"


def _row(outcome: Outcome) -> str:
    name = escape(outcome.model)
    report = outcome.report
    if report is None:
        return f"| {name} |  | {_SIGNS['unknown']} not checked | {escape(one_line(str(outcome.error)))} |"
    silenced = f", {len(report.suppressed)} silenced" if report.suppressed else ""
    result = verdict(report)
    return (
        f"| {name} | {report.target} | {_SIGNS[result.kind]} {escape(result.headline)}"
        f" | {tally(report)}{silenced} |"
    )


def _section(outcome: Outcome, base: str) -> list[str]:
    report = outcome.report
    if report is None:
        return []
    return [*_findings(outcome, report, base), *_compression(report)]


def _findings(outcome: Outcome, report: Report, base: str) -> list[str]:
    if not (report.findings or report.exit_code):
        return []
    lines = ["", "<details open>" if report.exit_code else "<details>"]
    lines += [f"<summary>{_html(outcome.model)}: {_html(tally(report))}</summary>", ""]
    shown = places_of(outcome, report.findings, base)
    for each in sorted(shown, key=lambda each: SEVERITIES.index(each.finding.severity)):
        lines += _finding(each)
    lines += [f"**{escape(verdict(report).next_step)}**", ""]
    lines += [f"- {escape(each.sentence)}" for each in report.alternatives]
    lines += (
        ["", _foot(report), "", "</details>"] if report.alternatives else [_foot(report), "", "</details>"]
    )
    return lines


def _compression(report: Report) -> list[str]:
    if report.compression is None:
        return []
    head, *rows = (f"| {' | '.join(map(escape, row))} |" for row in compression_rows(report.compression))
    lines = [
        "",
        f"### {escape(heading(report.compression))}",
        "",
        head,
        "|---|---|--:|--:|--:|--:|---|",
        *rows,
    ]
    said = remark(report.compression)
    return [*lines, "", escape(said)] if said else lines


def _finding(shown: Shown) -> list[str]:
    finding = shown.finding
    rule = f"{finding.rule.code} {escape(finding.rule.name)}"
    head = f"- **{finding.severity} {rule}**: {escape(finding.message)}"
    place = code(shown.place) if shown.place else ""
    modules = f"in {', '.join(map(code, shown.modules))}" if shown.modules else ""
    lines = [head]
    where = " ".join(filter(None, (place, modules)))
    lines += [f"  {where}"] if where else []
    for replacement in finding.replacements:
        lines += _help(replacement, finding.rule.code)
    return [*lines, ""]


def _help(replacement: Replacement, rule: str) -> list[str]:
    """A replacement with its own code under it."""
    code = code_of(replacement)
    head = f"  - help: {escape(help_line(replacement))}"
    if code is None:
        return [head]
    if len(code.before.splitlines()) + len(code.after.splitlines()) > MOST_LINES:
        return [f"{head}; `convlint rule {rule}` shows the code"]
    changes = replacement.kind not in ("upgrade", "decomposition")
    lines = [f"{head}, {code.heading}" if code.heading else head, ""]
    if changes:
        return [*lines, "    ```diff", *_diff("- ", code.before), *_diff("+ ", code.after), "    ```"]
    return [*lines, "    ```", *_diff("", code.after), "    ```"]


def _diff(sign: str, code: str) -> list[str]:
    return [f"    {sign}{visible(line).replace('```', '` ` `')}" for line in code.strip("\n").splitlines()]


def _foot(report: Report) -> str:
    ops = f"{count(len(report.graph.calls), 'op')}, " if report.graph is not None else ""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    return f"<sub>{ops}{_html(versions)}</sub>"


def code(text: str) -> str:
    """Foreign text as inline code, between more backticks than it has in a row itself."""
    text = named(text)
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    marks = "`" * (longest + 1)
    room = " " if longest else ""
    return f"{marks}{room}{text}{room}{marks}"


def escape(text: str) -> str:
    """Foreign text for a line of Markdown, with every special character escaped."""
    return _SPECIAL.sub(r"\\\1", visible(text).replace("\n", " "))


def _html(text: str) -> str:
    return visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
