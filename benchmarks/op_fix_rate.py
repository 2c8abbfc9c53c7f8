"""How many of the calls that coremltools refuses convert after ``convlint.fix``, one call a module.

    python -m benchmarks.op_fix_rate --draw 300 --seed 1

Drawn from PyTorch's own samples of every operator (OpInfo): every operator once, in random order, then all
again; of each a random sample, in float32 mostly, else of integers or booleans. Left out are dense linear
algebra (decompositions and solvers), operators that draw random numbers, which nothing can be compared with,
and samples whose inputs or outputs have a dtype that no Core ML model takes; complex results are returned as
pairs of real numbers. One child process a sample with a time limit; resumable, as rows are appended to
``--results``.

``fixed`` is said where the fixed program converts, gives what the module gives (1e-4 of the largest value),
no rule finds a wrong number in it, and the converted program, run, has none either.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

RESULTS = Path(__file__).parent / "results" / "op-fix-rate.jsonl"
LIMIT = 120.0
SAMPLES = 300
"""Samples of an operator that a draw chooses from."""

OTHER_DTYPES = ("int64", "bool")
OTHERS = 0.2
"""Share of the samples that are of integers or booleans."""

NO_OUTPUTS = (torch.int16, torch.int8, torch.uint8, torch.bfloat16)
"""Dtypes that no output of a Core ML model has, whatever computes it.
https://apple.github.io/coremltools/docs-guides/source/model-input-and-output-types.html"""

DENSE_ALGEBRA = re.compile(
    r"linalg\.(?!vector_norm|matrix_norm|norm|cross|diagonal|vecdot|multi_dot|matrix_power|vander|tensordot)"
    r"|cholesky|svd|lu$|lu_|lstsq|geqrf|ormqr|triangular_solve|pca_lowrank|logdet|pinverse|matrix_exp|norm\.nuc"
)
RANDOM = re.compile(
    r"bernoulli|multinomial|normal$|normal\.|rand|uniform|cauchy|exponential$|geometric|log_normal|dropout"
    r"|nn\.functional\.(rrelu|fractional_max_pool|alpha_dropout|gumbel)|(new_)?empty|resize_"
)


def in_scope(label: str) -> bool:
    """Whether an operator is neither dense linear algebra nor random."""
    return not DENSE_ALGEBRA.match(label) and not RANDOM.match(label)


def drawn(count: int, seed: int, only: str) -> list[tuple[str, int]]:
    """Labels of operators, each with the number that chooses its dtype and sample."""
    from benchmarks.corpora import opinfo

    chance = random.Random(seed)
    labels = [label for label in opinfo.labels() if in_scope(label) and re.search(only, label)]
    found: list[tuple[str, int]] = []
    while labels and len(found) < count:
        chance.shuffle(labels)
        found += [(label, chance.randrange(1 << 30)) for label in labels[: count - len(found)]]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.op_fix_rate", description=__doc__)
    parser.add_argument("--draw", type=int, default=150, metavar="N", help="samples (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="OP", help="only operators that match this pattern")
    parser.add_argument("--case", nargs="*", metavar="NAME", help="these cases, as a table names them")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds that one may take")
    parser.add_argument("--seconds", type=float, help="start no other sample after so long")
    parser.add_argument("--results", type=Path, default=RESULTS, help="rows are appended to this file")
    parser.add_argument("--show", action="store_true", help="print the table and run nothing")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    rows = _rows(options.results)
    start = time.perf_counter()
    wanted: list[tuple[str, int | None]] = (
        [(name, None) for name in options.case]
        if options.case
        else [*drawn(options.draw, options.seed, options.only)]
    )
    keys = [name if number is None else f"{name} {number}" for name, number in wanted]
    for place, (key, (name, number)) in enumerate(zip(keys, wanted, strict=True), 1):
        if options.show or key in rows:
            continue
        if options.seconds is not None and time.perf_counter() - start > options.seconds:
            break
        rows[key] = {"key": key} | _in_child(name, number, options.limit)
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[key]) + "\n")
        print(f"{place}/{len(wanted)} {rows[key]['name']}: {told(rows[key])}", file=sys.stderr, flush=True)
    print(table([rows[key] for key in keys if key in rows]))


def table(rows: list[dict[str, Any]]) -> str:
    """The shares, and what is left, by operator."""
    known = [row for row in rows if "before" in row]
    refused = [row for row in known if not row["before"]]
    fixed = [row for row in refused if row["fixed"]]
    share = f"{len(fixed) / len(refused):.3f}" if refused else "-"
    lines = [
        "| samples | convert before | refused | fixed | share |",
        "|---|---|---|---|---|",
        f"| {len(known)} | {len(known) - len(refused)} | {len(refused)} | {len(fixed)} | {share} |",
        f"\nNot counted: {len(rows) - len(known)}, which PyTorch cannot run or that are no module.\n",
        "| left | why |",
        "|---|---|",
    ]
    lines += [f"| {row['name']} | {told(row)} |" for row in refused if not row["fixed"]]
    lines += [f"| {row['name']} | {told(row)} |" for row in rows if row.get("error")]
    kinds = Counter(kind for row in fixed for kind in row["kinds"])
    lines.append(f"\nKinds of change, samples: {', '.join(f'{kind} {n}' for kind, n in kinds.most_common())}")
    return "\n".join(lines)


