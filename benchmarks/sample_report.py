"""The real report in the README, and its picture: ``python -m benchmarks.sample_report`` makes both anew."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- report: begin -->", "<!-- report: end -->"
SPEC = "torchvision.models:swin_t"


def main() -> int:
    """Check a model that coremltools 9.0 refuses, and put what convlint says of it into README.md."""
    from rich.console import Console

    from convlint.checking.options import Options
    from convlint.interface.inputs import parse_inputs
    from convlint.output.terminal import render, render_text
    from convlint.runs.session import Session
    from convlint.settings.jobs import Job

    job = Job(SPEC, SPEC, inputs=parse_inputs(["1x3x224x224"]), options=Options(frontend="export"))
    report = Session(quiet=True).check(job).report
    assert report is not None
    text = render_text(report).strip("\n")
    command = f"$ convlint check {SPEC} --input 1x3x224x224 --frontend export"
    picture = "![The same report in a terminal](docs/report.svg)"
    block = f"{BEGIN}\n```text\n{command}\n{text}\n```\n\n{picture}\n{END}"
    page = ROOT / "README.md"
    old = page.read_text(encoding="utf-8")
    page.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: block, old, flags=re.DOTALL), encoding="utf-8")
    console = Console(record=True, width=110, file=io.StringIO(), force_terminal=True, highlight=False)
    render(report, console)
    drawing = console.export_svg(title="convlint check")
    (ROOT / "docs" / "report.svg").write_text(drawing, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
