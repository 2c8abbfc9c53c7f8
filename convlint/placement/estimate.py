"""Estimates the time of an op on each unit of a chip: a roofline, fitted to published latencies.

There are two separate estimates. :func:`segmenter_ms` is the one of Core ML when it divides a program;
:func:`unit_ms` is the time of a prediction, according to published latencies.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
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
    activation_gb_s: float
    spill_share: float
    weight_share: float
    op_us: float
    call_ms: float
    mac_call_ms: float


@lru_cache(maxsize=1)
def calibration() -> Calibration:
    """The shipped calibration of the Neural Engine."""
    return Calibration(**_table("calibration")["ane"])


def clear_tables() -> None:
    """Forget the cached tables, so that they are read again after a fit has written one."""
    calibration.cache_clear()
    _table.cache_clear()


@lru_cache
def _table(name: str) -> Mapping[str, Any]:
    with (DATA / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def ane_ms(cost: Cost, chip: Chip, fitted: Calibration) -> float:
    """Milliseconds of one op on the Neural Engine: the slowest of arithmetic, activations and weights."""
    if cost.fused or not chip.ane_tflops:
        return 0.0
    share = {"dense": fitted.dense_share, "grouped": fitted.grouped_share}.get(cost.work)
    compute = cost.flops / (share * chip.ane_tflops * 1e9) if share else 0.0
    speed = fitted.activation_gb_s * chip.ane_tflops / chips()[REFERENCE_CHIP].ane_tflops
    memory = chip.ane_gb_s * 1e6
    traffic = (cost.traffic - cost.spilled) / (speed * 1e6) + cost.spilled / (fitted.spill_share * memory)
    weights = cost.weights / (fitted.weight_share * memory)
    return max(compute, traffic, weights) + fitted.op_us / 1e3


def unit_ms(cost: Cost, chip: Chip) -> dict[Unit, float]:
    """Milliseconds of one op on each unit: fitted for the Neural Engine, assumed for the others."""
    other = _table("calibration")["other"]
    moved = cost.traffic - cost.padding + cost.weights
    gpu = max(
        cost.flops / (other["gpu_share"] * chip.gpu_tflops * 1e9),
        moved / (other["gpu_dram_share"] * chip.dram_gb_s * 1e6),
    )
    cpu = max(cost.flops / (_cpu_tflops(chip) * 1e9), moved / (other["cpu_gb_s"] * 1e6))
    busy = 0.0 if cost.fused else 1.0
    return {
        "ANE": ane_ms(cost, chip, calibration()),
        "GPU": gpu + busy * other["gpu_op_us"] / 1e3,
        "CPU": cpu + busy * other["cpu_op_us"] / 1e3,
    }


def _cpu_tflops(chip: Chip) -> float:
    """The assumed rate of the CPU: that of one generation, less for earlier ones and for iPhones."""
    other = _table("calibration")["other"]
    part = other["cpu_generation_step"] ** (other["cpu_generation"] - chip.generation)
    rate: float = other["cpu_tflops"] * part * (other["cpu_mobile"] if chip.mobile else 1.0)
    return rate


def call_ms(unit: Unit, chip: Chip) -> float:
    """Milliseconds to begin an island: one call of the engine."""
    fitted = calibration()
    if unit == "CPU":
        return 0.0
    return fitted.call_ms if chip.mobile else fitted.mac_call_ms


@dataclass(frozen=True, slots=True)
class Segmenter:
    """The constants by which Core ML divides a program, from ``data/segmenter.toml``."""

    launch_ms: float
    switch_ms: float
    output_ms: float
    source: str


def segmenter(chip: Chip) -> Segmenter:
    """The published constants for this chip; for an iPhone chip an assumed share of them."""
    table = _table("segmenter")
    part = table["mobile_price"] if chip.mobile else 1.0
    launch, switch, output = (table[name] * part for name in ("launch_ms", "switch_ms", "output_ms"))
    return Segmenter(launch, switch, output, table["source"])


def segmenter_ms(kind: str, cost: Cost, chip: Chip) -> dict[Unit, float]:
    """Milliseconds of one op on each unit by Core ML's own cost model."""
    table = _table("segmenter")
    on_ane, on_cpu = table["factor"].get(kind, (1.0, 1.0))
    rate = table["gb_s"] / table["dram_gb_s"] * 1e6
    moved = cost.traffic - cost.padding + cost.weights
    flops = cost.flops / 1e9
    cpu_part = table["mobile_cpu"] if chip.mobile else 1.0
    ane = flops / (table["ane_share_of_peak"] * chip.ane_tflops) if chip.ane_tflops else 0.0
    return {
        "ANE": max(ane if cost.work else 0.0, moved * on_ane / (rate * chip.ane_gb_s)),
        "GPU": max(
            flops / (table["gpu_share_of_peak"] * chip.gpu_tflops),
            moved / (table["gpu_share_of_dram"] * chip.dram_gb_s * 1e6),
        )
        + (0.0 if cost.fused else _table("calibration")["other"]["gpu_op_us"] / 1e3),
        "CPU": max(flops / (table["cpu_tflops"] * cpu_part), moved * on_cpu / (rate * chip.dram_gb_s)),
    }


def around(milliseconds: float, unit: Unit) -> Interval:
    """The estimate with its range: fitted for the Neural Engine, guessed for the others."""
    spread = _table("calibration")["spread"]
    low, high = (
        (spread["low"], spread["high"]) if unit == "ANE" else (spread["other_low"], spread["other_high"])
    )
    return Interval(milliseconds * low, milliseconds, milliseconds * high)


def total(intervals: list[Interval]) -> Interval:
    """The sum of intervals. The errors of one model are correlated, so the ends are added, not averaged."""
    return Interval(
        sum(each.low for each in intervals),
        sum(each.mid for each in intervals),
        sum(each.high for each in intervals),
    )
