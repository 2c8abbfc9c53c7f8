"""One line for each finding, for editors and ``grep``: ``path:line: CODE severity message [name]``."""

from __future__ import annotations

from collections.abc import Iterator

from convlint.model import Finding, IgnoreComment, Report, Site
from convlint.model.remarks import help_line
from convlint.model.run import Run
from convlint.model.verdict import unnamed_refusals, wrong_numbers
from convlint.output.places import sites_of_output
from convlint.text import one_line, shown_path


def render_concise(report: Report) -> str:
    """Every finding, then every refusal of the trial that no finding names, each on a line of its own.

    A model that could not be captured, and has no finding that says so, gets a line too: no output would
    look like a clean result.
    """
    return "".join(f"{line}\n" for line in _lines(report))


def render_run(run: Run) -> str:
    """All models of a run, and the comments that silence nothing in any of them."""
    parts = [render_concise(outcome.report) for outcome in run.outcomes if outcome.report is not None]
    parts += [
        f"<{outcome.model}>: error {one_line(str(outcome.error))}\n"
        for outcome in run.outcomes
        if outcome.error is not None
    ]
    parts += [f"{unused_line(ignore)}\n" for ignore in run.unused_ignores]
    return "".join(parts)


def unused_line(ignore: IgnoreComment) -> str:
    """One line about a comment, or words of it, that silence nothing."""
    place = f"{shown_path(ignore.site.path)}:{ignore.site.line}"
    if not ignore.words:
        return f"{place}: unused-ignore note the comment names no rule: write # convlint: ignore[CODE] reason"
    words = ", ".join(ignore.unused)
    return one_line(f"{place}: unused-ignore note ignore[{words}] silences nothing here: remove it")


def _lines(report: Report) -> Iterator[str]:
    for finding in report.findings:
        site = finding.site or finding.caller or next(sites_of_output(report, finding), None)
        yield f"{_place(report, site)}: {_text(finding)}"
    for failure in unnamed_refusals(report):
        if failure.follows:
            continue
        words = [failure.op or failure.stage, failure.error_type, failure.error]
        error = one_line(": ".join(filter(None, words)))
        yield f"{_place(report, failure.site or failure.caller)}: trial error {error}"
    if wrong := wrong_numbers(report):
        first = report.parity.first_divergence if report.parity is not None else None
        place = _place(report, (first.site or first.caller) if first is not None else None)
        how = report.parity.severity if report.parity is not None else "error"
        yield one_line(f"{place}: parity {how} the converted program {wrong}")
    if report.graph is None and not report.findings:
        for stopped in report.capture_failures:
            message = one_line(f"{stopped.method}: {stopped.error_type}: {stopped.message}")
            yield f"{_place(report, stopped.site)}: capture error {message}"


def _text(finding: Finding) -> str:
    message = one_line(finding.message)
    changed = [help_line(each) for each in finding.replacements if each.safety != "safe"]
    helps = " " + one_line(f"(help: {'; '.join(changed)})") if changed else ""
    return one_line(f"{finding.rule.code} {finding.severity} {message}{helps} [{finding.rule.name}]", 600)


def _place(report: Report, site: Site | None) -> str:
    return one_line(f"{shown_path(site.path)}:{site.line}" if site else f"<{report.model}>")
