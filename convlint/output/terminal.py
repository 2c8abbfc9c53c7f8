"""The report for people: findings first, then the trials, and the verdict as the last line."""

from __future__ import annotations

import os
from collections import Counter
from io import StringIO
from math import isinf
from typing import TYPE_CHECKING, Literal, TextIO

from convlint.model import Report, Trial
from convlint.model.run import Run
from convlint.model.verdict import Kind, tally, trials_of, unnamed_refusals, verdict
from convlint.output.findings import (
    COLOURS,
    DIM,
    error_text,
    put_findings,
    put_short_findings,
    put_site,
    put_sites,
    times,
)
from convlint.output.page import Page, Plain, Span
from convlint.output.places import shown_place
from convlint.text import count, named, one_line, quantity, shown_path

if TYPE_CHECKING:
    from rich.console import Console

    from convlint.model.parity import Parity, SizeRun
    from convlint.model.placement import Blocker, Plan

_SIGNS: dict[Kind, tuple[str, str]] = {
    "converts": ("✓", "bold green"),
    "converts-differently": ("✗", "bold red"),
    "converts-after-fixes": ("✗", "bold yellow"),
    "does-not-convert": ("✗", "bold red"),
    "unknown": ("?", "bold yellow"),
}
MOST_BLOCKERS = 3
"""How many lines that leave the Neural Engine are shown."""
_SILENCED = {"comment": "a comment", "module": "per-module-ignores", "baseline": "the baseline"}


def console_of(out: TextIO) -> Console | Plain:
    """A rich console where colours can be shown or are forced, else the plain stream."""
    if not (out.isatty() or os.environ.get("FORCE_COLOR")):
        return Plain(out)
    from rich.console import Console

    # Without a system of colours there is no bold text either, and no link.
    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(file=out, highlight=False, color_system=colours)


def render(report: Report, console: Console | Plain, *, quiet: bool = False, full: bool = True) -> None:
    """Write the report to ``console``; ``quiet`` leaves out all but the findings.

    Without ``full`` the verdict comes first, errors have their best helps, a rule's warnings are one line and
    notes are counted.
    """
    page = Page(console)
    if not quiet:
        _head(page, report)
        if full:
            page.gap()
        else:
            _verdict(page, report)
    put_findings(page, report) if full else put_short_findings(page, report)
    if quiet:
        return
    _captures(page, report)
    _refusals(page, report)
    _disagreements(page, report)
    _divergence(page, report)
    _compression(page, report)
    _summary(page, report)
    _last_line(page, report)


def render_compression(report: Report, console: Console | Plain) -> None:
    """Write the sizes and errors alone, and whether the model converts."""
    page = Page(console)
    _head(page, report)
    _verdict(page, report)
    _compression(page, report)
    page.put(("findings, forecast and more: `convlint check`", DIM))


def render_text(report: Report) -> str:
    """The report as plain text, one line for each paragraph."""
    buffer = StringIO()
    render(report, Plain(buffer))
    return buffer.getvalue()


def render_run(run: Run) -> str:
    """Every report of a run as plain text, with errors in place of missing reports."""
    return "\n".join(
        render_text(outcome.report)
        if outcome.report is not None
        else f"{named(outcome.model)}  not checked\n\nerror: {one_line(str(outcome.error), 4000)}\n"
        for outcome in run.outcomes
    )


def _head(page: Page, report: Report) -> None:
    through = "either frontend" if report.frontend == "auto" else f"{report.frontend} frontend"
    page.put((named(report.model), "bold"), (f"  for {report.target}, {through}", DIM))
    if report.form is not None:
        page.put((report.form.sentence, DIM))


def _verdict(page: Page, report: Report) -> None:
    result = verdict(report)
    sign, colour = _SIGNS[result.kind]
    page.put((f"{sign} {result.headline}", colour), hang=2)
    page.gap()


def _captures(page: Page, report: Report) -> None:
    # An entry without an exception stopped nothing: sizes that the model does not accept are findings.
    failures = [failure for failure in report.capture_failures if failure.error_type]
    if not failures:
        return
    heading = "What stopped the capture" if report.graph is None else "Ways of capturing that failed"
    page.put((heading, "bold"))
    for failure in failures:
        error = ": ".join(filter(None, (failure.error_type, one_line(failure.message))))
        page.put((failure.method, "bold"), f": {error}", indent=2, hang=2)
        put_sites(page, failure.site, failure.caller)
    page.gap()


