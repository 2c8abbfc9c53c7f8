"""How right plans are, as far as published measurements tell; writes docs/placement.md between its marks.

``python -m benchmarks.placement --collect FILE`` converts the models and the one-op programs (minutes);
``python -m benchmarks.placement --from FILE`` compares with the published tables and prints it,
``--fit`` fits the calibration anew first, ``--write`` puts tables and plots into the documentation.
"""

from __future__ import annotations

import argparse
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.corpora.timed_models import timed
from benchmarks.placement.errors import low_high
from benchmarks.placement.fitting import PRIOR, Sample, cross_validated, fit, write_calibration
from benchmarks.placement.plot import plot
from benchmarks.placement.programs import collect
from benchmarks.placement.tables import (
    chip_table,
    context_table,
    latency_tables,
    left_out,
    miss_table,
    network_table,
    one_op_table,
    planned_unseen,
    row_table,
    unit_table,
    unseen_summary,
    unseen_table,
)
from convlint.placement.estimate import clear_tables
from convlint.placement.planner import costs_of

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "placement.md"
LATENCIES = ROOT / "docs" / "placement-latencies.md"
PLOT = ROOT / "docs" / "placement-latency.svg"


def main(argv: Sequence[str]) -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--collect", type=Path, metavar="FILE")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="kept")
    parser.add_argument("--seconds", type=float, default=3600, help="when to end --collect")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(argv)
    if options.collect:
        collect(options.collect, options.seconds)
    path = options.kept or options.collect
    if path is None:
        parser.error("give --collect FILE or --from FILE")
    with path.open("rb") as file:
        kept = pickle.load(file)
    told, misses = one_op_table(kept)
    costs = {key: costs_of(operations) for key, operations in kept["models"].items()}
    samples = [Sample(row, kept["models"][row.key], costs[row.key]) for row in timed() if row.key in costs]
    checked = cross_validated(samples)
    ratios = [predicted / sample.row.milliseconds for sample, predicted in checked]
    if options.fit:
        write_calibration(fit(samples, PRIOR), *low_high(ratios))
        clear_tables()
    planned = planned_unseen(kept)
    pages = {
        "one-op": [*told, "", *miss_table(misses)],
        "chips": chip_table(),
        "context": context_table(kept),
        "networks": network_table(kept),
        "units": unit_table(kept),
        "latency": latency_tables(checked),
        "rows": row_table(checked),
        "unseen-rows": unseen_table(planned),
        "unseen": unseen_summary(planned),
        "left-out": left_out(kept),
    }
    for name, lines in pages.items():
        print(f"## {name}", *lines, "", sep="\n")
    if options.write:
        write_page(pages)
        PLOT.write_text(plot(checked, planned), encoding="utf-8")
    return 0


def write_page(pages: dict[str, list[str]]) -> None:
    """Put each part between its marks, on the page that has them."""
    for page in (PAGE, LATENCIES):
        text = page.read_text(encoding="utf-8")
        for name, lines in pages.items():
            begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
            before, mark, rest = text.partition(begin)
            if mark:
                text = before + begin + "\n" + "\n".join(lines) + "\n" + end + rest.partition(end)[2]
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
