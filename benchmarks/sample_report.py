"""The report in README.md and docs/report.svg: ``python -m benchmarks.sample_report`` writes both."""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- report: begin -->", "<!-- report: end -->"
SPEC = "examples/small/net.py:EdgeNet"
INPUT = "1x3x32x32"
LONGEST = 40
"""Lines of a report that is read before the reader scrolls on."""


def main() -> int:
    """Check a small model that coremltools 9.0 refuses, and write the report into README.md."""
    from rich.console import Console

    os.chdir(ROOT)  # the report names the file from here, as a reader's own command does
    from convlint.interface.inputs import parse_inputs
    from convlint.output.page import Plain
    from convlint.output.terminal import render
    from convlint.runs.session import Session
    from convlint.settings.jobs import Job

    job = Job(SPEC, SPEC, inputs=parse_inputs([INPUT]))
    report = Session(quiet=True).check(job).report
    assert report is not None
    buffer = io.StringIO()
    render(report, Plain(buffer), full=False)
    text = buffer.getvalue().strip("\n")
    command = f"$ convlint check {SPEC} --input {INPUT}"
    assert text.count("\n") < LONGEST, "too long for a README"
    picture = "![The same report in a terminal](docs/report.svg)"
    block = f"{BEGIN}\n```text\n{command}\n{text}\n```\n\n{picture}\n{END}"
    page = ROOT / "README.md"
    old = page.read_text(encoding="utf-8")
    page.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: block, old, flags=re.DOTALL), encoding="utf-8")
    console = Console(record=True, width=110, file=io.StringIO(), force_terminal=True, highlight=False)
    render(report, console, full=False)
    drawing = console.export_svg(title="convlint check")
    (ROOT / "docs" / "report.svg").write_text(drawing, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