def _refusals(page: Page, report: Report) -> None:
    """Write the refusals that no finding has shown, and those that may only be consequences."""
    missed = [failure for failure in unnamed_refusals(report) if not failure.follows]
    follows = Counter(failure.op for failure in unnamed_refusals(report) if failure.follows)
    details = [(trial.frontend, trial.detail) for trial in trials_of(report) if trial.detail]
    if not (missed or follows or details):
        return
    page.put(("From the trial", "bold"))
    for frontend, detail in details:
        page.put((f"{frontend}: ", DIM), detail, indent=2, hang=2)
    for failure in missed:
        stage = "" if failure.stage == "frontend" or not failure.op else f" [{failure.stage}]"
        module = f" in {failure.module}" if failure.module and failure.site is None else ""
        name = failure.op or failure.stage
        page.put((name, "bold"), (stage + module, DIM), ": ", error_text(failure), indent=2, hang=2)
        put_sites(page, failure.site, failure.caller)
    if follows:
        ops = ", ".join(f"{op}{times(repeats)}" for op, repeats in follows.items())
        page.put((f"refused after another, perhaps only because of it: {ops}", DIM), indent=2, hang=2)
    page.gap()


def _disagreements(page: Page, report: Report) -> None:
    if not report.disagreements:
        return
    page.put(("The rules and coremltools disagree here", "bold yellow"))
    for each in report.disagreements:
        words = f": the rules say {each.static}, the trial says {each.trial}"
        detail = f"  ({each.detail})" if each.detail else ""
        page.put((each.op or "the whole model", "bold"), words, (detail, DIM), indent=2, hang=2)
        put_site(page, each.site)
    page.gap()


def _divergence(page: Page, report: Report) -> None:
    """Write where the converted program first differs from PyTorch."""
    if report.parity is None or report.parity.first_divergence is None:
        return
    first = report.parity.first_divergence
    what = "overflows" if report.parity.status == "overflows" else "computes something else"
    colour = COLOURS[report.parity.severity]
    page.put((f"The converted program {what}, first here", colour))
    module = f" in {first.module}" if first.module else ""
    operation = f"the MIL operation {first.mil_op}" if first.mil_op else "an operation"
    became = (f"{module}, converted to {operation} named {first.mil_name!r}", DIM)
    page.put((first.op, "bold"), became, indent=2, hang=2)
    if shown := first.example_text:
        page.put(shown, indent=4, hang=2)
    put_sites(page, first.site, first.caller)
    page.gap()


def _compression(page: Page, report: Report) -> None:
    """Write the table of precisions and compressions, where one was measured."""
    if report.compression is None:
        return
    from convlint.output.compression import compression_lines

    heading, *lines = compression_lines(report.compression)
    page.put((heading, "bold"))
    for line in lines:
        page.put(line.lstrip(), indent=2, hang=2) if ": " in line else page.put(line)
    page.gap()


def _size_run(run: SizeRun) -> str:
    if run.detail:
        return f"{run.status}: {one_line(run.detail)}"
    return f"{run.status}: largest error {run.errors.max_rel_error:.2g} of an output's largest value"


def _parity(parity: Parity) -> str:
    how = f"({parity.precision}, {count(parity.seeds, 'run')}) in {parity.seconds:.2f} s"
    if parity.status in ("refused", "unsupported"):
        why = "refused" if parity.status == "refused" else "not compared"
        return f"{why}: {one_line(parity.detail)}"
    if parity.status == "overflows":
        return (
            f"overflows: {count(parity.errors.nonfinite, 'value')} infinite or NaN that should not be {how}"
        )
    error = f"largest error {parity.max_rel_error:.2g} of an output's largest value"
    if parity.status == "differs":
        error += f", {parity.max_abs_error:.2g} absolute"
    ratio = "" if isinf(parity.snr_db) else f", signal to noise {parity.snr_db:.0f} dB"
    remark = f"; {one_line(parity.detail)}" if parity.detail else ""
    return f"{parity.status}: {error}{ratio} {how}{remark}"


