"""How often the rules alone say what coremltools does: agreement, precision and recall, wrong cases by name.

    python -m benchmarks.truth --corpus opinfo          # the real conversions, resumable
    python -m benchmarks.accuracy --corpus opinfo

"Will fail" is the positive answer. The truth is the full conversion through torch.export with real
weights; the static verdict is that of ``convlint.check(..., trial=None)``. Captured graphs are kept
beside the truth, so that after a change of the rules only the matching runs again (``--rematch``).
A case that torch.export refuses, or whose module does not run, has no truth about coremltools and
is counted apart. ``--sample N --seed S`` takes N cases.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import pickle
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.corpora import CORPORA, corpus
from benchmarks.truth import outcome, read_rows
from convlint.checking.judgement import static_verdict
from convlint.coreml.supported import snapshot
from convlint.model import CaptureFailure, Finding, Graph, OpCall, Port, TensorArg, TensorMeta
from convlint.rules.match import Environment, group_findings, match_failures, match_graph
from convlint.rules.rulebook import Rulebook, load_rulebook

RESULTS = Path(__file__).parent / "results"
LIMIT = 120.0
FRESH = 100
NOT_BUILT = "not built: "


@dataclass(frozen=True, slots=True)
class Captured:
    """What one capture gave, without the program itself."""

    graph: Graph | None
    failures: tuple[CaptureFailure, ...]
    exported: bool
    error: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One case: did it really fail, do the rules say so, and what did each say."""

    name: str
    fails: bool
    foretold: bool
    truth: str
    said: str


def capture_case(corpus_name: str, name: str, store: Path) -> None:
    """Capture one case and keep it in ``store``."""
    from convlint.capture.methods import Source, capture, quiet_torch
    from convlint.errors import ConvlintError

    try:
        with quiet_torch():
            example = corpus(corpus_name).build(name)
        source = Source(None, example.module, lambda: (example.args, example.kwargs))
        found = capture(source, LIMIT)
        kept = Captured(found.graph, found.failures, found.program is not None)
    except ConvlintError as error:
        kept = Captured(None, (), False, str(error))
    except Exception as error:  # a case that cannot be built is counted, not fatal
        kept = Captured(None, (), False, f"{NOT_BUILT}{type(error).__name__}: {error}")
    path = _kept(store, name)
    plain = (kept.graph, kept.failures, kept.exported, kept.error)
    path.with_suffix(".part").write_bytes(pickle.dumps(plain))
    path.with_suffix(".part").rename(path)


def _kept(store: Path, name: str) -> Path:
    return store / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.pickle"


def kept_capture(store: Path, name: str) -> Captured:
    """What :func:`capture_case` kept of a case."""
    return Captured(*pickle.loads(_kept(store, name).read_bytes()))


def judge(kept: Captured, rules: Rulebook, environment: Environment) -> tuple[bool, str]:
    """Whether the rules foretell a failure, and the codes that say so.

    ``convlint check`` refuses a model that returns Python values alone before it asks any rule.
    """
    if kept.graph is not None and kept.graph.outputs:
        made = {call.name for call in kept.graph.calls}
        if all(port.meta is None and port.name not in made for port in kept.graph.outputs):
            return True, "no tensor output"
    matches = match_failures(rules, kept.failures if not kept.exported else (), environment)
    if kept.graph is not None:
        matches += match_graph(rules, kept.graph, environment)
    findings: tuple[Finding, ...] = group_findings(matches)
    verdict = static_verdict(findings, exported=kept.exported)
    codes = sorted({finding.rule.code for finding in findings if finding.severity == "error"})
    return verdict != "yes", ", ".join(codes) or kept.error or verdict


