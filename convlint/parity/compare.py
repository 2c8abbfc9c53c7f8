"""Parity: run the converted program, run PyTorch, and compare."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint import mil
from convlint.capture.build import borrowed
from convlint.capture.methods import Inputs, Source, quiet_torch
from convlint.errors import ModelError, UsageError
from convlint.model import Frontend
from convlint.parity.convert import Converted, NotConverted, convert
from convlint.parity.device import device_runs, has_core_ml
from convlint.parity.divergence import first_divergence
from convlint.parity.errors import WrongShape, judged, measure, worst
from convlint.parity.inputs import Corners, any_integers, cornered, draws, varied
from convlint.parity.reference import plain
from convlint.parity.result import DeviceRun, Divergence, Errors, Parity, Precision, Status
from convlint.targets import normalise_target

TOLERANCES: dict[str, float] = {"float32": 1e-3, "float16": 2e-2}
"""The largest error that is no difference, relative to the largest value of the output."""

CORNERS: tuple[tuple[Corners, bool, str], ...] = (
    ("signs", False, "zeros and ones of both signs"),
    ("halves", False, "halves"),
    ("counts", True, "the first numbers"),
    ("signs", True, "integers of both signs"),
)
"""The inputs that a model which is equal on random ones is tried on.

Their kind, whether integers are drawn from them too, where the model takes such integers at all, and words.
"""

RANDOM = re.compile(r"\baten\.(rand\w*|bernoulli|multinomial|normal\w*|uniform\w*|poisson)\b")
"""Calls that draw numbers. Dropout is none of them: in training mode Core ML leaves it out."""

INDEXING = re.compile(r"\baten\.(\w*index\w*|gather|take\w*|embedding\w*|one_hot|\w*scatter\w*|select)\b")
"""Calls that count a negative integer from the end, which Core ML leaves undefined."""


def parity(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    target: str = "iOS17",
    precision: Precision = "float32",
    seeds: int = 3,
    frontend: Frontend = "export",
    accumulator_limit: float | None = None,
    tolerance: float | None = None,
    timeout: float | None = None,
    corners: bool = True,
) -> Parity:
    """Convert ``model`` and compare what the program computes with what PyTorch computes.

    ``model`` is an ``nn.Module`` or a callable that builds one; it is run in eval mode, with its own
    weights. The first of ``seeds`` runs takes ``example_inputs`` as they are, the others random ones like
    them. ``precision`` is that of the conversion; with float16 the program rounds where it says so, and
    ``accumulator_limit`` adds the Neural Engine's (32752). At float32 a model that comes out equal is run
    once more on each of the ``CORNERS``, where functions change their branch, unless ``corners`` is False.
    """
    import torch

    if precision not in TOLERANCES:
        raise UsageError(f"precision {precision!r} is unknown; it is float32 or float16.")
    if seeds < 1:
        raise UsageError("seeds must be at least 1: the run with the example inputs.")
    args = tuple(example_inputs) if isinstance(example_inputs, (tuple, list)) else (example_inputs,)
    instance = model if isinstance(model, torch.nn.Module) else None
    if instance is None and not callable(model):
        raise ModelError(
            f"the model is a {type(model).__name__}; give a torch.nn.Module or a function that builds one."
        )
    return compare(
        Source(None if instance is not None else model, instance, lambda: (args, dict(kwargs or {}))),
        normalise_target(target),
        precision,
        seeds,
        frontend,
        accumulator_limit=accumulator_limit,
        tolerance=tolerance,
        timeout=timeout,
        corners=corners,
    )


def compare(
    source: Source,
    target: str,
    precision: Precision = "float32",
    seeds: int = 3,
    frontend: Frontend = "export",
    *,
    accumulator_limit: float | None = None,
    tolerance: float | None = None,
    timeout: float | None = None,
    corners: bool = True,
) -> Parity:
    """:func:`parity` of a model that is built and given its inputs elsewhere."""
    start = time.perf_counter()
    allowed = TOLERANCES[precision] if tolerance is None else tolerance
    devices: tuple[DeviceRun, ...] = ()
    lost: list[str] = []

    def result(status: Status, errors: Errors | None = None, **found: Any) -> Parity:
        seconds = time.perf_counter() - start
        found["detail"] = "; ".join([*filter(None, [found.get("detail")]), *lost[:1]])
        shared = (status, target, precision, frontend, seeds, allowed, errors or Errors())
        return Parity(*shared, seconds=seconds, devices=devices, **found)

    def parts(piece: Converted, inputs: Inputs) -> bool:
        try:
            return judged(measured(piece, inputs, accumulator_limit), allowed) != "equal"
        except (WrongShape, mil.ShapeMismatch):
            return True

    def diverge(inputs: Inputs, *, ties: bool = False) -> Divergence | None:
        given = program_inputs(converted, inputs)
        wanted = expected(converted, inputs)

        def equal(outputs: Mapping[str, Any]) -> bool:
            try:
                return judged(_against(wanted, outputs), allowed) == "equal"
            except WrongShape:
                return False

        try:
            with quiet_torch(), borrowed(converted.module):
                return first_divergence(converted, given, allowed, accumulator_limit, equal, parts, ties=ties)
        except Exception as error:  # single calls of a graph may raise what the model does not
            if not ties:
                lost.append(f"the call to blame was not found ({type(error).__name__}: {error})")
            return None

    try:
        converted = convert(source, target, precision, frontend, timeout)
    except NotConverted as error:
        return result("unsupported", detail=str(error))
    try:
        found = [
            measured(converted, varied(converted.inputs, seed), accumulator_limit) for seed in range(seeds)
        ]
    except (WrongShape, mil.ShapeMismatch) as error:
        return result("differs", detail=str(error), first_divergence=diverge(converted.inputs))
    except (NotConverted, mil.ExecutionError) as error:
        return result("unsupported", detail=str(error))
    total = worst(found)
    devices = _on_devices(converted, allowed)
    status = judged(total, allowed)
    if status != "equal":
        seed = max(range(seeds), key=lambda index: _badness(found[index]))
        divergence = diverge(varied(converted.inputs, seed))
        if divergence is not None and RANDOM.search(divergence.op):
            where = f" at {divergence.site}" if divergence.site is not None else ""
            detail = f"{divergence.op}{where} draws random numbers, and Core ML draws others"
            return result("unsupported", total, detail=detail)
        return result(status, total, first_divergence=divergence)
    for kind, integers, words in CORNERS if corners and precision == "float32" else ():
        if integers and not any_integers(converted.inputs):
            continue
        for seed in range(draws(converted.inputs)):
            inputs = cornered(converted.inputs, kind, seed, integers=integers)
            try:
                divergence = diverge(inputs, ties=True) if parts(converted, inputs) else None
            except Exception:  # the model may refuse such inputs, or lose itself in them
                break
            if divergence is not None and not (integers and INDEXING.search(divergence.op)):
                detail = f"random inputs come out equal, {words} do not"
                return result("differs", total, first_divergence=divergence, detail=detail)
    return result(status, total)


def measured(converted: Converted, inputs: Inputs, limit: float | None) -> Errors:
    """How far the program is from the model for these inputs."""
    wanted = expected(converted, inputs)
    outputs = mil.run(converted.program, program_inputs(converted, inputs), accumulator_limit=limit)
    return _against(wanted, outputs)


def expected(converted: Converted, inputs: Inputs) -> list[Any]:
    """What the model gives, as arrays."""
    import torch
    from torch.utils import _pytree as pytree

    with quiet_torch(), borrowed(converted.module), torch.no_grad():
        # Some models write into their inputs.
        copied = pytree.tree_map(lambda v: v.clone() if isinstance(v, torch.Tensor) else v, inputs)
        leaves = pytree.tree_leaves(converted.module(*copied[0], **copied[1]))
    return [plain(leaf.cpu()) for leaf in leaves if isinstance(leaf, torch.Tensor)]


def _on_devices(converted: Converted, tolerance: float) -> tuple[DeviceRun, ...]:
    if not has_core_ml():
        return ()
    wanted = expected(converted, converted.inputs)
    return device_runs(converted, program_inputs(converted, converted.inputs), wanted, tolerance)


def _against(wanted: list[Any], outputs: Mapping[str, Any]) -> Errors:
    found = list(outputs.values())[: len(wanted)]
    if len(found) < len(wanted) or any(value is None for value in wanted):
        raise NotConverted(f"the program has {len(found)} outputs of numbers, and the model {len(wanted)}.")
    return measure(found, wanted)


def program_inputs(converted: Converted, inputs: Inputs) -> dict[str, Any]:
    """The example's tensors under the names of the program's inputs.

    Keyword tensors have the same names there; the others stand in the same order.
    """
    import torch
    from torch.utils import _pytree as pytree

    function = converted.program.functions[converted.program.default_function_name]
    names = [name for name, variable in function.inputs.items() if not adapter.is_state(variable)]
    named = {key: v for key, v in inputs[1].items() if key in names and isinstance(v, torch.Tensor)}
    others = (inputs[0], {key: v for key, v in inputs[1].items() if key not in named})
    tensors = [leaf for leaf in pytree.tree_leaves(others) if isinstance(leaf, torch.Tensor)]
    names = [name for name in names if name not in named]
    if len(names) != len(tensors):
        raise NotConverted(
            f"the program has {len(names)} inputs and the model {len(tensors)}; an input that the model does "
            "not use is dropped on the way, leave it out."
        )
    return {**dict(zip(names, tensors, strict=True)), **named}


def _badness(errors: Errors) -> tuple[int, float]:
    return errors.nonfinite + errors.misplaced, errors.max_rel_error
