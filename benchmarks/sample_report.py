"""The reports in README.md and docs/reading-a-report.md, and docs/report.svg: this program writes them anew.

``python -m benchmarks.sample_report`` runs the command of each report again.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/reading-a-report.md")
REPORT = re.compile(
    r"(?<=report: begin -->\n```text\n)\$ (convlint .*?)\n(.*?)(?=^```)", re.MULTILINE | re.DOTALL
)


def main() -> int:
    """Write every report, and the picture of the README's."""
    os.chdir(ROOT)  # reports name files from here, as a reader's own command does
    for name in PAGES:
        page = ROOT / name
        page.write_text(REPORT.sub(_again, page.read_text(encoding="utf-8")), encoding="utf-8")
    _draw(REPORT.findall((ROOT / PAGES[0]).read_text(encoding="utf-8"))[0][0])
    return 0


def _again(match: re.Match[str]) -> str:
    words = [*shlex.split(match[1])[1:], "--no-cache"]
    done = subprocess.run(
        [sys.executable, "-m", "convlint", *words], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    return f"$ {match[1]}\n{done.stdout.strip(chr(10))}\n"


def _draw(command: str) -> None:
    """Draw the report of a command, ``convlint check SPEC --input SHAPE``, as a terminal shows it."""
    from rich.console import Console

    from convlint.interface.inputs import parse_inputs
    from convlint.output.terminal import render
    from convlint.runs.session import Session
    from convlint.settings.jobs import Job

    _, _, spec, _, shape = shlex.split(command)
    report = Session(quiet=True).check(Job(spec, spec, inputs=parse_inputs([shape]))).report
    assert report is not None
    console = Console(record=True, width=110, file=io.StringIO(), force_terminal=True, highlight=False)
    render(report, console, full=False)
    drawing = console.export_svg(title="convlint check")
    (ROOT / "docs" / "report.svg").write_text(drawing, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
