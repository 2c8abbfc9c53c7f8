"""Estimates the time of an op on each unit of a chip: a roofline, fitted to published latencies.

Core ML divides a program by an estimate of its own (:mod:`convlint.placement.segmenter`); this is the time of
a prediction, according to published latencies.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from convlint.model.placement import Interval, Unit
from convlint.placement.chips import DATA, Chip, chips
from convlint.placement.cost import Cost

REFERENCE_CHIP = "A14"
"""The chip whose ``activation_gb_s`` was fitted; for others it scales with their peak."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The fitted numbers of ``data/calibration.toml``."""

    dense_share: float
    grouped_share: float
    product_share: float
    activation_gb_s: float
    spill_gb_s: float
    op_us: float
    call_ms: float
    mac_call_ms: float


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The shipped calibration of the Neural Engine."""
    return Calibration(**calibration_table()["ane"])


def clear_tables() -> None:
    """Forget the cached tables, so that they are read again after a fit has written one."""
    calibration.cache_clear()
    calibration_table.cache_clear()


@lru_cache(maxsize=1)
def calibration_table() -> Mapping[str, Any]:
    """``data/calibration.toml`` as it stands."""
    with (DATA / "calibration.toml").open("rb") as file:
        return tomllib.load(file)


ARITHMETIC, VALUES, WEIGHTS, EACH = "arithmetic", "values", "weights", "each op"
"""The parts of a time on the Neural Engine: the slowest of the first three counts, and the last always."""
CALL, ON_GPU, ON_CPU = "call", "GPU", "CPU"
FACTORS = (ARITHMETIC, VALUES, WEIGHTS, CALL, ON_GPU, ON_CPU)
"""The times that a user can fit to measurements; three are those parts, and a call is that of an engine."""


def ane_ms(cost: Cost, chip: Chip, fitted: Calibration) -> float:
    """Milliseconds of one op on the Neural Engine: the slowest of arithmetic, activations and weights."""
    return slowest(ane_parts(cost, chip, fitted), chip.factor)


def slowest(parts: Mapping[str, float], factor: Callable[[str], float]) -> float:
    """The time of an op on the Neural Engine of its parts, each by its factor."""
    if not parts:
        return 0.0
    return max(parts[name] * factor(name) for name in (ARITHMETIC, VALUES, WEIGHTS)) + parts[EACH]


def ane_parts(cost: Cost, chip: Chip, fitted: Calibration) -> dict[str, float]:
    """Milliseconds of the parts of one op on the Neural Engine; empty where it takes no time there."""
    if cost.fused or not chip.ane_tflops:
        return {}
    shares = {"dense": fitted.dense_share, "grouped": fitted.grouped_share, "product": fitted.product_share}
    share = shares.get(cost.work)
    compute = cost.flops / (share * chip.ane_tflops * 1e9) if share else 0.0
    speed = fitted.activation_gb_s * chip.ane_tflops / chips()[REFERENCE_CHIP].ane_tflops
    spilled = cost.spilled(resident_bytes(chip))
    traffic = ((cost.traffic - spilled) / speed + spilled / fitted.spill_gb_s) / 1e6
    weights = cost.weights / (chip.ane_gb_s * 1e6)
    return {ARITHMETIC: compute, VALUES: traffic, WEIGHTS: weights, EACH: fitted.op_us / 1e3}


def resident_bytes(chip: Chip) -> int:
    """The bytes of a value that stay on the Neural Engine between two ops."""
    sizes = calibration_table()["resident_mb"]
    return int(1e6 * next(size for first, size in reversed(sizes) if chip.generation >= first))


def unit_ms(cost: Cost, chip: Chip) -> dict[Unit, float]:
    """Milliseconds of one op on each unit: fitted for the Neural Engine, assumed for the others."""
    other = calibration_table()["other"]
    moved = cost.traffic - cost.padding + cost.weights
    cpu = max(cost.flops / (_cpu_tflops(chip) * 1e9), moved / (other["cpu_gb_s"] * 1e6))
    busy = 0.0 if cost.fused else 1.0
    return {
        "ANE": ane_ms(cost, chip, calibration()),
        "GPU": gpu_ms(cost, chip) * chip.factor(ON_GPU),
        "CPU": (cpu + busy * other["cpu_op_us"] / 1e3) * chip.factor(ON_CPU),
    }


def gpu_ms(cost: Cost, chip: Chip) -> float:
    """Milliseconds of one op on the GPU: the slower of arithmetic and bytes, and its dispatch."""
    moved = cost.gpu_traffic + cost.weights
    busy = max(cost.flops / (gpu_tflops(chip) * 1e9), moved / (gpu_gb_s(chip, cost.entrywise) * 1e6))
    return busy + (0.0 if cost.fused or cost.stitched else dispatch_ms())


def dispatch_ms() -> float:
    """Milliseconds of each kernel of the GPU."""
    milliseconds: float = calibration_table()["other"]["gpu_op_us"] / 1e3
    return milliseconds


def gpu_tflops(chip: Chip) -> float:
    """Of matrix products on the GPU: measured, or the share of the peak that was measured elsewhere."""
    if chip.gpu_core_tflops is not None:
        return chip.gpu_core_tflops * chip.gpu_cores
    share: float = calibration_table()["other"]["gpu_matrix_share"]
    return share * chip.gpu_tflops


def gpu_gb_s(chip: Chip, entrywise: bool) -> float:
    """Of values between ops on the GPU: measured, or the share of the memory's that was measured elsewhere.

    Functions of each entry reach less, and nowhere more than was ever measured.
    """
    other = calibration_table()["other"]
    rate: float = other["gpu_dram_share"] * chip.dram_gb_s if chip.gpu_gb_s is None else chip.gpu_gb_s
    if not entrywise:
        return rate
    least: float = min(other["gpu_entry_share"] * chip.dram_gb_s, other["gpu_entry_most_gb_s"])
    return least if chip.gpu_entry_gb_s is None else chip.gpu_entry_gb_s


def _cpu_tflops(chip: Chip) -> float:
    """The assumed rate of the CPU: that of one generation, less for earlier ones and for iPhones."""
    other = calibration_table()["other"]
    part = other["cpu_generation_step"] ** (other["cpu_generation"] - chip.generation)
    rate: float = other["cpu_tflops"] * part * (other["cpu_mobile"] if chip.mobile else 1.0)
    return rate


def change_ms(chip: Chip) -> float:
    """Milliseconds to hand over from one unit to another, in the middle of a prediction."""
    change = calibration_table()["change"]
    price: float = change["change_ms"] * (change["mobile_change"] if chip.mobile else 1.0)
    return price


def copy_gb_s() -> float:
    """The rate at which values are copied from one unit to another."""
    rate: float = calibration_table()["change"]["copy_gb_s"]
    return rate


def call_ms(unit: Unit, chip: Chip) -> float:
    """Milliseconds of the first call of an engine in a prediction."""
    fitted = calibration()
    if unit == "CPU":
        return 0.0
    return (fitted.call_ms if chip.mobile else fitted.mac_call_ms) * chip.factor(CALL)


def around(milliseconds: float, unit: Unit) -> Interval:
    """The estimate with its range: fitted for the Neural Engine, guessed for the others."""
    spread = calibration_table()["spread"]
    begin = {"ANE": "", "GPU": "gpu_", "CPU": "other_"}[unit]
    low, high = spread[f"{begin}low"], spread[f"{begin}high"]
    return Interval(milliseconds * low, milliseconds, milliseconds * high)


def total(intervals: list[Interval]) -> Interval:
    """The sum of intervals. The errors of one model are correlated, so the ends are added, not averaged."""
    return Interval(
        sum(each.low for each in intervals),
        sum(each.mid for each in intervals),
        sum(each.high for each in intervals),
    )
