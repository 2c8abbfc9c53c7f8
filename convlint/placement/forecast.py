"""Makes the plan of a program whose operations were read."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from convlint.errors import UsageError
from convlint.model import Graph, Report
from convlint.model.placement import COMPUTE_UNITS, ComputeUnits, Level, Plan
from convlint.nearest import did_you_mean
from convlint.placement.advice import advice_of
from convlint.placement.blockers import blockers_of
from convlint.placement.chips import Device
from convlint.placement.first_launch import first_launch_of, with_two_engines
from convlint.placement.operations import Operation
from convlint.placement.planner import Planner
from convlint.placement.rules import Precision
from convlint.placement.what_if import Declared, choices_of, what_ifs_of
from convlint.rules.rulebook import load_rulebook

PRECISIONS: tuple[Precision, ...] = ("float16", "float32")
LARGE_WEIGHTS = 1 << 30
"""About the size of weights that the Neural Engine of an iPhone takes:
https://github.com/apple/coremltools/blob/e0e2f42/docs-guides/source/mlmodel-utilities.md"""


def check_words(compute_units: str, precision: str) -> None:
    """Raise a UsageError for unknown words that names the nearest known one."""
    for name, word, known in (
        ("compute units", compute_units, tuple(COMPUTE_UNITS)),
        ("precision", precision, PRECISIONS),
    ):
        if word not in known:
            hint = did_you_mean(word, known)
            raise UsageError(f"unknown {name} {word!r}.{hint} Known: {', '.join(known)}.")


def plan_program(
    name: str,
    operations: list[Operation],
    graph: Graph,
    device: Device,
    target: str,
    level: Level = "mil",
    compute_units: ComputeUnits = "all",
    precision: Precision = "float16",
    declared: Declared = "",
    *,
    notes: Sequence[str] = (),
    seconds: Mapping[str, float] | None = None,
) -> Plan:
    """The plan of a program whose operations were read, of the model with this ``graph``."""
    start = time.perf_counter()
    planned = plan_operations(name, operations, device, level, compute_units, precision, declared)
    spent = {**(seconds or {}), "placement": time.perf_counter() - start}
    remarks = []
    if graph.parameter_count * 2 > LARGE_WEIGHTS and device.chip.mobile:
        size = graph.parameter_count * 2 / 1e9
        remarks.append(
            f"{size:.1f} GB of weights in float16: an iPhone's Neural Engine takes about 1 GB a model (CL226)"
        )
    on_engine = any(op.unit == "ANE" for op in planned.ops)
    launch = with_two_engines(first_launch_of(graph.parameter_count), planned) if on_engine else None
    return replace(
        planned,
        target=target,
        first_launch=launch,
        advice=advice_of(graph, target) if "ANE" in COMPUTE_UNITS[compute_units] else (),
        notes=(*notes, *remarks, *planned.notes),
        seconds=spent,
    )


def plan_report(report: Report, device: Device) -> Plan | None:
    """The plan from the capture of a check, without a second capture; None where that captured nothing."""
    from convlint.placement.aten_reader import read_aten

    if report.graph is None or not (operations := read_aten(report.graph, report.target)):
        return None
    planned = plan_operations(report.model, operations, device, "aten")
    note = (
        "planned on PyTorch's ops, before coremltools fuses them; `convlint plan` plans the converted program"
    )
    return replace(planned, target=report.target, notes=(note, *planned.notes))


def plan_operations(
    name: str,
    operations: list[Operation],
    device: Device,
    level: Level,
    compute_units: ComputeUnits = "all",
    precision: Precision = "float16",
    declared: Declared = "",
) -> Plan:
    """The plan of these operations."""
    planner = Planner(operations, device, compute_units, precision)
    division = planner.division()
    planned = planner.plan(name, level, division)
    codes = {op.rule for op in planned.ops if op.refused and op.rule}
    blockers = blockers_of(planner, division, planned, _replacements(codes))
    return replace(
        planned,
        blockers=blockers,
        choices=choices_of(planner),
        what_if=what_ifs_of(planner, planned, declared),
        notes=_notes(planned, device),
    )


def _replacements(codes: set[str]) -> dict[str, tuple[str, ...]]:
    if not codes:
        return {}
    return {
        rule.code: tuple(replacement.title for replacement in rule.replacements)
        for rule in load_rulebook()
        if rule.code in codes
    }


_FIGURES = {
    "dram_gb_s": "the bandwidth of its memory",
    "ane_gb_s": "how fast its Neural Engine reads weights",
    "gpu_cores": "the cores of its GPU",
    "gpu_tflops": "the peak of its GPU",
    "gpu_core_tflops": "what its GPU reaches in matrix products",
}
"""The figures of ``data/chips.toml`` that may be assumed, in words."""


def _notes(planned: Plan, device: Device) -> tuple[str, ...]:
    chip = device.chip
    notes = ["a forecast from published measurements; nothing here was run on a device"]
    if chip.fitted is not None:
        notes.append(chip.fitted.sentence)
    if chip.assumed:
        figures = ", nor ".join(_FIGURES[name] for name in chip.assumed)
        notes.append(f"of {chip.name}, no source gives {figures}: assumed")
    unknown = sorted({op.kind for op in planned.ops if op.refused and not op.source})
    if unknown:
        notes.append(f"nobody has published where Core ML runs {', '.join(unknown)}: assumed to be refused")
    return tuple(notes)
