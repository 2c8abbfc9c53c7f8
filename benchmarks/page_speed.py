"""How soon a page is painted: ``python -m benchmarks.page_speed`` opens pages of ever larger models.

The ops are made up, a transformer of blocks in blocks; the plan, the page and the browser are real. Needs
Chromium and ``pip install playwright``. ``--write`` puts the table into docs/html-report.md.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.written import write_between
from convlint.model import Site, TensorArg, TensorMeta
from convlint.model.run import Outcome, Run
from convlint.output.html.page import render_html
from convlint.placement.chips import find_device
from convlint.placement.forecast import plan_operations
from convlint.placement.operations import Operation

PAGE = Path(__file__).resolve().parent.parent / "docs" / "html-report.md"
BEGIN, END = "<!-- page-speed: begin -->", "<!-- page-speed: end -->"
BLOCK = (
    ("attention.norm", "layer_norm"),
    ("attention.query", "linear"),
    ("attention.key", "linear"),
    ("attention.value", "linear"),
    ("attention", "matmul"),
    ("attention", "softmax"),
    ("attention", "matmul"),
    ("attention.out", "linear"),
    ("attention", "add"),
    ("feed_forward.norm", "layer_norm"),
    ("feed_forward.up", "linear"),
    ("feed_forward", "gelu"),
    ("feed_forward.down", "linear"),
    ("feed_forward", "add"),
    ("", "cumsum"),  # refused, so that there are crossings
)


def blocks(ops: int) -> list[Operation]:
    """A chain of so many ops in blocks of a transformer."""
    meta = TensorMeta((1, 128, 256), "float16")
    found: list[Operation] = []
    for index in range(ops):
        number, place = divmod(index, len(BLOCK))
        module, kind = BLOCK[place]
        reads = (index - 1,) if index else ()
        found.append(
            Operation(
                kind,
                f"{kind}_{index}",
                (TensorArg("x", meta, "computed", False),),
                (meta,),
                reads,
                {"depth": 256} if kind in ("linear", "matmul") else {},
                f"aten.{kind}.default",
                Site("models.py", 10 + place, f"x = {kind}(x)", "forward"),
                module=".".join(filter(None, (f"stages.{number // 12}.blocks.{number % 12}", module))),
            )
        )
    return found


def painted(browser: Any, text: str, runs: int) -> list[int]:
    """Milliseconds from the navigation to the first paint of the closed picture."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(text, encoding="utf-8")
        for _ in range(runs):
            page = browser.new_page(viewport={"width": 1280, "height": 860})
            page.goto(file.as_uri())
            page.wait_for_function("document.documentElement.dataset.painted")
            found.append(int(page.evaluate("document.documentElement.dataset.painted")))
            page.close()
    return found


def rows(sizes: Sequence[int], runs: int) -> Iterator[str]:
    """A line of the table for each size."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    device = find_device("A17 Pro", "iOS17")
    yield "| ops | plan | page written | size | first paint, median (fastest) |"
    yield "|---|---|---|---|---|"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        for size in sizes:
            start = time.perf_counter()
            plan = plan_operations("models:Transformer", blocks(size), device, "mil")
            planned = time.perf_counter()
            text = render_html(Run((Outcome(plan.model, plan.model, plan=plan),), ".", True))
            written = time.perf_counter()
            times = painted(browser, text, runs)
            yield (
                f"| {size:,} | {planned - start:.2f} s | {written - planned:.2f} s "
                f"| {len(text) / 1e6:.1f} MB | {statistics.median(times):.0f} ms ({min(times)} ms) |"
            )
        browser.close()


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--ops", type=int, nargs="+", default=[600, 6000, 20_000])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(argv)
    lines = list(rows(options.ops, options.runs))
    print(*lines, sep="\n")
    if options.write:
        write_between(PAGE, BEGIN, END, lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
