"""What convlint costs where it runs by itself: kept results, the hook, pytest, many candidates.

``python -m benchmarks.everyday`` prints a Markdown table; ``--write`` puts it into
``docs/benchmarks.md``. Both sides of a row are timed alternately in one run. Of short programs the
fastest of the runs counts, since everything that disturbs them only adds to it; of long ones the median.
Beside the time on the clock stands that of the processor, which other work on the machine disturbs less.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed import PAGE, ROOT, Row

BEGIN, END = "<!-- everyday: begin -->", "<!-- everyday: end -->"
CONFIG = """
[[models]]
name = "resnet50"
spec = "net.py:build"
inputs = ["1x3x224x224"]
"""
NET = "import torchvision\ndef build(): return torchvision.models.resnet50()\n"
CANDIDATE = """
from torch import nn
class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        blocks = [nn.Sequential(nn.Conv2d(width if i else 3, width, 3), nn.ReLU()) for i in range(8)]
        self.layers = nn.Sequential(*blocks)
    def forward(self, x):
        return self.layers(x)
"""
IMPORT = """
import pytest, time
start = time.perf_counter()
import convlint.pytest_plugin
print(time.perf_counter() - start)
"""
# An installed convlint is compiled: without its bytecode kept, a checkout would be compiled at each start.
ENVIRONMENT = {
    "PYTHONPATH": str(ROOT),
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONDONTWRITEBYTECODE": "",
}
MANY = """
import json, sys, time
import convlint
if __name__ == "__main__":
    count, processes = map(int, sys.argv[1:])
    candidates = [{"spec": "net.py:Net", "args": {"width": 1 + number}} for number in range(count)]
    start = time.perf_counter()
    times = []
    for row in convlint.check_many(candidates, inputs=["1x3x32x32"], processes=processes, trial=None):
        assert row["error"] is None, row
        times.append(time.perf_counter() - start)
    print(json.dumps(times))
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """The seconds that a program took, on the clock and of the processor."""

    clock: float
    processor: float

    def __str__(self) -> str:
        return f"{self.clock:.3f} s ({self.processor:.3f})"

    def __sub__(self, other: Spent) -> Spent:
        return Spent(self.clock - other.clock, self.processor - other.processor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.everyday", description=__doc__)
    parser.add_argument("--runs", type=int, default=25, help="runs of each short program (default: 25)")
    parser.add_argument("--cold", type=int, default=3, help="runs of each cold check (default: 3)")
    parser.add_argument("--candidates", type=int, default=60, help="how many candidates (default: 60)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        rows = [
            *kept_results(Path(folder), options.runs, options.cold),
            *pytest_start(Path(folder), options.runs),
            *many_candidates(Path(folder), options.candidates),
        ]
    table = render(rows)
    sys.stdout.write(table)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{table}{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


def render(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | compared with | measured | result | goal |", "|---|---|---|---|---|"]
    lines += [f"| {row.what} | {row.plain} | {row.check} | {row.ratio} | {row.goal} |" for row in rows]
    return "\n".join(lines) + "\n"


def kept_results(folder: Path, runs: int, cold: int) -> list[Row]:
    """An unchanged model, and a change that reaches none, against a cold check and a bare Python."""
    (folder / "convlint.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "net.py").write_text(NET, encoding="utf-8")
    (folder / "other.py").write_text("", encoding="utf-8")
    check = ("-m", "convlint", "check")
    cold_times = [spent(folder, *check, "--no-cache").clock for _ in range(cold)]
    spent(folder, *check)
    bare, warm, nothing = alternately(
        runs,
        lambda: spent(folder, "-c", "pass"),
        lambda: spent(folder, *check),
        lambda: spent(folder, *check, "--changed", "other.py"),
    )
    long = statistics.median(cold_times)
    return [
        Row(
            "kept result of ResNet-50",
            f"cold check {long:.2f} s",
            str(warm),
            f"{warm.clock / long:.3f}",
            "at most 0.05",
        ),
        Row(
            "kept result of ResNet-50",
            f"`python -c pass` {bare}",
            str(warm),
            f"{warm - bare} more",
            "at most 0.15 s more",
        ),
        Row(
            "hook, change that reaches no model",
            f"`python -c pass` {bare}",
            str(nothing),
            f"{nothing - bare} more",
            "-",
        ),
    ]


def pytest_start(folder: Path, runs: int) -> list[Row]:
    """A test-suite that does not use the plugin, with it and without; no other plugin is loaded."""
    tests = folder / "tests"
    tests.mkdir()
    (tests / "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
    quick = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:convlint")
    without, loaded = alternately(
        runs,
        lambda: spent(tests, *quick),
        lambda: spent(tests, *quick, "-p", "convlint.pytest_plugin"),
    )
    inside = min(float(output(tests, "-c", IMPORT)) for _ in range(runs))
    return [
        Row(
            "pytest with the plugin, unused",
            str(without),
            str(loaded),
            f"{1e3 * (loaded - without).clock:.1f} ms more ({1e3 * (loaded - without).processor:.1f})",
            "at most 10 ms more",
        ),
        Row("importing the plugin", "-", f"{1e3 * inside:.1f} ms", "-", "at most 10 ms"),
    ]


def many_candidates(folder: Path, count: int) -> list[Row]:
    """Candidates a second by the rules alone, after the first answer, which the imports delay."""
    (folder / "net.py").write_text(CANDIDATE, encoding="utf-8")
    (folder / "many.py").write_text(MANY, encoding="utf-8")
    rows = []
    for processes in (1, 2):
        times = json.loads(output(folder, "many.py", str(count), str(processes)).splitlines()[-1])
        rate = (len(times) - 1) / (times[-1] - times[0])
        rows.append(
            Row(
                f"{count} candidates on {processes} process{'es' * (processes > 1)}",
                f"first answer after {times[0]:.1f} s",
                f"{rate:.1f} a second",
                "-",
                "-",
            )
        )
    return rows


def alternately(runs: int, *sides: Callable[[], Spent]) -> list[Spent]:
    """The fastest run of each side, on the clock and of the processor."""
    times: list[list[Spent]] = [[] for _ in sides]
    for _ in range(runs):
        for side, measured in zip(sides, times, strict=True):
            measured.append(side())
    return [
        Spent(min(each.clock for each in measured), min(each.processor for each in measured))
        for measured in times
    ]


def spent(folder: Path, *arguments: str) -> Spent:
    """Run this Python in ``folder``, and say how long it took."""
    start, before = time.perf_counter(), _processor()
    output(folder, *arguments)
    return Spent(time.perf_counter() - start, _processor() - before)


def _processor() -> float:
    """Seconds that the processor spent on all programs that this one has run."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def output(folder: Path, *arguments: str) -> str:
    """Run this Python in ``folder`` and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
