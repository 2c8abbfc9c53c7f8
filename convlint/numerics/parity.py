"""Parity: run the converted program, run PyTorch, and compare."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convlint.capture.given import given_source
from convlint.capture.methods import Inputs, Source
from convlint.coreml.targets import normalise_target
from convlint.errors import UsageError
from convlint.model import Frontend, FrontendChoice
from convlint.model.parity import DeviceRun, Parity, Precision
from convlint.numerics.conclusion import Conclusion
from convlint.numerics.conversion import Converted, NotConverted, convert, convert_exported
from convlint.numerics.device import device_runs, has_core_ml
from convlint.numerics.judging import conclude
from convlint.numerics.running import Terms, expected, program_inputs
from convlint.numerics.tolerance import PARITY
from convlint.untouched import leaves_no_trace


@leaves_no_trace
def parity(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    target: str = "iOS17",
    precision: Precision = "float32",
    seeds: int = 3,
    frontend: FrontendChoice = "auto",
    accumulator_limit: float | None = None,
    tolerance: float | None = None,
    timeout: float | None = None,
    edge_cases: bool = True,
    corners: bool | None = None,
) -> Parity:
    """Convert ``model`` and compare what the program computes with what PyTorch computes.

    ``model`` is an ``nn.Module`` or a callable that builds one; it is run in eval mode, with its own
    weights, and left as it was. The first of ``seeds`` runs takes ``example_inputs`` as they are, the others
    random ones like them. ``precision`` is that of the conversion; with float16 the program rounds where it
    says so, and ``accumulator_limit`` adds the Neural Engine's (32752). ``frontend`` "auto" takes
    TorchScript where export refuses. At float32 a model that comes out equal is run
    once more on numbers at which functions change branch, unless ``edge_cases`` (once ``corners``) is False.
    """
    _refuse_unknown(precision, frontend, seeds)
    target = normalise_target(target)
    with given_source(model, example_inputs, kwargs) as (_, source):
        return compare(
            replace(source, specs=()),
            target,
            precision,
            seeds,
            frontend,
            accumulator_limit=accumulator_limit,
            tolerance=tolerance,
            timeout=timeout,
            edge_cases=edge_cases if corners is None else corners,
        )


def _refuse_unknown(precision: str, frontend: str, seeds: int) -> None:
    if precision not in PARITY:
        raise UsageError(f"precision {precision!r} is unknown; it is float32 or float16.")
    if frontend not in ("auto", "export", "torchscript"):
        raise UsageError(f"frontend {frontend!r} is unknown; it is auto, export or torchscript.")
    if seeds < 1:
        raise UsageError("seeds must be at least 1: the run with the example inputs.")


def compare(
    source: Source,
    target: str,
    precision: Precision = "float32",
    seeds: int = 3,
    frontend: FrontendChoice = "export",
    *,
    accumulator_limit: float | None = None,
    tolerance: float | None = None,
    timeout: float | None = None,
    edge_cases: bool = True,
) -> Parity:
    """:func:`parity` of a model that is built and given its inputs elsewhere."""
    start = time.perf_counter()
    terms = Terms(PARITY[precision] if tolerance is None else tolerance, accumulator_limit)
    taken, converted = _through(frontend, source, target, precision, timeout)
    blank = Parity("refused", target, precision, taken, seeds, terms.tolerance)
    if isinstance(converted, NotConverted):
        return replace(blank, detail=str(converted), seconds=time.perf_counter() - start)
    conclusion = conclude(converted, terms, seeds, edge_cases=edge_cases)
    devices = _on_devices(converted, terms.tolerance)
    return replace(_concluded(blank, conclusion), devices=devices, seconds=time.perf_counter() - start)


def compare_exported(
    module: Any,
    exported: Any,
    inputs: Inputs,
    target: str,
    *,
    precision: Precision = "float32",
    seeds: int = 2,
    edge_cases: bool = False,
) -> Parity:
    """:func:`parity` of an exported program against the module that it computes the same as."""
    start = time.perf_counter()
    terms = Terms(PARITY[precision])
    blank = Parity("refused", target, precision, "export", seeds, terms.tolerance)
    try:
        converted = convert_exported(module, exported, inputs, target, precision)
    except NotConverted as error:
        return replace(blank, detail=str(error), seconds=time.perf_counter() - start)
    conclusion = conclude(converted, terms, seeds, edge_cases=edge_cases)
    return replace(_concluded(blank, conclusion), seconds=time.perf_counter() - start)


def _through(
    choice: FrontendChoice, source: Source, target: str, precision: Precision, timeout: float | None
) -> tuple[Frontend, Converted | NotConverted]:
    """The frontend that was taken, the last one where several refuse, and what came of it."""
    first: Frontend = "torchscript" if choice == "torchscript" else "export"
    try:
        return first, convert(source, target, precision, first, timeout)
    except NotConverted as refused:
        if choice != "auto" or refused.states:  # a trace would forget what is written to them
            return first, refused
        reason = refused
    try:
        return "torchscript", convert(source, target, precision, "torchscript", timeout)
    except NotConverted as error:
        return "torchscript", NotConverted(f"{reason}; through TorchScript: {error}")


def _concluded(blank: Parity, conclusion: Conclusion) -> Parity:
    return replace(
        blank,
        status=conclusion.status,
        errors=conclusion.errors,
        first_divergence=conclusion.divergence,
        detail="; ".join(filter(None, conclusion.details)),
        severity="warning" if conclusion.at_edge_cases else "error",
        remarks=conclusion.remarks,
    )


def _on_devices(converted: Converted, tolerance: float) -> tuple[DeviceRun, ...]:
    if not has_core_ml():
        return ()
    right = expected(converted, converted.inputs)
    return device_runs(converted, program_inputs(converted, converted.inputs), right, tolerance)
