"""Whether what a check says of an architecture holds: its warnings, and its "after N changes it does".

``python -m benchmarks.one_answer --draw 60 --seed S`` draws architectures from torchvision, timm and
transformers, and runs the real commands on each, resumable:

* ``convlint check``: the verdict, the lines that a person reads, and the warnings about the Neural Engine.
* ``convlint plan``, with a conversion of its own: a warning is confirmed where the plan has an op of its
  line that is refused by the Neural Engine.
* ``convlint fix --emit``, where the check says that the model is refused: whether the fix converts and
  computes the same, as the check said it would, and whether plain coremltools then converts it (the third
  form, a script that was run).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = ("torchvision", "timm", "transformers")
FACTORY = """from benchmarks.corpora.architectures import build

def model():
    return build("{name}").module
"""
LIMIT = 900.0
"""Seconds that one command may take."""


@dataclass(frozen=True, slots=True)
class Row:
    """What the commands said of one architecture.

    ``printed`` and ``confirmed`` are ``CODE file:line`` of the warnings about the Neural Engine.
    ``promised`` says what the check said of a refused model: whether changes make it convert.
    """

    name: str
    verdict: str = ""
    lines: int = 0
    seconds: float = 0.0
    printed: tuple[str, ...] = ()
    confirmed: tuple[str, ...] = ()
    promised: bool | None = None
    fixed: bool | None = None
    emitted: bool | None = None
    why: str = ""
    error: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.one_answer", description=__doc__)
    parser.add_argument("names", nargs="*", help="these architectures (library/model)")
    parser.add_argument("--draw", type=int, default=0, metavar="N", help="and N drawn ones")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")
    parser.add_argument("--file", type=Path, required=True, help="keep the rows here, and go on from them")
    parser.add_argument("--seconds", type=float, help="start no other architecture after so long")
    parser.add_argument("--show", action="store_true", help="print the table and run nothing")
    options = parser.parse_args()
    rows = {row.name: row for row in _kept(options.file)}
    wanted = [*options.names, *(drawn(options.draw, options.seed) if options.draw else ())]
    start = time.perf_counter()
    for name in wanted if not options.show else ():
        if name in rows:
            continue
        if options.seconds is not None and time.perf_counter() - start > options.seconds:
            break
        rows[name] = run(name)
        with options.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(rows[name])) + "\n")
        print(rows[name], file=sys.stderr, flush=True)
    print(table([row for name, row in rows.items() if not wanted or name in wanted]))


def drawn(number: int, seed: int) -> list[str]:
    """Names of architectures, of each library a like share."""
    from benchmarks.corpora import architectures

    chance = random.Random(seed)
    found: list[str] = []
    for library in LIBRARIES:
        names = [name for name in architectures.names() if name.startswith(library)]
        found += chance.sample(names, min(len(names), -(-number // len(LIBRARIES))))
    chance.shuffle(found)
    return found[:number]


def run(name: str) -> Row:
    """One architecture through the commands, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="one-answer-") as folder:
        Path(folder, "net.py").write_text(FACTORY.format(name=name), encoding="utf-8")
        try:
            words = ["net.py:model", *_inputs(name)]
            return _run(name, words, folder)
        except (ValueError, KeyError, subprocess.TimeoutExpired) as error:
            return Row(name, error=f"{type(error).__name__}: {error}"[:300])


def _run(name: str, words: Sequence[str], folder: str) -> Row:
    start = time.perf_counter()
    shown, _ = _command(["check", *words, "--no-cache", "--report", "json:report.json"], folder)
    seconds = time.perf_counter() - start
    report = _read(Path(folder, "report.json"))
    verdict = report["verdict"]
    printed, confirmed = [], []
    warnings = [
        finding
        for finding in report["findings"]
        if finding["category"] == "ane" and finding["severity"] == "warning"
    ]
    if warnings:
        answer, error = _command(["plan", *words, "--format", "json"], folder)
        plan = json.loads(answer) if answer else _fail(error)
        refused = {place for op in plan["ops"] if op["cause"] == "refused" for place in _places(op)}
        for finding in warnings:
            text = f"{finding['code']} {'; '.join(sorted(_places(finding)))}"
            printed.append(text)
            if _places(finding) & refused:
                confirmed.append(text)
    row = Row(
        name,
        verdict["headline"],
        len(shown.strip().splitlines()),
        seconds,
        tuple(printed),
        tuple(confirmed),
    )
    if report["convertible"] == "yes":
        return row
    answer, error = _command(["fix", *words, "--emit", "convert.py", "--format", "json"], folder)
    fixed = json.loads(answer) if answer else _fail(error)
    emitted = fixed["emitted"]
    reasons = [str(one["reason"]) for one in fixed["left_to_you"]]
    return Row(
        *(getattr(row, each) for each in ("name", "verdict", "lines", "seconds", "printed", "confirmed")),
        promised=report["repair"] is not None and report["repair"]["converts"],
        fixed=fixed["ships"] and fixed["left_out"] is None,
        emitted=emitted is not None and not emitted["problem"],
        why="; ".join(filter(None, [(emitted or {}).get("problem", ""), *dict.fromkeys(reasons)]))[:600],
    )


