"""``convlint.plan``: the forecast for the program that would ship, with a conversion of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convlint.capture.called import called
from convlint.capture.limits import DEFAULT_TIMEOUT, REAL_WEIGHTS_LIMIT
from convlint.checking.frontends import Frontends
from convlint.checking.options import Options
from convlint.checking.reconcile import deciding_trial
from convlint.checking.shipping import Shipped, check_outputs, declared_by, device_of, program_to_ship
from convlint.coreml.targets import DEFAULT_TARGET, normalise_target
from convlint.errors import ModelError
from convlint.model import Trial
from convlint.model.placement import ComputeUnits, Level, Plan
from convlint.placement.forecast import check_words, plan_program
from convlint.placement.operations import with_modules

if TYPE_CHECKING:
    from convlint.capture.methods import Source
    from convlint.placement.chips import Device
    from convlint.placement.rules import Precision

Progress = Callable[[str], None]
_MIL: Level = "mil"
_ATEN: Level = "aten"


@called
def plan(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    chip: str | None = None,
    os: str | None = None,
    compute_units: ComputeUnits = "all",
    precision: Precision = "float16",
    target: str = DEFAULT_TARGET,
    timeout: float = DEFAULT_TIMEOUT,
    as_trained: bool = False,
) -> Plan:
    """Forecast where each op of a model runs on an Apple chip, and how long that takes.

    ``model`` is an ``nn.Module`` or a callable that builds one; its weights are not needed.
    ``example_inputs`` and ``kwargs`` are the arguments of ``forward``; only their shapes and dtypes
    matter. The program is the one that would ship: as coremltools converts it for ``target``, else as
    ``convlint fix`` would change it. ``os`` is the system as a deployment target (``iOS17``), by default the
    target or one that the chip runs. A model that has a deployed form is planned in it, unless
    ``as_trained``.
    Raises :class:`~convlint.errors.ConvlintError` for an unknown chip or system, a chip that never ran the
    system, or a model that cannot be captured.
    """
    from convlint.capture.given import given_source

    options = Options(
        target=normalise_target(target), timeout=timeout, chip=chip, os=os, as_trained=as_trained
    )
    device_of(options)
    check_words(compute_units, precision)
    with given_source(model, example_inputs, kwargs, as_trained=as_trained) as (name, source):
        return plan_source(name, source, options, compute_units, precision)


def plan_source(
    name: str,
    source: Source,
    options: Options,
    compute_units: ComputeUnits = "all",
    precision: Precision = "float16",
    progress: Progress = lambda stage: None,
) -> Plan:
    """The plan of the model that ``source`` gives.

    Times are for the sizes of the example, even where sizes may vary. Without a trial, or where no program
    is known that converts, the captured ATen ops are planned.
    """
    devices = (device_of(options),)
    (planned,) = plan_devices(name, source, options, devices, compute_units, precision, progress)
    return planned


def plan_devices(
    name: str,
    source: Source,
    options: Options,
    devices: Sequence[Device],
    compute_units: ComputeUnits = "all",
    precision: Precision = "float16",
    progress: Progress = lambda stage: None,
) -> tuple[Plan, ...]:
    """:func:`plan_source` for each of these devices, after one conversion."""
    from convlint.capture.methods import capture

    declared = declared_by(source.specs)
    source = replace(source, specs=(), outputs=())
    options = replace(options, outputs=(), output=None)
    progress("capturing")
    captured = capture(source, options.timeout, REAL_WEIGHTS_LIMIT, decomposed=options.frontend == "export")
    if captured.graph is None:
        failure = captured.failures[0] if captured.failures else None
        reason = f": {failure.error_type}: {failure.message}" if failure is not None else ""
        raise ModelError(
            f"{name} cannot be captured{reason}. `convlint check` says what stopped it, and where."
        )
    check_outputs(name, captured)
    start = time.perf_counter()
    notes: list[str] = [] if source.form is None else [source.form.sentence]
    trials = Frontends(source, options, progress, notes).trials(captured)
    shipped = program_to_ship(captured, trials, options, progress, search=True)
    seconds = {"conversion": time.perf_counter() - start}
    progress("placing")
    if shipped.operations:
        if shipped.repair is not None:
            extent = shipped.repair.extent
            notes.append(f"planned after {extent}, which `convlint fix` makes: as it is it is refused")
        operations, level = with_modules(shipped.operations), _MIL
    else:
        from convlint.placement.aten_reader import read_aten

        why = _why(options.trial is not None, trials, shipped)
        notes.append(f"planned on PyTorch's ops, before coremltools fuses them: {why}")
        operations, level = read_aten(captured.graph, options.target), _ATEN
    return tuple(
        plan_program(
            name, operations, captured.graph, device, options.target, level, compute_units, precision,
            declared, notes=(*notes, *captured.notes), seconds=seconds,
        )
        for device in devices
    )  # fmt: skip


def _why(asked: bool, trials: tuple[Trial, ...], shipped: Shipped) -> str:
    """Why there is no converted program."""
    deciding = deciding_trial(trials)
    if deciding is None:
        return "no conversion was tried" if asked else "no conversion was asked for"
    failures = shipped.repair.remaining if shipped.repair is not None else deciding.failures
    if not failures:
        return deciding.detail or "coremltools refuses the model"
    first = failures[0]
    return f"coremltools refuses {first.op or 'the model'} ({first.error_type}: {first.error[:200]})"
