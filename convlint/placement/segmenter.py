"""The cost model by which Core ML divides a program among the units: prices of a change, and rates of ops.

All of it is in ``data/segmenter.toml``, with its sources. It says where ops go; how long they take is another
estimate (:mod:`convlint.placement.estimate`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from convlint.model.placement import Unit
from convlint.placement.chips import DATA, Chip, chips
from convlint.placement.cost import Cost, flops_of, stored_bytes
from convlint.placement.estimate import gpu_tflops
from convlint.placement.operations import Operation, numel


@dataclass(frozen=True, slots=True)
class Segmenter:
    """Milliseconds to enter an engine, to change the unit, and for an output on the Neural Engine."""

    launch_ms: float
    switch_ms: float
    output_ms: float
    source: str


@lru_cache(maxsize=1)
def _table() -> Mapping[str, Any]:
    with (DATA / "segmenter.toml").open("rb") as file:
        return tomllib.load(file)


def segmenter(chip: Chip) -> Segmenter:
    """The published constants for this chip; for an iPhone chip an assumed share of them."""
    table = _table()
    part = table["mobile_price"] if chip.mobile else 1.0
    launch, switch, output = (table[name] * part for name in ("launch_ms", "switch_ms", "output_ms"))
    return Segmenter(launch, switch, output, table["source"])


def segmenter_ms(operation: Operation, cost: Cost, chip: Chip) -> dict[Unit, float]:
    """Milliseconds of one op on each unit by Core ML's own cost model."""
    table = _table()
    flops, moved = flops_of(operation), _bytes(operation)
    rate = table["gb_s"] * 1e6
    gpu_rate = rate * chip.dram_gb_s / chips()[table["gpu_chip"]].dram_gb_s
    ane_part = chip.ane_tflops / chips()[table["chip"]].ane_tflops
    cpu_part = table["mobile_cpu"] if chip.mobile else 1.0
    product = _product(table["product"], operation, flops, moved)
    if product is None:
        on_ane, on_cpu, on_gpu = _factors(table, operation, moved)
        ane, cpu, gpu = moved * on_ane / rate, moved * on_cpu / rate, moved * on_gpu / gpu_rate
    else:
        on_ane, on_cpu, *rest = product["gflops"]
        rated = _squared(operation) if "squared" in product else flops
        best = gpu_tflops(chip) * table["gpu_share"] * 1e9
        share = (rest[0] if rest else on_cpu) / table["most_gflops"]
        gpu = max(rated / (best * share), moved * table["factor"]["default"][2] / gpu_rate)
        ane = rated / (on_ane * ane_part * 1e6) if ane_part else 0.0
        ane = max(ane, moved * product["ane_factor"] / rate) if "ane_factor" in product else ane
        cpu = flops / (on_cpu * cpu_part * 1e6)
    return {"ANE": ane, "GPU": gpu, "CPU": cpu}


def _factors(table: Mapping[str, Any], operation: Operation, moved: int) -> list[float]:
    """How much longer than a relu of so many bytes: on the Neural Engine, the CPU and the GPU."""
    found: list[float] = table["factor"].get(operation.kind, table["factor"]["default"])
    if moved <= table["large"]["above_mb"] * 1e6:
        return found
    by_number = operation.kind == "mul" and sum(numel(meta.shape) > 1 for meta in operation.activations) < 2
    name = "mul_by_number" if by_number else operation.kind
    large: list[float] = table["large"].get(name, found)
    return large


def _squared(operation: Operation) -> int:
    """Rows times the square of the depth of a linear."""
    depth = operation.attributes.get("depth")
    rows = sum(numel(meta.shape[:-1]) for meta in operation.outputs)
    return rows * depth**2 if isinstance(depth, int) else 0


def _product(
    rates: list[Mapping[str, Any]], operation: Operation, flops: int, moved: int
) -> Mapping[str, Any] | None:
    """The first rate that is for an op like this one; None for ops that only move bytes."""
    entries = sum(numel(meta.shape) for meta in operation.outputs)
    depth = operation.attributes.get("depth")
    have = {
        "intensity_below": flops / moved if moved else 0.0,
        "entries_below": entries,
        "depth_below": depth if isinstance(depth, int) else 0,
    }
    for rate in rates:
        if operation.kind not in rate["kinds"] or entries < rate.get("entries_from", 0):
            continue
        if all(value < rate[name] for name, value in have.items() if name in rate):
            return rate
    return None


def _bytes(operation: Operation) -> int:
    """Bytes of inputs, outputs and weights; of the table of a lookup only what is read."""
    return stored_bytes([*operation.tensors, *(() if operation.kind == "gather" else operation.weights)])
