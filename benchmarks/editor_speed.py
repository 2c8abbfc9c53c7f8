"""How soon an edit is answered in an editor: ``python -m benchmarks.editor_speed``.

A file is saved again and again, and the workshop of ``convlint server`` asked each time, with its cache off.
The first save, which loads what the next ones find loaded, is left out. ``--write`` puts the table into
docs/editor.md.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.written import write_between

PAGE = Path(__file__).resolve().parent.parent / "docs" / "editor.md"
BEGIN, END = "<!-- editor-speed: begin -->", "<!-- editor-speed: end -->"
FILE = """\
from torchvision.models import {builder}


def edited():  # convlint: input 1x3x224x224
    return {builder}(weights=None)
"""
MODELS = ("resnet18", "resnet50", "vit_b_16", "swin_t")


class Asked:
    """A workshop, and the seconds until each part of an answer."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "convlint.editor.workshop"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._next()

    def _next(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while not (line := self.process.stdout.readline()).strip():
            pass
        return dict(json.loads(line))

    def ask(self, path: Path) -> tuple[float, float, str]:
        """Seconds until the findings of the rules, and until everything is told, with the verdict."""
        assert self.process.stdin is not None
        start = time.perf_counter()
        question = {"id": 1, "kind": "check", "path": str(path), "root": str(path.parent)}
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        first, said = 0.0, ""
        while "done" not in (message := self._next()):
            if "answer" in message:
                first = first or time.perf_counter() - start
                said = message["answer"].get("convertible", "")
        return first, time.perf_counter() - start, said


def rows(models: Sequence[str], runs: int) -> Iterator[str]:
    """A line of the table for each model."""
    yield "| model | converts | the rules, fastest (median) | everything, fastest (median) |"
    yield "|---|---|---|---|"
    workshop = Asked()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "convlint.toml").write_text("cache = false\n")
        path = Path(folder) / "model.py"
        for model in models:
            times = []
            for number in range(runs + 1):
                path.write_text(FILE.format(builder=model) + f"# {number}\n")
                times.append(workshop.ask(path))
            firsts, wholes = [each[0] for each in times[1:]], [each[1] for each in times[1:]]
            yield (
                f"| {model} | {times[-1][2]} | {min(firsts):.2f} s ({statistics.median(firsts):.2f})"
                f" | {min(wholes):.2f} s ({statistics.median(wholes):.2f}) |"
            )
    workshop.process.stdin.close()  # type: ignore[union-attr]


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(argv)
    lines = list(rows(options.models, options.runs))
    print(*lines, sep="\n")
    if options.write:
        write_between(PAGE, BEGIN, END, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