def compare(
    rows: dict[str, dict[str, Any]], names: Iterable[str], store: Path, release: str
) -> tuple[list[Case], int]:
    """Every case that has a truth, and how many have none."""
    rules = load_rulebook()
    environment = Environment(
        coremltools=release, torch=_torch_version(rows), supported=snapshot(release), target="iOS18"
    )
    cases = []
    without = 0
    for name in names:
        row = rows.get(name)
        path = _kept(store, name)
        if row is None or not path.exists() or outcome(row) not in ("converts", "refused"):
            without += 1
            continue
        kept = kept_capture(store, name)
        if kept.error.startswith(NOT_BUILT):
            without += 1
            continue
        foretold, said = judge(kept, rules, environment)
        truth = str(row.get("error", "converts"))
        cases.append(Case(name, outcome(row) == "refused", foretold, truth, said))
    return cases, without


def _nouns() -> str:
    """A mark that changes with the fields of the nouns that captures are kept as."""
    fields = [noun.__slots__ for noun in (TensorArg, TensorMeta, OpCall, Port, Graph, CaptureFailure)]
    return hashlib.sha256(repr(fields).encode()).hexdigest()[:8]


def _torch_version(rows: dict[str, dict[str, Any]]) -> str:
    return str(next(iter(rows.values()))["torch"]).partition("+")[0]


def report(cases: Sequence[Case], without: int) -> str:
    """The figures, then the wrong cases by name."""
    hits = sum(case.fails and case.foretold for case in cases)
    fails = sum(case.fails for case in cases)
    told = sum(case.foretold for case in cases)
    right = sum(case.fails == case.foretold for case in cases)
    lines = [
        "| cases | fail | agreement | precision | recall | no truth |",
        "|---|---|---|---|---|---|",
        f"| {len(cases)} | {fails} | {_share(right, len(cases))} | {_share(hits, told)} "
        f"| {_share(hits, fails)} | {without} |",
        "",
    ]
    wrong = [case for case in cases if case.fails != case.foretold]
    for case in wrong:
        kind = "missed" if case.fails else "cried wolf"
        what = case.truth if case.fails else case.said
        lines.append(f"* {kind}: `{case.name}`: {' '.join(what.split())[:160]}")
    return "\n".join(lines) + "\n"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Capture what is not captured yet, match, and print the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--corpus", choices=sorted(CORPORA), default="opinfo")
    parser.add_argument("--release", default="9.0", help="the release of coremltools (default: 9.0)")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sample", type=int, help="so many cases only")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rematch", action="store_true", help="use kept captures alone")
    parser.add_argument("--json", type=Path, help="write every case there")
    options = parser.parse_args(arguments)
    rows = read_rows(options.results / f"{options.corpus}-{options.release}.jsonl")
    if not rows:
        sys.stderr.write(f"no truth yet: run python -m benchmarks.truth --corpus {options.corpus} first\n")
        return 2
    names = list(rows)
    if options.sample:
        names = random.Random(options.seed).sample(sorted(names), min(options.sample, len(names)))
    store = options.results / f"captured-{options.corpus}-{_nouns()}"
    store.mkdir(parents=True, exist_ok=True)
    missing = [name for name in names if not _kept(store, name).exists()]
    if missing and not options.rematch:
        capture_all(options.corpus, missing, store, options.jobs)
    cases, without = compare(rows, names, store, options.release)
    sys.stdout.write(report(cases, without))
    if options.json:
        data = [{field: getattr(case, field) for field in Case.__slots__} for case in cases]
        options.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return 0


def capture_all(corpus_name: str, names: Sequence[str], store: Path, jobs: int) -> None:
    """Capture the cases in worker processes, each replaced after a while."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, maxtasksperchild=FRESH) as pool:
        pending = [pool.apply_async(capture_case, (corpus_name, name, store)) for name in names]
        for number, result in enumerate(pending, 1):
            try:
                result.get(LIMIT * 5)
            except multiprocessing.TimeoutError:
                sys.stderr.write(f"\n{names[number - 1]}: no capture in {LIMIT * 5:g} s\n")
            sys.stderr.write(f"\rcaptured {number}/{len(names)}")
            sys.stderr.flush()
    sys.stderr.write("\n")


if __name__ == "__main__":
    sys.exit(main())
