"""How many of the refused architectures convert after ``convlint.fix``, and how far their outputs move.

``python -m benchmarks.fix_rate``: every architecture of the truth (``benchmarks.truth``) that coremltools
refuses through torch.export, one child process each, resumable. ``--all`` takes those that convert too:
none may be lost. ``--unseen 50 --seed 1`` draws 50 others, of which no truth is known: whether one is
refused is what the trial of the unchanged program says.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import random
import sys
import time
from collections import Counter
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
CORPORA = ("architectures-9.0", "architectures-held-out-9.0")
TARGET = "iOS18"  # that of the truth
LIMIT = 900.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these architectures")
    parser.add_argument("--all", action="store_true", help="those that convert as they are, too")
    parser.add_argument("--again", action="store_true", help="those that have a result, too")
    parser.add_argument("--show", action="store_true", help="print the table and run nothing")
    parser.add_argument("--skip", type=int, default=0, help="leave out so many of those to run")
    parser.add_argument("--step", type=int, default=1, help="run every so-many-th")
    parser.add_argument("--unseen", type=int, default=0, help="draw so many beyond the list instead")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--library", default="", help="draw from this one alone")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds that one may take")
    parser.add_argument("--seconds", type=float, help="start no other architecture after so long")
    options = parser.parse_args()
    path = RESULTS / ("fix-rate-unseen.jsonl" if options.unseen else "fix-rate.jsonl")
    truth = _truth()
    wanted = options.names or (
        _drawn(options.unseen, options.seed, options.library, truth)
        if options.unseen
        else [n for n, row in truth.items() if options.all or _refused(row)]
    )
    done = {} if options.again else _rows(path)
    if not options.show:
        waiting = [name for name in wanted if name not in done][options.skip :: options.step]
        start = time.perf_counter()
        for number, name in enumerate(waiting, 1):
            if options.seconds is not None and time.perf_counter() - start > options.seconds:
                break
            row = _in_child(name, options.limit)
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{number}/{len(waiting)} {name}: {_told(row)}", file=sys.stderr, flush=True)
    rows = _rows(path)
    if options.unseen:
        truth = {
            n: {"convert": "ok" if row.get("before") else "no"}
            for n, row in rows.items()
            if "converts" in row
        }
        print(f"{len(rows)} drawn, {len(truth)} of them can be built and run.\n")
    print(table({name: row for name, row in rows.items() if name in truth}, truth))


def table(rows: dict[str, dict[str, Any]], truth: dict[str, dict[str, Any]]) -> str:
    """Converts before and after by library, the largest difference, and what remains."""
    lines = [
        "| library | refused before | convert after | only with `unsafe=True` | only in part | all | share"
        " | largest relative difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    libraries = sorted({name.split("/")[0] for name in rows})
    for library in [*libraries, ""]:
        mine = [(n, r) for n, r in rows.items() if n.startswith(library) and _refused(truth[n])]
        if not mine:
            continue
        good = [row for _, row in mine if _good(row)]
        part = sum(bool(row.get("left_out")) for row in good)
        asked = sum(bool(row.get("unsafe")) for row in good) - part
        error = max((row.get("max_rel_error") or 0.0 for row in good), default=0.0)
        lines.append(
            f"| {library or 'all'} | {len(mine)} | {len(good) - part - asked} | {asked} | {part}"
            f" | {len(good)} | {len(good) / len(mine):.3f} | {error:.1e} |"
        )
    lost = [name for name, row in rows.items() if not _refused(truth[name]) and not _good(row)]
    kept = [name for name, row in rows.items() if not _refused(truth[name])]
    if kept:
        lines.append(
            f"\nOf {len(kept)} that converted before, {len(lost)} do not after: {', '.join(lost) or 'none'}."
        )
    for name, row in sorted(rows.items()):
        if row.get("left_out"):
            lines.append(f"\n`{name}` in part: {row['left_out']}")
    lines.append("\nWhat remains:\n")
    for name, row in sorted(rows.items()):
        if _refused(truth[name]) and not _good(row):
            lines.append(f"* `{name}`: {_told(row)}")
    kinds = Counter(kind for row in rows.values() for kind in row.get("kinds", {}))
    lines.append(f"\nKinds of change, models: {', '.join(f'{kind} {n}' for kind, n in kinds.most_common())}")
    return "\n".join(lines)


def _drawn(number: int, seed: int, library: str, truth: dict[str, dict[str, Any]]) -> list[str]:
    """Names beyond the truth, of each library a like share."""
    from benchmarks.corpora import architectures

    drawn: dict[str, list[str]] = {}
    for name in (*architectures.names(), *architectures.further()):
        if name not in truth and name.startswith(library):
            drawn.setdefault(name.split("/")[0], []).append(name)
    chance = random.Random(seed)
    for names in drawn.values():
        chance.shuffle(names)
    in_turn = (name for turn in zip_longest(*drawn.values()) for name in turn if name is not None)
    return list(islice(in_turn, number))


def _good(row: dict[str, Any]) -> bool:
    return row.get("converts") == "yes" and (row.get("max_rel_error") or 0.0) <= 1e-4


def _told(row: dict[str, Any]) -> str:
    if row.get("converts") == "yes":
        kinds = (
            ", ".join(f"{kind} {count}" for kind, count in row.get("kinds", {}).items())
            or "nothing to change"
        )
        error = row.get("max_rel_error")
        compared = "not compared" if error is None else f"{error:.1e}"
        return f"converts ({kinds}; {compared}; {row['seconds']:.0f} s)"
    left = "; ".join(dict.fromkeys(row.get("remaining", [])))
    return f"{row.get('error') or left or 'no reason'}"[:400] + (
        f" [taken back: {'; '.join(row['rolled_back'])[:200]}]" if row.get("rolled_back") else ""
    )


def _refused(row: dict[str, Any]) -> bool:
    return row.get("convert") != "ok"


def _truth() -> dict[str, dict[str, Any]]:
    return {name: row for corpus in CORPORA for name, row in _rows(RESULTS / f"{corpus}.jsonl").items()}


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {row["name"]: row for row in rows}


def _in_child(name: str, limit: float) -> dict[str, Any]:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(name, sender))
    start = time.perf_counter()
    child.start()
    sender.close()
    row: dict[str, Any] = {"name": name, "error": "died"}
    with contextlib.suppress(EOFError):
        row = receiver.recv() if receiver.poll(limit) else {"name": name, "error": "took too long"}
    child.kill()
    child.join()
    return row | {"seconds": round(time.perf_counter() - start, 1)}


def _measure(name: str, sender: Any) -> None:
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    from benchmarks.corpora import architectures
    from convlint.repair.fix import fix

    try:
        example = architectures.build(name)
        fixed = fix(example.module, example.args, example.kwargs, target=TARGET, timeout=300)
        unsafe = fixed.converts == "no" and bool(fixed.proposed)
        if unsafe:
            fixed = fix(example.module, example.args, example.kwargs, target=TARGET, timeout=300, unsafe=True)
        kinds = Counter()
        for change in fixed.applied:
            kinds[change.kind] += change.calls
        sender.send(
            {
                "name": name,
                "before": fixed.converted_before,
                "converts": fixed.converts,
                "unsafe": unsafe,
                "left_out": "" if fixed.left_out is None else str(fixed.left_out),
                "kinds": dict(kinds),
                "changes": sorted({f"{change.op}: {change.title}" for change in fixed.applied}),
                "max_abs_error": fixed.max_abs_error,
                "max_rel_error": fixed.max_rel_error,
                "checked": list(fixed.checked),
                "remaining": [f"{f.op or f.stage}: {f.error[:160]}" for f in fixed.remaining],
                "rolled_back": list(fixed.rolled_back),
                "notes": list(fixed.notes),
                "stages": {stage: round(seconds, 1) for stage, seconds in fixed.seconds.items()},
            }
        )
    except BaseException as error:
        sender.send({"name": name, "error": f"{type(error).__name__}: {error}"[:600]})


if __name__ == "__main__":
    import coremltools  # noqa: F401 - before the forks, so that each child has it already
    import torch

    torch.set_num_threads(1)
    main()
