"""What ``convlint check`` writes to standard output and standard error while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from convlint.cli.requests import CheckRequest
from convlint.model.run import Outcome, Run
from convlint.output.formats import RENDERERS
from convlint.text import count, named, visible

if TYPE_CHECKING:
    from convlint.model import Report


class ReportStream:
    """Writes to standard output: each model when it is done for people, one document for programs.

    When it cannot be written to (a reader that went away, a full disk), the requested files are still
    written, and the error is raised afterwards.
    """

    def __init__(self, request: CheckRequest, out: TextIO) -> None:
        self._request = request
        self._out = out
        self._shown = 0
        self._broken: OSError | None = None

    def show(self, outcome: Outcome) -> None:
        """Show one finished model at once where people read, so that it stays whatever the next one does."""
        self._put(lambda: self._show(outcome))
        self.flush()

    def count(self, outcome: Outcome) -> None:
        """Count a model that an earlier process showed before another model ended that process."""
        self._shown += outcome.report is not None

    def flush(self) -> None:
        """Flush, so that the report so far appears before anything is written elsewhere."""
        self._put(self._out.flush)

    def end(self, run: Run) -> None:
        """Write what follows the last model."""
        self._put(lambda: self._end(run))
        self.flush()
        if self._broken is not None:
            raise self._broken

    @property
    def _counts(self) -> bool:
        """Whether findings are counted instead of shown."""
        return self._request.part == "statistics"

    def _put(self, write: Callable[[], object]) -> None:
        if self._broken is None:
            try:
                write()
            except OSError as error:
                self._broken = error

    def _show(self, outcome: Outcome) -> None:
        report = outcome.report
        if report is None or self._request.format not in ("terminal", "concise") or self._counts:
            return
        self._shown += 1
        if self._request.format == "concise":
            self._concise(report)
            return
        from convlint.output.terminal import console_of, render, render_compression

        if self._shown > 1:
            self._out.write("\n")
        if self._request.part == "compression" and report.compression is not None:
            render_compression(report, console_of(self._out))
            return
        render(report, console_of(self._out), quiet=self._request.quiet, full=self._request.full)

    def _concise(self, report: Report) -> None:
        from convlint.model.verdict import verdict
        from convlint.output.concise import render_concise

        self._out.write(render_concise(report))
        if not self._request.quiet:
            self._out.flush()
            result = verdict(report)
            print_to_stderr(f"{named(report.model)}: {result.headline} {result.next_step}")

    def _end(self, run: Run) -> None:
        request = self._request
        if self._counts:
            from convlint.output.statistics import statistics_json, statistics_text

            text = statistics_json if request.format == "json" else statistics_text
            self._out.write(text(run))
        elif request.format not in ("terminal", "concise"):
            self._out.write(RENDERERS[request.format](run))
        else:
            for ignore in run.unused_ignores:
                from convlint.output.concise import unused_line

                self._out.write(f"{unused_line(ignore)}\n")
            if request.format == "terminal" and len(run.outcomes) > 1 and not request.quiet:
                self._out.write(f"\n{tally_of_models(run)}\n")
        if run.stale:
            from convlint.checking.baseline import stale_text

            self._out.flush()
            print_to_stderr(f"convlint: error: {stale_text(run.stale)}")


def tally_of_models(run: Run) -> str:
    """``"3 models: 2 converts, 1 unknown"``."""
    from convlint.model.verdict import wrong_numbers

    verdicts = [
        "failed"
        if o.report is None
        else ("apart" if o.report.convertible == "yes" and wrong_numbers(o.report) else o.report.convertible)
        for o in run.outcomes
    ]
    words = {
        "yes": "converts",
        "apart": "converts to other numbers",
        "no": "does not convert",
        "unknown": "unknown",
        "failed": "not checked",
    }
    parts = [f"{verdicts.count(word)} {text}" for word, text in words.items() if word in verdicts]
    return f"{count(len(verdicts), 'model')}: {', '.join(parts)}"


def print_to_stderr(text: str) -> None:
    """Write a hint or an error for people, beside the report."""
    sys.stderr.write(f"{visible(text)}\n")
