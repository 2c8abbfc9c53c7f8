"""What coremltools really converts: runs the conversion of every case of a corpus and writes it down.

    python -m benchmarks.truth --corpus opinfo --jobs 2
    python -m benchmarks.truth --corpus opinfo --coremltools-path DIR

``DIR`` holds another release, from ``pip install --no-deps --target DIR coremltools==...``.
One JSON row a case, appended to ``RESULTS/CORPUS-VERSION.jsonl``. A second run goes on where the first one
stopped. The conversions run in worker processes, each replaced after ``--fresh`` cases; one that outlives
``--limit`` seconds on a case, or dies, is itself the result of that case.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

from .corpora import CORPORA, corpus

HERE = Path(__file__).parent
Row = dict[str, Any]


class Worker:
    """A process that converts cases on request."""

    def __init__(self, corpus_name: str, coremltools_path: Path | None, scratch: str) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", corpus_name]
        self.process = subprocess.Popen(
            command + ([str(coremltools_path)] if coremltools_path else []),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=HERE.parent,
            env=os.environ | {"TMPDIR": scratch, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"},
        )
        self.answered = 0
        if not self._receive(600):
            raise RuntimeError(f"worker did not start: {' '.join(command)}")

    def ask(self, name: str, limit: float) -> Row:
        """The row of the case; where the worker does not survive it, a row that says so."""
        start = time.perf_counter()
        try:
            print(name, file=self.process.stdin, flush=True)
            row = self._receive(limit)
        except OSError:
            row = None
        if row is not None:
            self.answered += 1
            return row
        code = self.process.wait()
        seconds = round(time.perf_counter() - start, 3)
        reason = "time limit" if seconds >= limit else f"exit code {code}"
        return {"name": name, "killed": reason, "seconds": seconds}

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _receive(self, limit: float) -> Row | None:
        """The next row, or None once the process is gone, after ``limit`` seconds at the latest."""
        assert self.process.stdout is not None
        timer = threading.Timer(limit, self.process.kill)
        timer.start()
        try:
            line = self.process.stdout.readline()
        finally:
            timer.cancel()
        return json.loads(line) if line.endswith("\n") else None


class Ledger:
    """The file of rows, and the progress line on stderr."""

    def __init__(self, path: Path, total: int, done: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file: TextIO = path.open("a", buffering=1)
        self.total, self.done = total, done
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()

    def write(self, row: Row) -> None:
        with self.lock:
            print(json.dumps(row), file=self.file)
            self.done += 1
            self.counts[outcome(row)] += 1
            told = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
            print(f"\r{self.done}/{self.total}  {told}", end="", file=sys.stderr, flush=True)


def outcome(row: Row) -> str:
    """``converts``, ``refused``, ``no capture``, ``no case`` or ``killed``."""
    if "killed" in row:
        return "killed"
    if "build" in row:
        return "no case"
    if row["capture"] != "ok":
        return "no capture"
    return "converts" if row["convert"] == "ok" else "refused"


def read_rows(path: Path) -> dict[str, Row]:
    """The rows of a results file by case name; a last line cut short is left out."""
    rows = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        rows[row["name"]] = row
    return rows


def run(names: Iterable[str], ledger: Ledger, options: argparse.Namespace) -> None:
    """Convert the cases, ``options.jobs`` at a time."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in names:
        waiting.put(name)

    def serve() -> None:
        worker: Worker | None = None
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            while True:
                try:
                    name = waiting.get_nowait()
                except queue.Empty:
                    break
                if worker is None or not worker.alive or worker.answered >= options.fresh:
                    if worker is not None:
                        worker.stop()
                    worker = Worker(options.corpus, options.coremltools_path, scratch)
                ledger.write(worker.ask(name, options.limit))
            if worker is not None:
                worker.stop()

    threads = [threading.Thread(target=serve) for _ in range(options.jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def release(coremltools_path: Path | None) -> str:
    """The version of the coremltools that the workers will import."""
    found = subprocess.run(
        [sys.executable, "-c", "import importlib.metadata as m; print(m.version('coremltools'))"],
        env=os.environ | ({"PYTHONPATH": str(coremltools_path)} if coremltools_path else {}),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return found.stdout.strip()


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth", description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", choices=CORPORA, required=True)
    parser.add_argument("--results", type=Path, default=HERE / "results", metavar="DIR")
    parser.add_argument("--coremltools-path", type=Path, metavar="DIR", help="import coremltools from here")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--fresh", type=int, default=100, metavar="N", help="cases a worker lives for")
    parser.add_argument("--limit", type=float, default=120.0, metavar="SECONDS", help="time for one case")
    parser.add_argument("--only", metavar="TEXT", help="cases whose name contains this")
    parser.add_argument("--sample", type=int, metavar="N", help="so many cases, picked by --seed")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--again", action="store_true", help="forget the rows that exist")
    return parser


def main(argv: list[str] | None = None) -> int:
    options = parser().parse_args(argv)
    path = options.results / f"{options.corpus}-{release(options.coremltools_path)}.jsonl"
    if options.again:
        path.unlink(missing_ok=True)
    names = [name for name in corpus(options.corpus).names() if (options.only or "") in name]
    if options.sample is not None and options.sample < len(names):
        names = sorted(random.Random(options.seed).sample(names, options.sample), key=names.index)
    done = read_rows(path)
    left = [name for name in names if name not in done]
    start = time.perf_counter()
    ledger = Ledger(path, total=len(names), done=len(names) - len(left))
    run(left, ledger, options)
    rows = read_rows(path)
    counts = Counter(outcome(rows[name]) for name in names)
    print(file=sys.stderr)
    print(f"{path}: {len(names)} cases, {time.perf_counter() - start:.0f} s")
    for what, count in counts.most_common():
        print(f"{count:6d} {what}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
