"""``--measure``: compares a plan with Core ML on this Mac. Written from Apple's documentation and not yet
run by us, because it needs macOS. https://apple.github.io/coremltools/source/coremltools.models.html#compute-plan
"""

from __future__ import annotations

import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlint.model.measured import Compared, Measured
from convlint.model.placement import COMPUTE_UNITS, ComputeUnits, Plan, Unit

if TYPE_CHECKING:
    from convlint.capture.methods import Source

RUNS = 20
_UNITS: Mapping[str, Unit] = {
    "MLNeuralEngineComputeDevice": "ANE",
    "MLGPUComputeDevice": "GPU",
    "MLCPUComputeDevice": "CPU",
}
_NAMES: Mapping[ComputeUnits, str] = {
    "all": "ALL",
    "cpu": "CPU_ONLY",
    "cpu+gpu": "CPU_AND_GPU",
    "cpu+ane": "CPU_AND_NE",
}


def can_measure() -> str:
    """Why nothing can be measured here; empty where it can."""
    if sys.platform != "darwin":
        return (
            "--measure asks Core ML itself, which exists on macOS alone. Leave it out for the forecast, "
            "or run the same command on a Mac."
        )
    release = tuple(map(int, platform.mac_ver()[0].split(".")[:2]))
    if release < (14, 4):
        return f"--measure needs macOS 14.4 for MLComputePlan, and this is {platform.mac_ver()[0]}."
    return ""


def measure(plan: Plan, source: Source, timeout: float | None) -> Measured:
    """Convert with random weights, ask MLComputePlan for every op, and time predictions on each unit."""
    import coremltools as ct
    import torch

    from convlint.capture.build import borrowed
    from convlint.capture.methods import Attempts, quiet_torch
    from convlint.torch_adapter import pytree

    attempts = Attempts(source, timeout, None)
    module, inputs = attempts.real()
    with quiet_torch(), borrowed(module):
        exported = attempts.export(module, *inputs)[1]
        model = ct.convert(exported, minimum_deployment_target=getattr(ct.target, plan.target))
    names = [port.name for port in model.get_spec().description.input]
    tensors = [leaf for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
    feed = dict(zip(names, tensors, strict=False))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.mlpackage")
        model.save(path)
        compiled = ct.models.utils.compile_model(path, str(Path(folder) / "model.mlmodelc"))
        ops, unmatched = compare_with_measured(plan, _compute_plan(compiled, plan.compute_units))
        times = {words: _predict_ms(path, feed, words) for words in COMPUTE_UNITS}
    return Measured(platform.processor(), ops, times, unmatched)


def compare_with_measured(plan: Plan, compute_plan: Any) -> tuple[tuple[Compared, ...], int]:
    """The ops of the plan, each with the op of the compute plan that writes a value of the same name."""
    planned = {op.name: op for op in plan.ops}
    compared = []
    unmatched = 0
    for operation in _operations(compute_plan.model_structure.program):
        usage = compute_plan.get_compute_device_usage_for_mlprogram_operation(operation)
        if usage is None:  # constants have none
            continue
        mine = next((planned[name] for name in _names(operation) if name in planned), None)
        if mine is None:
            unmatched += 1
            continue
        supported = tuple(_unit(device) for device in usage.supported_compute_devices)
        compared.append(
            Compared(mine.name, mine.kind, mine.unit, _unit(usage.preferred_compute_device), supported)
        )
    return tuple(compared), unmatched


def _compute_plan(compiled: str, words: ComputeUnits) -> Any:
    import coremltools as ct
    from coremltools.models.compute_plan import MLComputePlan

    return MLComputePlan.load_from_path(compiled, compute_units=getattr(ct.ComputeUnit, _NAMES[words]))


def _operations(program: Any) -> Iterator[Any]:
    for function in program.functions.values():
        yield from function.block.operations


def _names(operation: Any) -> Iterator[str]:
    """The names of the values of an op, with and without the suffix of the cast to float16."""
    for output in operation.outputs:
        yield output.name
        yield output.name.removesuffix("_cast_fp16")


def _unit(device: Any) -> Unit:
    return _UNITS.get(type(device).__name__, "CPU")


def _predict_ms(path: str, inputs: Mapping[str, Any], words: ComputeUnits) -> float:
    import coremltools as ct

    model = ct.models.MLModel(path, compute_units=getattr(ct.ComputeUnit, _NAMES[words]))
    feed = {name: tensor.numpy() for name, tensor in inputs.items()}
    model.predict(feed)
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        model.predict(feed)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)
