"""Parity of whole architectures: what converts is run and compared with PyTorch at float32.

    python -m benchmarks.parity_rate --seconds 600
    python -m benchmarks.parity_rate --report

The architectures of ``benchmarks.accuracy`` that its truth says convert, the small ones first, through the
export frontend with the model's random weights. One JSON row each, appended to
``RESULTS/parity-RELEASE.jsonl``; a second run goes on where the first one stopped. The report is the table
of ``docs/executor.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpora import corpus
from benchmarks.truth import outcome, read_rows

RESULTS = Path(__file__).parent / "results"
CORPORA = ("architectures", "architectures-held-out")
LIMIT = 300.0


def converting(results: Path, release: str) -> list[str]:
    """The architectures that the kept truth says convert, those of the fewest calls first."""
    rows: dict[str, Any] = {}
    for name in CORPORA:
        rows |= read_rows(results / f"{name}-{release}.jsonl")
    found = [row for row in rows.values() if outcome(row) == "converts"]
    return [str(row["name"]) for row in sorted(found, key=lambda row: (row["nodes"], row["name"]))]


def compared(name: str, frontend: Any) -> dict[str, Any]:
    """The row of one architecture."""
    from convlint.capture.methods import Source
    from convlint.errors import ConvlintError
    from convlint.numerics.parity import compare

    start = time.perf_counter()
    try:
        example = corpus("architectures").build(name)
        source = Source(None, example.module, lambda: (example.args, example.kwargs))
        p = compare(source, "iOS18", "float32", 1, frontend, timeout=LIMIT)
    except ConvlintError as error:
        return {"name": name, "status": "unsupported", "detail": str(error)[:300]}
    except Exception as error:  # a library may refuse to build its own model
        return {"name": name, "status": "no case", "detail": f"{type(error).__name__}: {error}"[:300]}
    first = p.first_divergence
    return {
        "name": name,
        "status": p.status,
        "max_rel_error": p.max_rel_error,
        "detail": p.detail[:300],
        "first": str(first) if first else "",
        "script": first.script if first else "",
        "seconds": round(time.perf_counter() - start, 1),
    }


def report(rows: Sequence[dict[str, Any]], total: int) -> str:
    """The counts, then what is not equal."""
    counts = Counter(row["status"] for row in rows)
    lines = [f"{len(rows)} of {total}: " + ", ".join(f"{n} {status}" for status, n in counts.most_common())]
    errors = [row["max_rel_error"] for row in rows if row["status"] == "equal"]
    if errors:
        lines.append(f"largest error of those that are equal: {max(errors):.2g}")
    for row in rows:
        if row["status"] != "equal":
            what = row.get("first") or row.get("detail", "")
            lines.append(f"* {row['name']}: {row['status']}, {row.get('max_rel_error', 0):.2g}: {what}")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parity_rate",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument(
        "--truth", type=Path, help="where the truth of benchmarks.truth is (default: RESULTS)"
    )
    parser.add_argument("--frontend", choices=("export", "torchscript"), default="export")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long, and go on next time")
    parser.add_argument("--report", action="store_true", help="print what the rows say, and run nothing")
    options = parser.parse_args(arguments)
    import coremltools
    import torch

    names = converting(options.truth or options.results, coremltools.__version__)
    if not names:
        sys.stderr.write("no truth yet: run python -m benchmarks.truth --corpus architectures first\n")
        return 2
    torch.set_num_threads(1)
    suffix = "" if options.frontend == "export" else f"-{options.frontend}"
    path = options.results / f"parity{suffix}-{coremltools.__version__}.jsonl"
    start = time.perf_counter()
    done = read_rows(path)
    with path.open("a", buffering=1, encoding="utf-8") as file:
        for name in names if not options.report else ():
            if name in done:
                continue
            if time.perf_counter() - start > options.seconds:
                break
            file.write(json.dumps({"name": name, "status": "killed"}) + "\n")
            file.write(json.dumps(compared(name, options.frontend)) + "\n")
    sys.stdout.write(report(list(read_rows(path).values()), len(names)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
