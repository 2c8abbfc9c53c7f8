"""How right plans are, as far as published measurements tell; writes docs/placement.md between its marks.

``python -m benchmarks.placement --collect FILE`` converts the models and the one-op programs (minutes);
``python -m benchmarks.placement --from FILE`` compares with the published tables and prints it,
``--fit`` fits the calibration anew first, ``--write`` puts tables and plots into the documentation.
"""

from __future__ import annotations

import argparse
import math
import pickle
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.corpora.one_op import programs, published
from benchmarks.corpora.timed_models import Timed, builders, timed, unseen
from convlint.model.placement import UNITS, Interval
from convlint.placement.chips import DATA, Device, find_device
from convlint.placement.cost import Cost
from convlint.placement.estimate import Calibration, ane_ms, clear_tables
from convlint.placement.forecast import plan_operations
from convlint.placement.operations import Operation
from convlint.placement.planner import costs_of
from convlint.placement.rules import judge_placement

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "placement.md"
LATENCIES = ROOT / "docs" / "placement-latencies.md"
PLOT = ROOT / "docs" / "placement-latency.svg"
CALIBRATION = DATA / "calibration.toml"
FITTED = (
    "dense_share",
    "grouped_share",
    "activation_gb_s",
    "spill_share",
    "weight_share",
    "op_us",
    "call_ms",
)
LEAST_SPREAD = 1.5

Collected = dict[str, Any]


def collect(path: Path, seconds: float) -> None:
    """Convert what is not in the file yet, and keep the operations there."""
    import logging
    import warnings

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    from convlint.capture.methods import Source, capture
    from convlint.placement.mil_reader import read_mil
    from convlint.placement.operations import with_modules
    from convlint.trial.run import run_trial

    kept: Collected = {"one_op": {}, "models": {}, "failed": {}}
    if path.exists():
        with path.open("rb") as file:
            kept = pickle.load(file)
    for name, kind, make_program in programs(set(published()) - set(kept["one_op"])):
        try:
            kept["one_op"][name] = (kind, read_mil(make_program())[0])
        except Exception as error:
            print(name, f"{type(error).__name__}: {error}"[:300], flush=True)
    print(len(kept["one_op"]), "one-op programs", flush=True)
    start = time.monotonic()
    wanted = {row.key for row in [*timed(), *unseen()]} - set(kept["models"]) - set(kept["failed"])
    for key, build, make in builders(wanted):
        if time.monotonic() - start > seconds:
            print("out of time: run --collect again, it goes on where it ended", flush=True)
            break
        try:
            captured = capture(Source(build, None, lambda make=make: ((make(),), {})))
            tried = run_trial(
                captured.program, captured.graph, "export", "iOS17", "passes", 170, read=read_mil
            )
            kept["models"][key] = with_modules(tried.operations)
            reason = "; ".join(failure.error for failure in tried.failures[:1])
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
        if reason:
            kept["models"].pop(key, None)
            kept["failed"][key] = reason
            print(key, reason[:150], flush=True)
        with path.open("wb") as file:
            pickle.dump(kept, file)
    print(len(kept["models"]), "models", flush=True)


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


def device_of(row: Timed) -> Device:
    return find_device(row.chip, None)


class Sample:
    """One published latency with the costs of its ops on its chip."""

    def __init__(self, row: Timed, operations: Sequence[Operation], costs: Sequence[Cost]) -> None:
        self.row = row
        self.device = device_of(row)
        verdicts = [judge_placement(operation, self.device) for operation in operations]
        pairs = list(zip(costs, verdicts, strict=True))
        self.costs = [cost for cost, verdict in pairs if "ANE" in verdict.allowed]
        made = plan_operations(row.name, list(operations), self.device, "mil", "cpu+ane")
        self.plan = made
        on_ane = sum(island.unit == "ANE" for island in made.islands)
        self.calls = max(on_ane, 1)
        self.rest = sum(crossing.cost_ms for crossing in made.crossings) + sum(
            op.times["CPU"] for op in made.ops if op.refused
        )

    def predict(self, fitted: Calibration) -> float:
        """Milliseconds with everything on the Neural Engine that it takes."""
        call = fitted.call_ms if self.device.chip.mobile else fitted.mac_call_ms
        spent = sum(ane_ms(cost, self.device.chip, fitted) for cost in self.costs)
        return self.rest + self.calls * call + spent

    def error(self, fitted: Calibration) -> float:
        """Logarithm of predicted by published."""
        return math.log(self.predict(fitted) / self.row.milliseconds)


def fit(samples: Sequence[Sample], start: Calibration) -> Calibration:
    """The calibration with the smallest absolute errors; each family counts the same.

    Coordinate descent on the logarithms of the parameters, held near where they may lie.
    """
    weight: dict[str, float] = defaultdict(float)
    for sample in samples:
        weight[sample.row.family] += 1.0

    def loss(fitted: Calibration) -> float:
        errors = sum(abs(sample.error(fitted)) / weight[sample.row.family] ** 0.5 for sample in samples)
        drift = sum(math.log(getattr(fitted, name) / getattr(PRIOR, name)) ** 2 for name in FITTED)
        return errors + 0.05 * drift

    best, least, step = start, loss(start), 0.5
    while step > 0.02:
        better = False
        for name in FITTED:
            for factor in (math.exp(step), math.exp(-step)):
                value = min(getattr(best, name) * factor, LARGEST.get(name, math.inf))
                tried = replace(best, **{name: value})
                if (found := loss(tried)) < least - 1e-9:
                    best, least, better = tried, found, True
        if not better:
            step /= 2
    return best


