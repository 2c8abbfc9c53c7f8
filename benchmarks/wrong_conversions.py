"""Searches for wrong conversions: what converts, and then computes something else than PyTorch.

    python -m benchmarks.wrong_conversions --corpus opinfo --seconds 600
    python -m benchmarks.wrong_conversions --corpus opinfo --seconds 600 --shuffled
    python -m benchmarks.wrong_conversions --corpus opinfo --report

Every case of a corpus is converted at float32 through both frontends, and the program is run by the
executor on the case's own inputs, on random ones, and on the edge cases of ``convlint.numerics.samples``:
zeros of both signs, halves, large numbers, infinities and NaN. The release is that which is imported: put
another one's folder into PYTHONPATH. One JSON row a case and frontend, appended to
``RESULTS/wrong-CORPUS-RELEASE.jsonl``; a second run goes on where the first one stopped, and a case that
killed it is passed over. ``--shuffled`` takes the cases in a random order that is the same every time, so
that what a run had time for is a sample.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpora import CORPORA, corpus
from benchmarks.truth import read_rows

RESULTS = Path(__file__).parent / "results"
FRONTENDS = ("export", "torchscript")
LIMIT = 40.0
SEED = 20_240
Row = dict[str, Any]


def examine(name: str, example: Any, frontend: Any) -> Row:
    """What one case gives at one frontend: the first set of inputs for which the two differ, and how."""
    from convlint import mil
    from convlint.capture.methods import Source
    from convlint.errors import ConvlintError
    from convlint.numerics.conversion import NotConverted, convert
    from convlint.numerics.program_errors import WrongShape, judged
    from convlint.numerics.running import measured
    from convlint.numerics.tolerance import PARITY

    source = Source(None, example.module, lambda: (example.args, example.kwargs))
    try:
        converted = convert(source, "iOS17", "float32", frontend, LIMIT)
    except (NotConverted, ConvlintError) as error:
        return {"status": "refused", "detail": str(error)[:300]}
    if _is_random(converted):
        return {"status": "random"}
    row: Row = {"status": "equal", "differing": []}
    for kind, inputs in _input_sets(converted.inputs):
        try:
            errors = measured(converted, inputs, None)
        except (WrongShape, mil.ShapeMismatch) as error:
            row["differing"].append({"inputs": kind, "status": "shape", "detail": str(error)[:200]})
            break
        except (NotConverted, mil.ExecutionError) as error:
            if kind == "example":
                return {"status": "unsupported", "detail": str(error)[:300]}
            continue
        except Exception as error:  # PyTorch itself refuses such inputs
            if kind == "example":
                return {"status": "unsupported", "detail": f"{type(error).__name__}: {error}"[:300]}
            continue
        status = judged(errors, PARITY["float32"])
        if status != "equal":
            row["differing"].append(
                {
                    "inputs": kind,
                    "status": status,
                    "abs": errors.max_abs_error,
                    "rel": errors.max_rel_error,
                    "nonfinite": errors.nonfinite,
                    "misplaced": errors.misplaced,
                }
            )
    if row["differing"]:
        row["status"] = row["differing"][0]["status"]
    return row


def _input_sets(inputs: Any) -> Iterator[tuple[str, Any]]:
    from convlint.numerics.samples import edge_cases_of, varied

    yield "example", inputs
    yield "random", varied(inputs, 1)
    for kind in ("signs", "halves", "large", "nonfinite"):
        yield kind, edge_cases_of(inputs, kind)  # type: ignore[arg-type]
    for kind in ("signs", "large"):
        yield f"{kind} of integers", edge_cases_of(inputs, kind, integers=True)


def _is_random(converted: Any) -> bool:
    """Whether PyTorch itself gives other numbers the second time, or memory that nobody wrote."""
    import torch
    from torch.utils import _pytree as pytree

    from convlint.capture.build import borrowed

    def outputs() -> list[Any]:
        copied = pytree.tree_map(lambda v: v.clone() if isinstance(v, torch.Tensor) else v, converted.inputs)
        with torch.no_grad(), borrowed(converted.module):
            found = pytree.tree_leaves(converted.module(*copied[0], **copied[1]))
        return [leaf for leaf in found if isinstance(leaf, torch.Tensor)]

    return any(
        not torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
        for a, b in zip(outputs(), outputs(), strict=True)
    )


def search(corpus_name: str, path: Path, seconds: float, only: str, shuffled: bool = False) -> int:
    """Examine the cases that have no row yet, for so many seconds; the number that is left."""
    import torch

    torch.set_num_threads(1)
    chosen = corpus(corpus_name)
    names = list(chosen.names())
    if shuffled:
        random.Random(SEED).shuffle(names)
    done = read_rows(path)
    left = [
        (name, frontend)
        for name in names
        for frontend in FRONTENDS
        if only in name and f"{name} {frontend}" not in done
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with path.open("a", buffering=1, encoding="utf-8") as file:
        for number, (name, frontend) in enumerate(left):
            if time.perf_counter() - start > seconds:
                return len(left) - number
            key = {"name": f"{name} {frontend}"}
            file.write(json.dumps({**key, "status": "killed"}) + "\n")
            try:
                row = examine(name, chosen.build(name), frontend)
            except Exception as error:  # a case that cannot be built is counted, not fatal
                row = {"status": "no case", "detail": f"{type(error).__name__}: {error}"[:300]}
            file.write(json.dumps({**key, **row}) + "\n")
    return 0


def report(rows: dict[str, Row]) -> str:
    """How many came out how, then what differs, by case."""
    counts = Counter(row["status"] for row in rows.values())
    lines = [", ".join(f"{count} {status}" for status, count in counts.most_common()), ""]
    for name, row in sorted(rows.items()):
        for each in row.get("differing", ())[:1]:
            sets = ", ".join(other["inputs"] for other in row["differing"])
            size = f"abs {each.get('abs', 0):.3g} rel {each.get('rel', 0):.3g}"
            odd = f" nonfinite {each.get('nonfinite')} misplaced {each.get('misplaced')}"
            lines.append(f"{name}: {each['status']} {each.get('detail') or size + odd} [{sets}]")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wrong_conversions",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--corpus", choices=sorted(CORPORA), default="opinfo")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long, and go on next time")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--shuffled", action="store_true", help="take the cases in a seeded random order")
    parser.add_argument("--report", action="store_true", help="print what the rows say, and run nothing")
    options = parser.parse_args(arguments)
    import coremltools

    path = options.results / f"wrong-{options.corpus}-{coremltools.__version__}.jsonl"
    if not options.report:
        left = search(options.corpus, path, options.seconds, options.only, options.shuffled)
        sys.stderr.write(f"{left} left\n")
    sys.stdout.write(report(read_rows(path)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
