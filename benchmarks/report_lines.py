"""How many lines a report has: ``python -m benchmarks.report_lines`` runs the real command and counts them.

``--write`` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.written import write_between

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- report-lines: begin -->", "<!-- report-lines: end -->"
MODELS = {
    "ResNet-50": ("torchvision.models:resnet50", "--input", "1x3x224x224"),
    "Swin-T, export alone": ("torchvision.models:swin_t", "--input", "1x3x224x224", "--frontend", "export"),
    "Faster R-CNN": (
        "torchvision.models.detection:fasterrcnn_resnet50_fpn",
        "--arg-expr=weights_backbone=None",
        "--input",
        "1x3x320x320",
        "--trial",
        "none",
    ),
}


def counted(words: Sequence[str]) -> tuple[int, dict[str, int]]:
    """The lines of the report of a check, and its findings by severity."""
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "report.json"
        command = ["convlint", "check", *words, "--no-cache", "--output-file", f"json:{kept}"]
        done = subprocess.run(
            [sys.executable, "-m", *command], capture_output=True, text=True, check=False, cwd=ROOT
        )
        if done.returncode not in (0, 1):
            raise SystemExit(done.stderr)
        found = [each["severity"] for each in json.loads(kept.read_text(encoding="utf-8"))["findings"]]
    severities = {severity: found.count(severity) for severity in ("error", "warning", "note")}
    return len(done.stdout.splitlines()), severities


def rows() -> Iterator[str]:
    """A line of the table for each model."""
    yield "| model | findings | lines | with `--full` |"
    yield "|---|---|---|---|"
    for name, words in MODELS.items():
        lines, severities = counted(words)
        whole, _ = counted([*words, "--full"])
        told = ", ".join(
            f"{number} {severity}{'' if number == 1 else 's'}"
            for severity, number in severities.items()
            if number
        )
        yield f"| {name} | {sum(severities.values())} ({told or 'none'}) | {lines} | {whole:,} |"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(argv)
    lines = list(rows())
    print(*lines, sep="\n")
    if options.write:
        write_between(PAGE, BEGIN, END, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
