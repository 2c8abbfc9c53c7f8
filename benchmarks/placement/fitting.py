"""Fits the calibration of the Neural Engine to published latencies, and predicts families left out."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, replace

from benchmarks.corpora.timed_models import Timed
from convlint.placement.chips import DATA, Device, find_device
from convlint.placement.cost import Cost
from convlint.placement.estimate import Calibration, ane_ms
from convlint.placement.forecast import plan_operations
from convlint.placement.operations import Operation
from convlint.placement.rules import judge_placement

CALIBRATION = DATA / "calibration.toml"
FITTED = (
    "dense_share",
    "grouped_share",
    "product_share",
    "activation_gb_s",
    "spill_gb_s",
    "op_us",
    "call_ms",
)


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
        self.rest = sum(crossing.cost_ms for crossing in made.crossings) + sum(
            op.times["CPU"] for op in made.ops if op.refused
        )

    def predict(self, fitted: Calibration) -> float:
        """Milliseconds with everything on the Neural Engine that it takes."""
        call = fitted.call_ms if self.device.chip.mobile else fitted.mac_call_ms
        spent = sum(ane_ms(cost, self.device.chip, fitted) for cost in self.costs)
        return self.rest + call + spent

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
    product_share=0.4,
    activation_gb_s=80.0,
    spill_gb_s=29.0,
    op_us=1.0,
    call_ms=0.06,
    mac_call_ms=0.19,
)
"""Where the search begins, and what it is drawn to where the data says nothing."""
LARGEST = {"dense_share": 1.2, "grouped_share": 1.0, "product_share": 1.2}
"""What a share may be at most: Winograd's algorithm beats the peak."""


def cross_validated(samples: Sequence[Sample]) -> list[tuple[Sample, float]]:
    """Each sample with the prediction of a fit that has not seen its family."""
    found = []
    for family in sorted({sample.row.family for sample in samples}):
        fitted = fit([sample for sample in samples if sample.row.family != family], PRIOR)
        found += [(sample, sample.predict(fitted)) for sample in samples if sample.row.family == family]
    return found


def write_calibration(fitted: Calibration, low: float, high: float) -> None:
    """Put the fitted numbers into the file, its comments left as they are."""
    text = CALIBRATION.read_text(encoding="utf-8")
    values = {name: value for name, value in asdict(fitted).items() if name in FITTED}
    for name, value in (values | {"low": low, "high": high}).items():
        text = re.sub(rf"(?m)^{name} = [\d.e-]+", f"{name} = {value:.3g}", text)
    CALIBRATION.write_text(text, encoding="utf-8")