def _summary(page: Page, report: Report) -> None:
    rows: list[tuple[str, str]] = []
    if report.graph is not None:
        calls = report.graph.tensor_calls
        kinds = len({call.op for call in calls})
        ops = f"{count(len(calls), 'op')} of {count(kinds, 'kind')}"
        rows.append(("seen", f"{ops}, {quantity(report.graph.parameter_count)} parameters"))
    rows.append(("found", tally(report)))
    if report.suppressed:
        silenced = Counter(_SILENCED[each.kind] for each in report.suppressed)
        how = ", ".join(f"{number} by {kind}" for kind, number in silenced.items())
        rows.append(("silent", f"{count(len(report.suppressed), 'finding')}: {how}"))
    rows += [("trial", _trial(trial)) for trial in trials_of(report)] or [("trial", "not run")]
    if report.parity is not None:
        rows.append(("parity", _parity(report.parity)))
        rows += [("", one_line(remark)) for remark in report.parity.remarks]
        rows += [("at", f"{run.sizes}: {_size_run(run)}") for run in report.parity.sizes]
        for run in report.parity.devices:
            error = f"{run.status}: largest error {run.errors.max_rel_error:.2g} of an output's largest value"
            rows.append((run.unit, one_line(run.detail) or error))
    if report.plan is not None:
        rows += _plan(report, report.plan)
    if report.seconds:
        rows.append(("time", _durations(report)))
    for number, each in enumerate(report.alternatives):
        rows.append(("" if number else "other", each.sentence))
    rows += [("note", note) for note in report.notes]
    for label, text in rows:
        page.put((f"{label:7}", DIM), text, hang=7)
    page.gap()


def _plan(report: Report, plan: Plan) -> list[tuple[str, str]]:
    """The forecast for the program that would ship, and the lines that leave the Neural Engine."""
    program = "" if report.repair is None else ", after the changes"
    rows = [("plan", f"{plan.chip}, {plan.os}{program}: {plan.sentence}")]
    leaving = _leaving(plan)
    rows += [("", text) for text in leaving[:MOST_BLOCKERS]]
    more = len(leaving) - MOST_BLOCKERS
    if more > 0:
        rows.append(("", f"and {count(more, 'more line')} that leave the Neural Engine: convlint plan"))
    return rows


def _leaving(plan: Plan) -> list[str]:
    """The ops of each line that leave the Neural Engine, with why, the most expensive line first."""
    lines: dict[tuple[str, str], list[Blocker]] = {}
    for blocker in plan.blockers:
        lines.setdefault(
            (blocker.op or blocker.kind, shown_place(blocker.site or blocker.caller)), []
        ).append(blocker)
    texts = []
    for (op, place), blockers in sorted(lines.items(), key=lambda each: -sum(b.win_ms.mid for b in each[1])):
        unit = plan.ops[blockers[0].ops[0]].unit
        number = sum(len(blocker.ops) for blocker in blockers)
        reasons = "; ".join(dict.fromkeys(blocker.reason for blocker in blockers))
        texts.append(f"{unit}: {op}{times(number)}{place and f' at {place}'}: {reasons}")
    return texts


def _trial(trial: Trial) -> str:
    refused = len({(failure.op, str(failure.site)) for failure in trial.failures if failure.op})
    status = {
        "converted": "converted",
        "failed": f"failed, {count(refused, 'op')} refused" if refused else "failed",
        "timeout": "timed out",
        "crashed": "crashed",
    }[trial.status]
    release = trial.coremltools and f"coremltools {trial.coremltools}"
    level = "" if trial.level == "passes" else f"level {trial.level}"
    how = ", ".join(filter(None, (release, f"{trial.frontend} frontend", level)))
    written = f", written to {shown_path(trial.output)}" if trial.output else ""
    return f"{status} ({how}) in {trial.seconds:.2f} s{written}"


def _durations(report: Report) -> str:
    parts = {name: s for name, s in report.seconds.items() if name != "total" and "." not in name}
    total = report.seconds.get("total", sum(parts.values()))
    detail = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
    return f"{total:.2f} s" + (f" ({detail})" if detail else "")


def _last_line(page: Page, report: Report) -> None:
    result = verdict(report)
    sign, colour = _SIGNS[result.kind]
    spans: list[Span] = [(f"{sign} {result.headline}", colour), f" {result.next_step}"]
    page.put(*spans, hang=2)
