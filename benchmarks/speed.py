"""Speed and memory of a check against a plain conversion, both sides in one run.

``python -m benchmarks.speed`` prints a Markdown table; ``--write`` puts it into
``docs/benchmarks.md``. Every side is timed alternately, and the median of the runs is shown, so
that a machine that is busy meets both sides alike. Only the ratios are worth comparing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"
MODELS = ("resnet50", "vit_b_16")
BLOCKS = (12, 24, 48, 96)
LLAMA = (
    "check",
    "transformers:LlamaForCausalLM",
    "--arg-expr",
    "config=transformers.LlamaConfig(use_cache=False)",
    "--input",
    "input_ids=1x64:int64",
    "--frontend",
    "export",
    "--no-cache",
    "--format",
    "json",
)

# Timed inside a process that has imported everything and has run both sides once on a small model.
IN_PROCESS = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore"); logging.disable(logging.WARNING)
import torch, torchvision, coremltools as ct
from torch import nn
import convlint

def plain(model, x):
    with torch.no_grad():
        program = torch.export.export(model, (x,), strict=False).run_decompositions({})
    ct.convert(program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)

small = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
plain(small, torch.rand(1, 3, 8, 8)); convlint.check(small, torch.rand(1, 3, 8, 8))
build = getattr(torchvision.models, sys.argv[1])
x = torch.rand(1, 3, 224, 224)
model = build().eval()
times = {"plain": [], "check": []}
for _ in range(int(sys.argv[2])):
    start = time.perf_counter(); plain(model, x); times["plain"].append(time.perf_counter() - start)
    start = time.perf_counter(); report = convlint.check(build, x)
    times["check"].append(time.perf_counter() - start)
    assert report.convertible == "yes"
print(json.dumps(times), file=sys.__stdout__)
"""
PLANNED = IN_PROCESS.replace("convlint.check(", "convlint.plan(").replace(
    '    assert report.convertible == "yes"\n', '    assert report.level == "mil"\n'
)
"""The same with a plan of the program in place of the check."""
PLAIN = """
import sys, torch, torchvision, coremltools as ct
model = getattr(torchvision.models, sys.argv[1])().eval()
with torch.no_grad():
    program = torch.export.export(model, (torch.rand(1, 3, 224, 224),), strict=False).run_decompositions({})
ct.convert(program, minimum_deployment_target=ct.target.iOS17, skip_model_load=True)
"""
GROWTH = """
import json, logging, sys, time, warnings
warnings.simplefilter("ignore"); logging.disable(logging.WARNING)
import torch
from torch import nn
import convlint

class Model(nn.Module):
    def __init__(self, blocks):
        super().__init__()
        layer = lambda: nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
        self.blocks = nn.ModuleList(layer() for _ in range(blocks))

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x

torch.backends.mha.set_fastpath_enabled(False)
convlint.check(lambda: Model(1), torch.rand(1, 16, 64))
times = []
for blocks in json.loads(sys.argv[1]):
    runs = []
    for _ in range(int(sys.argv[2])):
        start = time.perf_counter(); report = convlint.check(lambda: Model(blocks), torch.rand(1, 16, 64))
        runs.append(time.perf_counter() - start)
    times.append((blocks, len(report.graph.calls), sorted(runs)[len(runs) // 2]))
print(json.dumps(times), file=sys.__stdout__)
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    plain: str
    check: str
    ratio: str
    goal: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="how often each side is timed (default: 3)")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for measure in (in_process, plan, whole_process, llama, growth):
        sys.stderr.write(f"{measure.__name__} ...\n")
        rows += measure(options.runs)
    table = render(rows)
    sys.stdout.write(table)
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n{table}{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


def render(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| what | plain conversion | convlint check | ratio | goal |", "|---|---|---|---|---|"]
    lines += [f"| {row.what} | {row.plain} | {row.check} | {row.ratio} | {row.goal} |" for row in rows]
    return "\n".join(lines) + "\n"


def in_process(runs: int) -> list[Row]:
    """Both sides in one warm process."""
    rows = []
    for model in MODELS:
        times = json.loads(python("-c", IN_PROCESS, model, str(runs)).splitlines()[-1])
        rows.append(compared(f"{model}, in process", times["plain"], times["check"], "at most 0.25"))
    return rows


def plan(runs: int) -> list[Row]:
    """``convlint.plan``, with a conversion of its own, in one warm process."""
    times = json.loads(python("-c", PLANNED, "vit_b_16", str(runs)).splitlines()[-1])
    return [compared("vit_b_16, `convlint.plan`, in process", times["plain"], times["check"], "at most 2")]


def whole_process(runs: int) -> list[Row]:
    """Both sides from the start of Python to its end."""
    rows = []
    for model in MODELS:
        check = (
            "-m",
            "convlint",
            "check",
            f"torchvision.models:{model}",
            "--input",
            "1x3x224x224",
            "--no-cache",
        )
        sides: dict[str, list[float]] = {"plain": [], "check": []}
        for _ in range(runs):
            sides["plain"].append(clocked(lambda: python("-c", PLAIN, model)))  # noqa: B023
            sides["check"].append(clocked(lambda: python(*check)))  # noqa: B023
        rows.append(compared(f"{model}, whole process", sides["plain"], sides["check"], "at most 0.6"))
    return rows


def llama(runs: int) -> list[Row]:
    """Llama with 6.7 B parameters, whose plain conversion does not fit into 24 GB."""
    seconds, peaks = [], []
    for _ in range(runs):
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "convlint", *LLAMA],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        watch = Memory(process.pid)
        out, _ = process.communicate()
        seconds.append(time.perf_counter() - start)
        peaks.append(watch.stop())
        report = json.loads(out)
        assert report["convertible"] == "no", "Llama is refused by coremltools 9.0"
    return [
        Row(
            "Llama 6.7 B, whole process",
            "does not fit",
            f"{statistics.median(seconds):.1f} s",
            "-",
            "at most 15 s",
        ),
        Row(
            "Llama 6.7 B, peak memory of all processes",
            "does not fit",
            f"{max(peaks) / 1e9:.2f} GB",
            "-",
            "at most 2 GB",
        ),
    ]


def growth(runs: int) -> list[Row]:
    """Time over the number of equal blocks: linear is the same time for each op."""
    measured = json.loads(python("-c", GROWTH, json.dumps(BLOCKS), str(runs)).splitlines()[-1])
    first = measured[0][2] / measured[0][1]
    return [
        Row(
            f"{blocks} equal blocks, {ops} ops",
            "-",
            f"{seconds:.2f} s",
            f"{seconds / ops / first:.2f} per op",
            "about 1",
        )
        for blocks, ops, seconds in measured
    ]


def compared(what: str, plain: list[float], check: list[float], goal: str) -> Row:
    """A row of two sides and the ratio of their medians."""
    one, other = statistics.median(plain), statistics.median(check)
    return Row(what, f"{one:.2f} s", f"{other:.2f} s", f"{other / one:.2f}", goal)


def clocked(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def python(*arguments: str) -> str:
    """Run this Python in the project's folder and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout


class Memory:
    """The largest sum of proportional memory (PSS) of a process and its children, sampled."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.peak = 0
        self.running = True
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def stop(self) -> int:
        self.running = False
        self.thread.join()
        return self.peak

    def _watch(self) -> None:
        while self.running:
            self.peak = max(self.peak, sum(map(_memory, _family(self.pid))))
            time.sleep(0.05)


def _family(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                stat = Path(f"/proc/{entry}/stat").read_text(encoding="utf-8")
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def _memory(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    sys.exit(main())