PRIOR = Calibration(
    dense_share=0.6,
    grouped_share=0.05,
    activation_gb_s=80.0,
    spill_share=1.0,
    weight_share=0.7,
    op_us=1.0,
    call_ms=0.06,
    mac_call_ms=0.19,
)
"""Where the search begins, and what it is drawn to where the data says nothing."""
LARGEST = {"dense_share": 1.2, "grouped_share": 1.0, "weight_share": 1.0, "spill_share": 2.0}
"""What a share may be at most: Winograd's algorithm beats the peak, and a cache beats the memory."""


def cross_validated(samples: Sequence[Sample]) -> list[tuple[Sample, float]]:
    """Each sample with the prediction of a fit that has not seen its family."""
    found = []
    for family in sorted({sample.row.family for sample in samples}):
        fitted = fit([sample for sample in samples if sample.row.family != family], PRIOR)
        found += [(sample, sample.predict(fitted)) for sample in samples if sample.row.family == family]
    return found


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's: the correlation of ranks, ties sharing theirs."""

    def ranks(values: Sequence[float]) -> list[float]:
        order = sorted(values)
        return [order.index(value) + (order.count(value) - 1) / 2 for value in values]

    return statistics.correlation(ranks([a for a, _ in pairs]), ranks([b for _, b in pairs]))


def error_of(ratio: float) -> float:
    """How far off a prediction is, as a factor above 1 less 1: twice and half are both 100 %."""
    return math.exp(abs(math.log(ratio))) - 1


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


def low_high(ratios: Sequence[float]) -> tuple[float, float]:
    """Factors around a prediction that hold four of five published latencies.

    Never narrower than half more or less: sources differ by a third on the same model and chip.
    """
    turned = sorted(1 / ratio for ratio in ratios)
    low, high = turned[int(0.1 * len(turned))], turned[min(int(0.9 * len(turned)), len(turned) - 1)]
    return min(low, 1 / LEAST_SPREAD), max(high, LEAST_SPREAD)


def write_calibration(fitted: Calibration, low: float, high: float) -> None:
    """Put the fitted numbers into the file, its comments left as they are."""
    text = CALIBRATION.read_text(encoding="utf-8")
    values = {name: value for name, value in asdict(fitted).items() if name in FITTED}
    for name, value in (values | {"low": low, "high": high}).items():
        text = re.sub(rf"(?m)^{name} = [\d.e-]+", f"{name} = {value:.3g}", text)
    CALIBRATION.write_text(text, encoding="utf-8")


def plot(checked: Sequence[tuple[Sample, float]], planned: Sequence[tuple[Timed, Interval]]) -> str:
    """Published against predicted on logarithmic axes, as SVG of words and circles.

    Open circles are the rows that nothing was fitted to.
    """
    size, edge = 420, 50
    circles = [(sample.row, predicted, "#2563eb") for sample, predicted in checked]
    circles += [(row, latency.mid, "none") for row, latency in planned]
    values = [value for row, predicted, _ in circles for value in (row.milliseconds, predicted)]
    low, high = math.log10(min(values)) - 0.1, math.log10(max(values)) + 0.1

    def at(value: float) -> float:
        return edge + (math.log10(value) - low) / (high - low) * (size - 2 * edge)

    ticks = [t for t in (0.1, 0.3, 1, 3, 10, 30, 100) if low < math.log10(t) < high]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" font-family="sans-serif" '
        'font-size="11" role="img">',
        "<title>Published latencies against those predicted without the family of the model</title>",
        f'<rect width="{size}" height="{size}" fill="white"/>',
        f'<path d="M{edge} {size - edge}L{size - edge} {edge}" stroke="#888"/>',
    ]
    for tick in ticks:
        x, y = at(tick), size - at(tick)
        parts.append(f'<path d="M{x:.1f} {edge}V{size - edge}M{edge} {y:.1f}H{size - edge}" stroke="#eee"/>')
        parts.append(f'<text x="{x:.1f}" y="{size - edge + 15}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{edge - 5}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for row, predicted, fill in circles:
        told = f"{row.name}, {row.chip}: {row.milliseconds:g} ms, predicted {predicted:.2g} ms"
        told = told.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        x, y = at(row.milliseconds), size - at(predicted)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" fill-opacity="0.6" stroke="#2563eb">'
            f"<title>{told}</title></circle>"
        )
    parts.append(f'<text x="{size / 2}" y="{size - 12}" text-anchor="middle">published, ms</text>')
    parts.append(
        f'<text x="14" y="{size / 2}" text-anchor="middle" transform="rotate(-90 14 {size / 2})">'
        "predicted, ms</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


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
