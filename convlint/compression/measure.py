"""The table: every setting tried on the model in a process of its own, measured against PyTorch."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convlint import coremltools_adapter as adapter
from convlint import mil
from convlint.capture.methods import Source, quiet_torch
from convlint.child import Channel, run_in_child
from convlint.compression.convert import compressed, package
from convlint.compression.settings import Setting
from convlint.compression.weights import Weight, by_layer, weights_of
from convlint.coreml.precision import Precision
from convlint.errors import ConvlintError
from convlint.model import Frontend
from convlint.model.compression import Compression, Layer, Row
from convlint.model.parity import Errors
from convlint.numerics.conversion import Converted, NotConverted, convert
from convlint.numerics.program_errors import WrongShape, measure, worst
from convlint.numerics.running import expected, program_inputs
from convlint.numerics.samples import varied
from convlint.text import one_line

SEEDS = 3
"""How many inputs each setting is compared on."""
CALIBRATION = 4
"""How many random inputs give w8a8 the range of activations."""
LAYERS = 24
"""How many layers are compressed one by one, the largest first: each needs a run of the program."""


def measure_settings(
    source: Source,
    target: str,
    frontend: Frontend,
    precision: Precision,
    settings: Sequence[Setting],
    *,
    checkpoint: str = "",
    timeout: float | None = None,
    progress: Callable[[str], None] = lambda stage: None,
) -> Compression:
    """Try every setting. A crash or a hang ends the child process; finished rows stay.

    ``progress`` is called with the setting that is being tried.
    """
    start = time.perf_counter()

    def work(channel: Channel) -> None:
        try:
            with quiet_torch():
                for row in _rows(source, target, frontend, precision, settings, timeout, channel.send):
                    channel.send(row)
        except ConvlintError as error:
            channel.send(error)

    limit = None if timeout is None else timeout * (1 + len(settings))
    if hasattr(os, "fork"):
        outcome = run_in_child(work, limit, lambda sent: progress(sent) if isinstance(sent, str) else None)
        sent, detail = outcome.sent, outcome.detail
    else:
        sent, detail = [], "this system cannot fork a process for it"
    for thing in sent:
        if isinstance(thing, ConvlintError):
            raise thing
    rows = [row for row in sent if isinstance(row, Row)]
    plain = rows[0] if rows else Row("none", "iOS15", detail=detail or "nothing came back")
    if rows and not plain.detail:
        rows += [Row(str(each), each.needs, detail=detail) for each in settings[len(rows) - 1 :]]
    return Compression(
        target, precision, checkpoint, plain, tuple(rows[1:]), seconds=time.perf_counter() - start
    )


@dataclass(slots=True)
class _Bench:
    """The plain program with PyTorch's outputs for each seed."""

    converted: Converted
    program: Any
    inputs: list[dict[str, Any]]
    right: list[list[Any]]
    parameters: list[str]

    def errors(self, program: Any, seeds: int = SEEDS) -> Errors:
        measured = []
        for inputs, right in zip(self.inputs[:seeds], self.right, strict=False):
            outputs = list(mil.run(program, inputs).values())[: len(right)]
            measured.append(measure(outputs, right))
        return worst(measured)


def _rows(
    source: Source,
    target: str,
    frontend: Frontend,
    precision: Precision,
    settings: Sequence[Setting],
    timeout: float | None,
    progress: Callable[[str], None],
) -> Any:
    start = time.perf_counter()
    progress("compressing: converting")
    try:
        converted = convert(
            source, target, "float32" if precision == "mixed" else precision, frontend, timeout
        )
        model = package(converted.program, target, precision)
        bench = _bench(converted, mil.load(model))
        size = sum(weight.bytes for weight in weights_of(bench.program, ()))
        errors = bench.errors(bench.program)
    except (NotConverted, mil.ExecutionError, WrongShape) as error:
        yield Row("none", "iOS15", detail=one_line(str(error)))
        return
    yield Row("none", "iOS15", size, errors, seconds=time.perf_counter() - start)
    for number, setting in enumerate(settings):
        start = time.perf_counter()
        progress(f"compressing: {setting}, {number + 1} of {len(settings)}")
        try:
            row = _row(model, bench, setting)
        except Exception as error:  # coremltools.optimize raises whatever its passes raise
            row = Row(
                str(setting), setting.needs, detail=f"{type(error).__name__}: {one_line(str(error))[:300]}"
            )
        yield replace(row, seconds=time.perf_counter() - start)


def _bench(converted: Converted, program: Any) -> _Bench:
    inputs, right = [], []
    for seed in range(max(SEEDS, CALIBRATION + 1)):
        sample = varied(converted.inputs, seed)
        named = program_inputs(converted, sample)
        inputs.append({name: value.detach().numpy() for name, value in named.items()})
        if seed < SEEDS:
            right.append(expected(converted, sample))
    return _Bench(converted, program, inputs, right, list(converted.module.state_dict()))


def _row(model: Any, bench: _Bench, setting: Setting) -> Row:
    changed = mil.load(compressed(model, setting, lambda: bench.inputs[1 : CALIBRATION + 1]))
    after = weights_of(changed, bench.parameters)
    errors = bench.errors(changed)
    size = sum(weight.bytes for weight in after)
    return Row(str(setting), setting.needs, size, errors, _layers(bench, changed, after))


def _layers(bench: _Bench, changed: Any, after: Sequence[Weight]) -> tuple[Layer, ...]:
    """The compressed layers, each with the error that its compression alone causes."""
    before = {weight.key: weight for weight in weights_of(bench.program, bench.parameters)}
    values = _decompressed(changed, bench.inputs[0])
    layers = []
    for name, weights in by_layer(weight for weight in after if weight.compressed).items():
        pairs = [(before[weight.key], weight) for weight in weights if weight.key in before]
        old = sum(weight.bytes for weight, _ in pairs)
        layers.append((Layer(name, old, sum(weight.bytes for weight in weights)), pairs))
    layers.sort(key=lambda pair: -pair[0].bytes_before)
    measured = []
    for number, (layer, pairs) in enumerate(layers):
        if number < LAYERS and pairs:
            replaced = {old.variable: values[new.variable] for old, new in pairs if new.variable in values}
            with adapter.constants_replaced(replaced):
                layer = replace(layer, errors=bench.errors(bench.program, seeds=1))
        measured.append(layer)
    return tuple(sorted(measured, key=_harm))


def _harm(layer: Layer) -> float:
    """A sort key: smaller for layers that hurt more; untried layers come last."""
    return float("inf") if layer.errors is None else layer.errors.snr_db


def _decompressed(program: Any, inputs: Mapping[str, Any]) -> dict[Any, Any]:
    """The decompressed values of all compressed constants, as the program reads them."""
    values: dict[Any, Any] = {}

    def watch(operation: Any, results: tuple[Any, ...]) -> None:
        if str(operation.op_type).startswith("constexpr_"):
            for variable, result in zip(operation.outputs, results, strict=True):
                values[variable] = np.asarray(result.float().numpy())

    mil.run(program, inputs, watch=watch)
    return values
