"""Conversions for the table: the plain model at a precision, and its versions by coremltools.optimize."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.compression.settings import Setting
from convlint.coreml.precision import Precision, compute_precision


def package(program: Any, target: str, precision: Precision) -> Any:
    """An ``MLModel`` of a MIL program that already has its precision; for ``mixed``, of a float32 one."""
    import coremltools as ct

    mixed = precision == "mixed"
    return ct.convert(
        program,
        source="milinternal",
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, target),
        compute_precision=compute_precision("mixed" if mixed else "float32"),
        pass_pipeline=ct.PassPipeline.DEFAULT if mixed else ct.PassPipeline.EMPTY,
        skip_model_load=True,
    )


Samples = Sequence[Mapping[str, Any]]


def compressed(model: Any, setting: Setting, samples: Callable[[], Samples]) -> Any:
    """``model`` compressed by coremltools.optimize; ``samples`` give the range of activations."""
    import coremltools.optimize.coreml as cto

    if setting.method == "palettize":
        palette = cto.OpPalettizerConfig(mode="kmeans", nbits=int(setting.amount))
        return cto.palettize_weights(model, cto.OptimizationConfig(global_config=palette))
    if setting.method == "prune":
        pruner = cto.OpMagnitudePrunerConfig(target_sparsity=setting.amount)
        return cto.prune_weights(model, cto.OptimizationConfig(global_config=pruner))
    if setting.method == "int4":
        blocks = cto.OpLinearQuantizerConfig(
            mode="linear_symmetric", dtype="int4", granularity="per_block", block_size=32
        )
        return cto.linear_quantize_weights(model, cto.OptimizationConfig(global_config=blocks))
    linear = cto.OptimizationConfig(global_config=cto.OpLinearQuantizerConfig(mode="linear_symmetric"))
    if setting.method == "w8a8":
        model = adapter.quantize_activations(model, linear, activation_ranges(model, samples()))
    return cto.linear_quantize_weights(model, linear)


def activation_ranges(model: Any, samples: Samples) -> dict[str, dict[str, float]]:
    """The smallest and the largest value of every variable over the samples.

    coremltools finds them by predicting, which only macOS can; the executor does it here.
    """
    from convlint import mil

    ranges: dict[str, dict[str, float]] = {}

    def note(name: str, value: Any) -> None:
        if getattr(value, "ndim", None) is None or not value.size:
            return
        low, high = float(value.min()), float(value.max())
        known = ranges.setdefault(name, {"rmin": low, "rmax": high})
        known["rmin"], known["rmax"] = min(known["rmin"], low), max(known["rmax"], high)

    def watch(operation: Any, values: tuple[Any, ...]) -> None:
        for variable, value in zip(operation.outputs, values, strict=True):
            if hasattr(value, "is_floating_point") and value.is_floating_point():
                note(variable.name, value.float().numpy())

    program = mil.load(model)
    for sample in samples:
        for name, value in sample.items():
            note(name, value)
        mil.run(program, sample, watch=watch)
    return ranges
