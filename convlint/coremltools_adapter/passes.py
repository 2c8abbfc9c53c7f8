"""The passes over a MIL program, and what a full conversion does besides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from typing import Any

from convlint.coremltools_adapter.programs import value_type


def backend_pipeline() -> Any:
    """The passes that run after the default ones when the target is an ML Program."""
    import coremltools as ct

    return ct.PassPipeline.get_pipeline("backend_mlprogram")


def complex_pipeline() -> Any:
    """The one pass without which programs with complex numbers cannot be run; it keeps the variables."""
    import coremltools as ct

    return ct.PassPipeline(["common::lower_complex_dialect_ops"], "complex")


@contextmanager
def without_bars() -> Iterator[None]:
    """While open, coremltools draws no progress bars: it hands tqdm no switch of its own."""
    import tqdm

    original = tqdm.tqdm.__init__
    tqdm.tqdm.__init__ = partialmethod(original, disable=True)
    try:
        yield
    finally:
        tqdm.tqdm.__init__ = original


def apply_pipeline(program: Any, pipeline: Any) -> None:
    """Run a pass pipeline over a MIL program, in place."""
    from coremltools.converters.mil.mil.passes.pass_pipeline import PassPipelineManager

    PassPipelineManager.apply_pipeline(program, pipeline)


def apply_passes(program: Any, pipeline: Any) -> None:
    """:func:`apply_pipeline` in half of its time: the program is looked over once, at the end.

    coremltools looks it over after each pass, and spells the whole of it out for a log that nobody reads.
    """
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

    pipeline.validate()
    for name in pipeline.passes:
        graph_pass = PASS_REGISTRY[name]
        graph_pass.set_options(pipeline.get_options(name))
        graph_pass(program)
    program.validate()


def check_program(program: Any) -> None:
    """The checks that the mlprogram backend makes before it writes anything; raises as it does."""
    program._check_early_error_out_for_invalid_program()


def check_inputs(inputs: list[Any], target: Any) -> None:
    """The checks of inputs that a conversion to an ML Program makes, and one to MIL leaves out."""
    import coremltools as ct
    from coremltools.converters._converters_entry import _validate_enumerated_shape_inputs
    from coremltools.converters.mil.backend.backend_helper import _validate_image_input_output_shapes

    _validate_enumerated_shape_inputs(inputs, "mlprogram", target)
    for declared in inputs:
        if isinstance(declared, ct.ImageType):
            _validate_image_input_output_shapes(
                declared.color_layout, declared.shape.default, declared.name, is_input=True
            )


def check_outputs(program: Any, outputs: list[Any]) -> None:
    """The checks of pictures among the outputs, which coremltools makes when it writes the model."""
    import coremltools as ct
    from coremltools.converters.mil.backend.backend_helper import _validate_image_input_output_shapes

    for variable, declared in zip(program.functions["main"].outputs, outputs, strict=True):
        if isinstance(declared, ct.ImageType):
            shape = value_type(variable)[1] or ()
            sizes = tuple(size if size is not None else -1 for size in shape)
            _validate_image_input_output_shapes(declared.color_layout, sizes, variable.name, is_input=False)