def told(row: dict[str, Any]) -> str:
    """What came of a sample, in a line."""
    if "before" not in row:
        return str(row.get("error") or row.get("skipped"))
    if row["before"]:
        return "converts"
    return f"fixed ({', '.join(row['kinds'])})" if row["fixed"] else row["left"].replace("|", "/")


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {row["key"]: row for row in rows}


def _in_child(name: str, number: int | None, limit: float) -> dict[str, Any]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(name, number, sender))
    start = time.perf_counter()
    child.start()
    sender.close()
    row: dict[str, Any] = {"name": name, "error": "the process died"}
    with contextlib.suppress(EOFError):
        row = receiver.recv() if receiver.poll(limit) else {"name": name, "error": "took too long"}
    child.kill()
    child.join()
    return row | {"seconds": round(time.perf_counter() - start, 1)}


def _measure(name: str, number: int | None, sender: Any) -> None:
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    from benchmarks.corpora import Example, opinfo

    try:
        name = name if number is None else _chosen(name, number)
        example = opinfo.build(name)
    except Exception as error:
        sender.send({"name": name, "skipped": f"no sample: {type(error).__name__}"})
        return
    example = Example(RealOutputs(example.module), example.args)
    reason = _unfit(example)
    try:
        sender.send({"name": name} | ({"skipped": reason} if reason else _fixed(example)))
    except BaseException as error:
        sender.send({"name": name, "error": f"{type(error).__name__}: {error}"[:300]})


def _chosen(label: str, number: int) -> str:
    """The name of a case of this operator."""
    from benchmarks.corpora import opinfo

    chance = random.Random(number)
    dtypes = [dtype for dtype in OTHER_DTYPES if opinfo.takes(label, dtype)]
    label = f"{label}@{chance.choice(dtypes)}" if dtypes and chance.random() < OTHERS else label
    return f"{label}/{chance.randrange(sum(1 for _ in islice(opinfo.cases(label), SAMPLES)))}"


def _unfit(example: Any) -> str:
    """Why nothing can be said of a sample, empty where something can."""
    if not example.args:
        return "no tensor among its arguments"
    if any(not tensor.numel() for tensor in example.args):
        return "an empty tensor"
    try:
        with torch.no_grad():
            outputs = [
                pytree.tree_leaves(example.module(*(tensor.clone() for tensor in example.args)))
                for _ in range(2)
            ]
    except Exception as error:
        return f"PyTorch refuses it: {type(error).__name__}"
    if not any(isinstance(leaf, torch.Tensor) for leaf in outputs[0]):
        return "no tensor among its results"
    if any(isinstance(leaf, torch.Tensor) and not leaf.numel() for leaf in outputs[0]):
        return "an empty result"
    narrow = [
        leaf.dtype for leaf in outputs[0] if isinstance(leaf, torch.Tensor) and leaf.dtype in NO_OUTPUTS
    ]
    if narrow or any(tensor.dtype.is_complex for tensor in example.args):
        return f"an input or output of a Core ML model cannot be {(*narrow, 'complex')[0]}"
    pairs = [pair for pair in zip(*outputs, strict=True) if isinstance(pair[0], torch.Tensor)]
    if any(one.layout is not torch.strided for one, _ in (*pairs, *((a, a) for a in example.args))):
        return "a sparse tensor"
    if not all(torch.equal(torch.nan_to_num(one), torch.nan_to_num(two)) for one, two in pairs):
        return "it is random"
    return ""


class RealOutputs(nn.Module):
    """The module, with complex results as pairs of real numbers: a Core ML model returns no others."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *tensors: torch.Tensor) -> Any:
        def real(leaf: Any) -> Any:
            return (
                torch.view_as_real(leaf.resolve_conj())
                if isinstance(leaf, torch.Tensor) and leaf.is_complex()
                else leaf
            )

        return pytree.tree_map(real, self.module(*tensors))


def _fixed(example: Any) -> dict[str, Any]:
    from convlint.repair.fix import fix

    fixed = fix(example.module, example.args, example.kwargs, timeout=60)
    kinds = Counter(change.kind for change in fixed.applied)
    return {
        "before": fixed.converted_before,
        "fixed": fixed.ships and (fixed.max_rel_error or 0.0) <= 1e-4,
        "kinds": dict(kinds),
        "changes": sorted({f"{change.op}: {change.title}" for change in fixed.applied}),
        "max_rel_error": fixed.max_rel_error,
        "left": "; ".join(_left(fixed))[:400],
        "stages": {stage: round(seconds, 1) for stage, seconds in fixed.seconds.items()},
    }


def _left(fixed: Any) -> Iterator[str]:
    if fixed.converts == "no":
        for failure in fixed.remaining:
            yield f"{failure.op or failure.stage}: {failure.error[:160]}"
        yield from fixed.rolled_back
        yield from fixed.notes
    for finding in fixed.wrong:
        yield f"wrong: {finding.rule.code} {finding.message}"
    if fixed.parity is not None and fixed.parity.status in ("differs", "overflows"):
        yield f"parity {fixed.parity.status} ({fixed.parity.severity})"


if __name__ == "__main__":
    import coremltools  # noqa: F401 - before the forks, so that each child has it already

    torch.set_num_threads(1)
    main()
