"""The program that would ship, and the forecast for it: as it was converted, else as it could be repaired."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.checking.options import Options
from convlint.checking.reconcile import deciding_trial, export_trial
from convlint.errors import ModelError
from convlint.model import Trial
from convlint.model.repair import Repair

if TYPE_CHECKING:
    from convlint.capture.methods import Capture
    from convlint.interface.inputs import InputSpec
    from convlint.model.placement import Plan
    from convlint.placement.chips import Device
    from convlint.placement.what_if import Declared
    from convlint.trial.job import Reader


@dataclass(frozen=True, slots=True)
class Shipped:
    """The operations of the program that would ship, and the changes that it needs, None without any.

    Without operations no program is known that would.
    """

    operations: tuple[Any, ...] = ()
    repair: Repair | None = None


def program_to_ship(
    captured: Capture,
    trials: tuple[Trial, ...],
    options: Options,
    progress: Callable[[str], None],
    *,
    search: bool,
) -> Shipped:
    """The program of the trial that converted, else the one that a ``search`` for changes ends with."""
    deciding = deciding_trial(trials)
    if deciding is not None and deciding.status == "converted":
        return Shipped(deciding.operations)
    refused = deciding is not None and deciding.status == "failed"
    if not (search and refused and captured.program is not None):
        return Shipped()
    from convlint.repair.proposal import propose_repair

    progress("looking for changes")
    tried = export_trial(trials)
    found = propose_repair(captured.program, options.target, options.timeout, reader(), tried)
    return Shipped(found.trial.operations if found.repair.converts else (), found.repair)


def check_outputs(name: str, captured: Capture) -> None:
    """Raise a ModelError for a model without a tensor among its outputs: Core ML has no such programs."""
    if captured.graph is not None and all(port.meta is None for port in captured.graph.outputs):
        raise ModelError(f"{name} has no tensor output; a Core ML model needs at least one.")


def reader() -> Reader:
    """What reads the operations of a plan from a converted program."""
    from convlint.placement.mil_reader import read_mil

    return read_mil


def forecast(name: str, shipped: Shipped, captured: Capture, options: Options) -> Plan | None:
    """The plan of the program that would ship; None where none is known."""
    if not shipped.operations or captured.graph is None:
        return None
    from convlint.placement.forecast import plan_program
    from convlint.placement.operations import with_modules

    operations = with_modules(shipped.operations)
    return plan_program(name, operations, captured.graph, device_of(options), options.target)


def device_of(options: Options) -> Device:
    """What the options forecast for; a UsageError for an unknown chip, and a system that it never ran."""
    from convlint.placement.chips import device_for

    return fitted_device(device_for(options.chip, options.os, options.target), options)


def fitted_device(device: Device, options: Options) -> Device:
    """The device with the numbers of its chip that were fitted to measurements, where there are any."""
    if not options.fitted:
        return device
    from convlint.placement.fitted import with_fitted

    return with_fitted(device, options.fitted)


def declared_by(inputs: Iterable[InputSpec]) -> Declared:
    """How the shapes of the inputs vary, as the inputs declare it."""
    specs = tuple(inputs)
    if any(any(spec.ranges) for spec in specs):
        return "range"
    return "enumerated" if any(spec.shapes for spec in specs) else ""