def _fail(error: str) -> Any:
    raise ValueError((error.strip().splitlines() or ["nothing was said"])[-1])


def _read(path: Path) -> Any:
    answer = json.loads(path.read_text(encoding="utf-8"))
    return answer.get("reports", [answer])[0]


def _places(entry: Mapping[str, Any]) -> set[str]:
    """``file:line`` of an entry and of the call that led there."""
    sites = (entry.get("site"), entry.get("caller"))
    return {f"{Path(site['path']).name}:{site['line']}" for site in sites if site}


def _command(words: Sequence[str], folder: str) -> tuple[str, str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "convlint", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode not in (0, 1):
        _fail(done.stderr)
    return done.stdout, done.stderr


def _inputs(name: str) -> Iterator[str]:
    """The options that describe the example of an architecture; other things than tensors have none."""
    import torch

    from benchmarks.corpora.architectures import build

    example = build(name)
    for key, value in [*(("", each) for each in example.args), *example.kwargs.items()]:
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"the input {key or 'without a name'} is no tensor")
        shape, dtype = "x".join(map(str, value.shape)), str(value.dtype).removeprefix("torch.")
        text = f"{key}={shape}" if key else shape
        if not value.dtype.is_floating_point:
            low, high = int(value.min()), int(value.max())
            text += f":{dtype}={low}" if low == high else f":{dtype}={low}..{high}"
        elif value.dtype is not torch.float32:
            text += f":{dtype}"
        yield from ("--input", text)


def _kept(path: Path) -> Iterator[Row]:
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        values = json.loads(line)
        yield Row(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
        )


def table(rows: Iterable[Row]) -> str:
    """The counts of the rows as Markdown, and what did not hold below them."""
    rows = list(rows)
    run_ones = [row for row in rows if not row.error]
    refused = [row for row in run_ones if row.promised is not None]
    promised = [row for row in refused if row.promised]
    printed = sum(len(row.printed) for row in run_ones)
    confirmed = sum(len(row.confirmed) for row in run_ones)
    kept = sum(bool(row.fixed) for row in promised)
    more = sum(bool(row.fixed) for row in refused if not row.promised)
    lengths = sorted(row.lines for row in run_ones) or [0]
    lines = [
        "| what | of | holds | share |",
        "|---|---|---|---|",
        _line("warnings about the Neural Engine that the plan confirms", printed, confirmed),
        _line(
            "refused, and the check says that changes help: fix converts, with equal outputs",
            len(promised),
            kept,
        ),
        _line(
            "refused, and the check knows no changes: fix has none",
            len(refused) - len(promised),
            len(refused) - len(promised) - more,
        ),
        _line(
            "refused: plain coremltools converts by the script of `--emit`",
            len(refused),
            sum(bool(row.emitted) for row in refused),
        ),
        "",
        f"{len(run_ones)} of {len(rows)} architectures could be run; {len(refused)} are refused as they are. "
        f"Lines of a report: median {lengths[len(lengths) // 2]}, at most {lengths[-1]}.",
    ]
    for row in rows:
        if row.error:
            lines.append(f"* `{row.name}` was not run: {row.error}")
        if missing := [each for each in row.printed if each not in row.confirmed]:
            lines.append(f"* `{row.name}`: not confirmed: {', '.join(missing)}")
        if row.promised is not None and (row.promised != row.fixed or not row.emitted):
            lines.append(f"* `{row.name}`: {row.verdict} fix: {row.fixed}, script: {row.emitted}; {row.why}")
    return "\n".join(lines)


def _line(what: str, of: int, holds: int) -> str:
    return f"| {what} | {of} | {holds} | {holds / of:.2f} |" if of else f"| {what} | 0 | - | - |"


if __name__ == "__main__":
    main()
