"""The tables of the placement benchmark, as lines of Markdown."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence

from benchmarks.corpora import in_context
from benchmarks.corpora.one_op import published
from benchmarks.corpora.timed_models import Timed, timed, unseen
from benchmarks.corpora.whole_networks import UNITS as PINNED
from benchmarks.corpora.whole_networks import published_units, times
from benchmarks.placement.errors import error_of, low_high, rank_correlation
from benchmarks.placement.fitting import Sample, device_of
from benchmarks.placement.programs import Collected
from convlint.model.placement import UNITS, ComputeUnits, Interval
from convlint.placement.chips import chips, find_device
from convlint.placement.estimate import gpu_tflops
from convlint.placement.forecast import plan_operations
from convlint.placement.rules import judge_placement

ALL: ComputeUnits = "all"


def one_op_table(kept: Collected) -> tuple[list[str], list[tuple[str, str, str]]]:
    """Agreement with the published one-op placements, in words, and every miss."""
    device = find_device("M4", "macOS15")
    units = published()
    on_ane = exact = 0
    misses = []
    for name, (kind, operations) in kept["one_op"].items():
        own = [operation for operation in operations if operation.kind == kind]
        verdicts = [judge_placement(operation, device) for operation in own or operations]
        allowed = tuple(unit for unit in UNITS if all(unit in verdict.allowed for verdict in verdicts))
        wanted = tuple(unit for unit in UNITS if unit in units[name])
        on_ane += ("ANE" in allowed) == ("ANE" in wanted)
        exact += allowed == wanted
        if allowed != wanted:
            misses.append((name, ", ".join(wanted), ", ".join(allowed)))
    total = len(kept["one_op"])
    missing = sorted(set(units) - set(kept["one_op"]))
    lines = [
        f"{len(units)} tests with a result; {total} of them could be built here"
        + (f" (not: {', '.join(missing)})" if missing else "")
        + ".",
        "",
        f"* On the Neural Engine or not: **{on_ane} of {total}** agree ({on_ane / total:.1%}).",
        f"* All three units: **{exact} of {total}** agree ({exact / total:.1%}).",
    ]
    return lines, misses


def chip_table() -> list[str]:
    """What of each chip was measured, follows from a source, or is assumed."""
    lines = [
        "| chip | engine, TFLOPS | its weights, GB/s | memory, GB/s | GPU, TFLOPS of products | assumed |",
        "|---|---|---|---|---|---|",
    ]
    for chip in chips().values():
        lines.append(
            f"| {chip.name} | {chip.ane_tflops:g} ({chip.ane_basis}) | {chip.ane_gb_s:g} "
            f"| {chip.dram_gb_s:g} | {gpu_tflops(chip):.3g} | {', '.join(chip.assumed)} |"
        )
    return lines


def context_table(kept: Collected) -> list[str]:
    """Agreement with the units that Core ML chose for ops between layers, on M4 without its GPU."""
    device = find_device("M4", "macOS15")
    asked: Counter[str] = Counter()
    right: Counter[str] = Counter()
    misses = []
    for name, operations in kept["context"].items():
        planned = plan_operations(name, operations, device, "mil", "cpu+ane").ops
        told = in_context.published(name, len(planned))
        for unit, op in zip(told, planned, strict=True):
            if unit != ".":
                asked[op.kind] += 1
                right[op.kind] += op.unit.startswith(unit)
        got = "".join(op.unit[0] for op in planned)
        if any(unit not in (".", own) for unit, own in zip(told, got, strict=True)):
            misses.append(f"* {name}: published {told}, planned {got}")
    total = asked.total()
    kinds = ", ".join(f"{kind} {right[kind]} of {asked[kind]}" for kind in ("conv", "linear", "matmul"))
    return [
        f"{len(kept['context'])} models, {total} ops: **{right.total() / total:.1%}** where Core ML put them "
        f"({kinds}).",
        *(["", *misses] if misses else []),
    ]


def network_table(kept: Collected) -> list[str]:
    """Published and planned times of whole networks, on both pinned choices of units."""
    lines = [
        "| network | chip | units | published, ms | planned, ms | of its ops on that unit |",
        "|---|---|---|---|---|---|",
    ]
    errors = []
    faster = 0
    rows = times()
    for row in rows:
        planned = {}
        for units, milliseconds in row.milliseconds.items():
            made = plan_operations(
                row.name, kept["networks"][row.name], find_device(row.chip, None), "mil", units
            )
            planned[units] = made.latency_ms.mid
            errors.append(error_of(made.latency_ms.mid / milliseconds))
            share = made.share.by_op["ANE" if units == "cpu+ane" else "GPU"]
            lines.append(
                f"| {row.name} | {row.chip} | {units} | {milliseconds:.3g} | {made.latency_ms.mid:.3g} "
                f"| {share:.0%} |"
            )
        faster += min(planned, key=lambda units: planned[units]) == row.faster
    return [
        *lines,
        "",
        f"{len(errors)} times: **median error {statistics.median(errors):.0%}**; the faster choice is right "
        f"in **{faster} of {len(rows)}**.",
    ]


def unit_table(kept: Collected) -> list[str]:
    """Agreement with the units that Core ML chose for the ops of whole networks, for each choice of units."""
    lines = ["| chip | units | " + " | ".join(kept["networks"]) + " | in all |"]
    lines.append("|---" * (len(kept["networks"]) + 3) + "|")
    for chip in ("M4 Pro", "M5 Max"):
        for units in (*PINNED, ALL):
            asked, right = Counter[str](), Counter[str]()
            for name, operations in kept["networks"].items():
                seen = Counter[str]()
                for op in plan_operations(name, operations, find_device(chip, None), "mil", units).ops:
                    told = published_units(name, chip, units, op.kind, seen[op.kind])
                    seen[op.kind] += 1
                    asked[name] += told != ""
                    right[name] += told == op.unit[0]
            cells = [f"{right[name] / asked[name]:.1%}" for name in kept["networks"]]
            total = f"**{right.total() / asked.total():.1%}** of {asked.total()}"
            lines.append(f"| {chip} | {units} | {' | '.join(cells)} | {total} |")
    return lines


def latency_tables(checked: Sequence[tuple[Sample, float]]) -> list[str]:
    """Errors by family, and in all, of models that the fit has not seen."""
    lines = ["| family | rows | median error | predicted / published |", "|---|---|---|---|"]
    families: dict[str, list[float]] = defaultdict(list)
    for sample, predicted in checked:
        families[sample.row.family].append(predicted / sample.row.milliseconds)
    for family, ratios in sorted(families.items()):
        error = statistics.median(map(error_of, ratios))
        lines.append(f"| {family} | {len(ratios)} | {error:.0%} | {min(ratios):.2f} to {max(ratios):.2f} |")
    ratios = [ratio for some in families.values() for ratio in some]
    pairs = [(predicted, sample.row.milliseconds) for sample, predicted in checked]
    low, high = low_high(ratios)
    inside = sum(low <= 1 / ratio <= high for ratio in ratios)
    lines += [
        "",
        f"{len(ratios)} latencies of {len(families)} families, each predicted by a fit without its family: "
        f"**median error {statistics.median(map(error_of, ratios)):.0%}**, "
        f"**rank correlation {rank_correlation(pairs):.2f}**, "
        f"{sum(0.5 <= ratio <= 2 for ratio in ratios) / len(ratios):.0%} within a factor of two. "
        f"{inside / len(ratios):.0%} lie in the range that a plan prints.",
    ]
    return lines


def left_out(kept: Collected) -> list[str]:
    """The models of published latencies that are not in the tables, and why."""
    lines = [f"* {key}: {told_reason(reason)}" for key, reason in kept["failed"].items()]
    missing = sorted({row.key for row in [*timed(), *unseen()]} - set(kept["models"]) - set(kept["failed"]))
    if missing:
        lines.append(f"* Not converted in this run, for want of time: {', '.join(missing)}.")
    return [*lines, *NEVER]


NEVER = (
    "* gpt2-large of 32, 96 and 128 tokens: half of the lengths of one model are enough; 16, 64 and 192 are"
    " in.",
    "* Rows without a chip, an input or a model that can be built here (Stable Diffusion, Llama, YOLO, MOAT),"
    " and those of the CPU or GPU alone.",
)
"""What is published and not even tried, with the reason."""


def told_reason(reason: str) -> str:
    """The first words of why a model is left out, without paths."""
    return re.sub(r" at /\S+?:\d+.*", "", reason)[:200]


def miss_table(misses: Sequence[tuple[str, str, str]]) -> list[str]:
    """Every test where the plan and the study differ."""
    if not misses:
        return ["No test differs."]
    head = ["| test | published | convlint |", "|---|---|---|"]
    return head + [f"| {name} | {a} | {b} |" for name, a, b in misses]


def row_table(checked: Sequence[tuple[Sample, float]]) -> list[str]:
    """Every latency with its prediction, and where it is published."""
    lines = ["| model | chip | published | predicted | source |", "|---|---|---|---|---|"]
    for sample, predicted in sorted(checked, key=lambda pair: (pair[0].row.family, pair[0].row.milliseconds)):
        row = sample.row
        lines.append(
            f"| {row.name} ({row.key}) | {row.chip} | {row.milliseconds:g} | {predicted:.3g} "
            f"| {cited(row.source)} |"
        )
    return lines


def planned_unseen(kept: Collected) -> list[tuple[Timed, Interval]]:
    """What a plan says of latencies that nothing was fitted to, with all compute units."""
    models = kept["models"]
    return [
        (row, plan_operations(row.name, models[row.key], device_of(row), "mil").latency_ms)
        for row in unseen()
        if row.key in models
    ]


def unseen_table(planned: Sequence[tuple[Timed, Interval]]) -> list[str]:
    """Each of those with its whole range."""
    return [
        "| model | chip | published | planned | range | source |",
        "|---|---|---|---|---|---|",
        *(
            f"| {row.name} | {row.chip} | {row.milliseconds:g} | {latency.mid:.3g} "
            f"| {latency.low:.3g} to {latency.high:.3g} | {cited(row.source)} |"
            for row, latency in planned
        ),
    ]


def unseen_summary(planned: Sequence[tuple[Timed, Interval]]) -> list[str]:
    """How far they are off."""
    pairs = [(latency.mid, row.milliseconds) for row, latency in planned]
    inside = sum(latency.low <= row.milliseconds <= latency.high for row, latency in planned)
    if len(pairs) < 2:
        return ["None was converted in this run."]
    errors = [error_of(mid / told) for mid, told in pairs]
    return [
        f"{len(pairs)} latencies: **median error {statistics.median(errors):.0%}**, "
        f"**rank correlation {rank_correlation(pairs):.2f}**, "
        f"{sum(error <= 1 for error in errors) / len(pairs):.0%} within a factor of two, "
        f"{inside / len(pairs):.0%} in the range that the plan prints.",
    ]


def cited(source: str) -> str:
    """A link where the source is one."""
    return f"[source]({source})" if source.startswith("http") else source
