"""The passes over a MIL program, and what a full conversion does besides."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from types import SimpleNamespace
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
def light_casts() -> Iterator[None]:
    """While open, the cast to float16 looks at the numbers in memory of a constant that is a view of few.

    A weightless conversion would copy all weights, and compare each of them with the largest number of
    float16, only to say their dtype.
    """
    import numpy as np
    from coremltools.converters.mil.mil.ops.defs.iOS15.elementwise_unary import cast
    from coremltools.converters.mil.mil.passes.defs.quantization import FP16ComputePrecision
    from numpy.lib.stride_tricks import as_strided

    def block_of(value: Any) -> Any:
        """The numbers in memory that an array is a view of, where these are fewer than its elements."""
        if not isinstance(value, np.ndarray) or value.size < 2 or min(value.strides) < 0:
            return None
        reach = sum((size - 1) * stride for size, stride in zip(value.shape, value.strides, strict=True))
        count = reach // value.itemsize + 1
        return None if count >= value.size else as_strided(value, (count,), (value.itemsize,))

    cast_value, overflows = cast.__dict__["get_cast_value"], FP16ComputePrecision.fp16_overflow

    def get_cast_value(cls: Any, input_var: Any, dtype_val: Any) -> Any:
        value = input_var.val
        block = block_of(value)
        if block is None:
            return cast_value.__func__(cls, input_var, dtype_val)
        cast_block = np.asarray(
            cast_value.__func__(cls, SimpleNamespace(val=block, sym_val=block), dtype_val)
        )
        strides = tuple(stride // value.itemsize * cast_block.itemsize for stride in value.strides)
        return as_strided(cast_block, value.shape, strides)

    def fp16_overflow(operation: Any) -> bool:
        constants = [
            variable.op.val
            for variable in operation.get_flattened_inputs()
            if variable is not None and variable.op is not None and variable.op.op_type == "const"
        ]
        blocks = [block_of(constant.val) for constant in constants]
        if not any(block is not None for block in blocks):
            return bool(overflows(operation))
        numbers = [
            np.asarray(each.val) if block is None else block
            for each, block in zip(constants, blocks, strict=True)
        ]
        sizes = [np.abs(value) for value in numbers if value.dtype == np.float32]
        return any(bool((size[size < 1e38] > 65504).any()) for size in sizes)

    cast.get_cast_value = classmethod(get_cast_value)
    FP16ComputePrecision.fp16_overflow = staticmethod(fp16_overflow)
    try:
        yield
    finally:
        cast.get_cast_value = cast_value
        FP16ComputePrecision.fp16_overflow = staticmethod(overflows)


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
