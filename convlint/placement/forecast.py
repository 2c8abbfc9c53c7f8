"""Makes the plan of a model: capture, convert, place."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convlint.capture.limits import DEFAULT_TIMEOUT
from convlint.coreml.targets import normalise_target
from convlint.errors import ModelError, UsageError
from convlint.model import Report
from convlint.model.placement import COMPUTE_UNITS, ComputeUnits, Level, Plan
from convlint.nearest import did_you_mean
from convlint.placement.advice import advice_of
from convlint.placement.blockers import blockers_of
from convlint.placement.chips import DEFAULT_CHIP, Device, find_device
from convlint.placement.operations import Operation
from convlint.placement.planner import Planner
from convlint.placement.rules import Precision
from convlint.placement.what_if import Declared, what_ifs_of
from convlint.rules.rulebook import load_rulebook
from convlint.untouched import leaves_no_trace

if TYPE_CHECKING:
    from convlint.capture.methods import Capture

PRECISIONS: tuple[Precision, ...] = ("float16", "float32")
LARGE_WEIGHTS = 1 << 30
"""About the size of weights that the Neural Engine of an iPhone takes:
https://github.com/apple/coremltools/blob/e0e2f42/docs-guides/source/mlmodel-utilities.md"""


@leaves_no_trace
def plan(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    chip: str = DEFAULT_CHIP,
    os: str | None = None,
    compute_units: ComputeUnits = "all",
    precision: Precision = "float16",
    timeout: float = DEFAULT_TIMEOUT,
) -> Plan:
    """Forecast where each op of a model runs on an Apple chip, and how long that takes.

    ``model`` is an ``nn.Module`` or a callable that builds one; its weights are not needed.
    ``example_inputs`` and ``kwargs`` are the arguments of ``forward``; only their shapes and dtypes
    matter. ``os`` is the system as a deployment target (``iOS17``), by default one that the chip runs.
    Raises :class:`~convlint.errors.ConvlintError` for an unknown chip or system, a chip that never ran the
    system, or a model that cannot be captured.
    """
    from convlint.capture.given import given_source
    from convlint.capture.methods import capture

    device = find_device(chip, os)
    check_words(compute_units, precision)
    with given_source(model, example_inputs, kwargs) as (name, source):
        # Times are for the sizes of the example, even where sizes may vary.
        captured = capture(replace(source, specs=()), timeout)
        return plan_capture(name, captured, device, compute_units, precision, timeout=timeout)


def check_words(compute_units: str, precision: str) -> None:
    """Raise a UsageError for unknown words that names the nearest known one."""
    for name, word, known in (
        ("compute units", compute_units, tuple(COMPUTE_UNITS)),
        ("precision", precision, PRECISIONS),
    ):
        if word not in known:
            hint = did_you_mean(word, known)
            raise UsageError(f"unknown {name} {word!r}.{hint} Known: {', '.join(known)}.")


def plan_capture(
    name: str,
    captured: Capture,
    device: Device,
    compute_units: ComputeUnits = "all",
    precision: Precision = "float16",
    *,
    target: str | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    trial: bool = True,
    declared: Declared = "",
    progress: Callable[[str], None] = lambda stage: None,
) -> Plan:
    """The plan of a captured model. ``target`` is the deployment target, None for that of the system.

    ``declared`` says how the shapes of the inputs vary; the plan itself is for the shapes of the example.
    Without a ``trial``, or where coremltools refuses the model, it plans the captured ATen ops.
    """
    if captured.graph is None:
        failure = captured.failures[0] if captured.failures else None
        reason = f": {failure.error_type}: {failure.message}" if failure is not None else ""
        raise ModelError(
            f"{name} cannot be captured{reason}. `convlint check` says what stopped it, and where."
        )
    start = time.perf_counter()
    target = normalise_target(target or device.target)
    operations, level, notes = _operations(captured, target, timeout, trial, progress)
    seconds = {"conversion": time.perf_counter() - start}
    progress("placing")
    start = time.perf_counter()
    planned = plan_operations(name, operations, device, level, compute_units, precision, declared)
    seconds["placement"] = time.perf_counter() - start
    if captured.graph.parameter_count * 2 > LARGE_WEIGHTS and device.chip.mobile:
        size = captured.graph.parameter_count * 2 / 1e9
        notes.append(
            f"{size:.1f} GB of weights in float16: an iPhone's Neural Engine takes about 1 GB a model (CL226)"
        )
    return replace(
        planned,
        target=target,
        advice=advice_of(captured.graph, target) if "ANE" in COMPUTE_UNITS[compute_units] else (),
        notes=(*notes, *captured.notes, *planned.notes),
        seconds=seconds,
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
        what_if=what_ifs_of(planner, planned, declared),
        notes=_notes(planned, device),
    )


def _operations(
    captured: Capture,
    target: str,
    timeout: float | None,
    trial: bool,
    progress: Callable[[str], None],
) -> tuple[list[Operation], Level, list[str]]:
    from convlint.placement.aten_reader import read_aten

    reason = "no conversion was asked for"
    if captured.program is None:
        reason = "torch.export gives no program of this model"
    elif trial:
        from convlint.placement.conversion import Refused, mil_operations

        progress("converting")
        result = mil_operations(captured.program, target, timeout)
        if not isinstance(result, Refused):
            return result, "mil", []
        reason = result.reason
    assert captured.graph is not None
    note = f"planned on PyTorch's ops, before coremltools fuses them: {reason}"
    return read_aten(captured.graph, target), "aten", [note]


def _replacements(codes: set[str]) -> dict[str, tuple[str, ...]]:
    if not codes:
        return {}
    return {
        rule.code: tuple(replacement.title for replacement in rule.replacements)
        for rule in load_rulebook()
        if rule.code in codes
    }


def _notes(planned: Plan, device: Device) -> tuple[str, ...]:
    chip = device.chip
    notes = ["a forecast from published measurements; nothing here was run on a device"]
    if chip.assumed:
        notes.append(f"of {chip.name}, no source gives {' and '.join(chip.assumed)}: assumed")
    unknown = sorted({op.kind for op in planned.ops if op.refused and not op.source})
    if unknown:
        notes.append(f"nobody has published where Core ML runs {', '.join(unknown)}: assumed to be refused")
    return tuple(notes)
