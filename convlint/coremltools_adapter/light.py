"""The passes of a weightless conversion, without a look at every element of a weight that has no memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

_SMALL = 400
"""Elements up to which a cast to float16 is looked at for numbers that become zero, as coremltools does."""


@contextmanager
def light_constants() -> Iterator[None]:
    """While open, passes look at the numbers in memory of a constant that is a view of few.

    coremltools would copy all weights to cast them, compare each number with the largest of float16 and with
    itself, and copy each weight again to look for equal ones: for a program of 6.7 billion weights, a minute.
    """
    from coremltools.converters.mil.mil.operation import Operation
    from coremltools.converters.mil.mil.ops.defs.iOS15.elementwise_unary import cast
    from coremltools.converters.mil.mil.passes.defs.cleanup.const_deduplication import const_deduplication
    from coremltools.converters.mil.mil.passes.defs.optimize_conv import fuse_conv_batchnorm, fuse_conv_scale
    from coremltools.converters.mil.mil.passes.defs.quantization import FP16ComputePrecision

    with ExitStack() as stack:
        for owner, name, light in (
            (cast, "get_cast_value", _light_cast),
            (FP16ComputePrecision, "fp16_overflow", _light_overflow),
            (FP16ComputePrecision, "_check_underflow_to_zero", _light_underflow),
            (const_deduplication, "find_constants", _light_search),
            (fuse_conv_batchnorm, "_try_to_transform", _light_fusion),
            (fuse_conv_scale, "_try_to_transform", _light_fusion),
            (Operation, "type_value_inference", _light_inference),
        ):
            stack.enter_context(_replaced(owner, name, light(owner.__dict__[name])))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """While open, the attribute of a class is another."""
    original = owner.__dict__[name]
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def block_of(value: Any) -> Any:
    """The numbers in memory that an array is a view of, where these are fewer than its elements."""
    import numpy as np
    from numpy.lib.stride_tricks import as_strided

    if not isinstance(value, np.ndarray) or value.size < 2 or min(value.strides) < 0:
        return None
    reach = sum((size - 1) * stride for size, stride in zip(value.shape, value.strides, strict=True))
    count = reach // value.itemsize + 1
    return None if count >= value.size else as_strided(value, (count,), (value.itemsize,))


def _light_cast(original: Any) -> Any:
    """The cast of a constant: of its numbers in memory, seen the same way."""
    import numpy as np
    from numpy.lib.stride_tricks import as_strided

    def get_cast_value(cls: Any, input_var: Any, dtype_val: Any) -> Any:
        value = input_var.val
        block = block_of(value)
        if block is None:
            return original.__func__(cls, input_var, dtype_val)
        given = SimpleNamespace(val=block, sym_val=block)
        cast_block = np.asarray(original.__func__(cls, given, dtype_val))
        strides = tuple(stride // value.itemsize * cast_block.itemsize for stride in value.strides)
        return as_strided(cast_block, value.shape, strides)

    return classmethod(get_cast_value)


def _light_overflow(original: Any) -> Any:
    """Whether a constant of an operation has a number too large for float16."""
    import numpy as np

    def fp16_overflow(operation: Any) -> bool:
        constants = [
            variable.op.val
            for variable in operation.get_flattened_inputs()
            if variable is not None and variable.op is not None and variable.op.op_type == "const"
        ]
        blocks = [block_of(constant.val) for constant in constants]
        if not any(block is not None for block in blocks):
            return bool(original.__func__(operation))
        numbers = [
            np.asarray(each.val) if block is None else block
            for each, block in zip(constants, blocks, strict=True)
        ]
        sizes = [np.abs(value) for value in numbers if value.dtype == np.float32]
        return any(bool((size[size < 1e38] > 65504).any()) for size in sizes)

    return staticmethod(fp16_overflow)


def _light_underflow(original: Any) -> Any:
    """coremltools leaves large constants as they are, and copies each one to learn how large it is."""

    def check_underflow_to_zero(self: Any, new_var: Any, var: Any) -> None:
        if getattr(var.val, "size", 0) < _SMALL:
            original(self, new_var, var)

    return check_underflow_to_zero


def _light_fusion(original: Any) -> Any:
    """The weight of a convolution times a scale: a view again, of the first numbers of the product."""
    from coremltools.converters.mil.mil import Builder

    make = Builder.__dict__["const"]

    def const(cls: Any, /, **kwargs: Any) -> Any:
        return make.__func__(cls, **kwargs | {"val": _as_view(kwargs["val"])})

    def try_to_transform(conv_op: Any, other_op: Any) -> Any:
        if block_of(conv_op.weight.val) is None:
            return original.__func__(conv_op, other_op)
        with _replaced(Builder, "const", classmethod(const)):
            return original.__func__(conv_op, other_op)

    return staticmethod(try_to_transform)


def _as_view(value: Any) -> Any:
    """An array of rank 3 or more as a view of as many of its numbers as its shape tells apart."""
    from numpy.lib.stride_tricks import as_strided

    shape = getattr(value, "shape", ())
    count = sum(shape) - len(shape) + 1
    if len(shape) < 3 or count >= value.size:
        return value
    return as_strided(value.reshape(-1)[:count].copy(), shape, (value.itemsize,) * len(shape))


def _light_search(original: Any) -> Any:
    """The search for equal constants: views are equal where what they are views of is."""

    def find_constants(blocks: Any) -> dict[Any, list[Any]]:
        from coremltools.converters.mil.mil.passes.defs.cleanup.const_deduplication import (
            const_deduplication,
        )

        wanted = const_deduplication.__dict__["should_be_deduplicated"]

        def of_memory(value: Any) -> bool:
            return block_of(value) is None and bool(wanted.__func__(value))

        with _replaced(const_deduplication, "should_be_deduplicated", staticmethod(of_memory)):
            found: dict[Any, list[Any]] = original.__func__(blocks)
        first: dict[Any, Any] = {}
        for variable in _constants(blocks):
            block = block_of(variable.val)
            if block is not None and wanted.__func__(variable.val):
                shape, strides = variable.val.shape, variable.val.strides
                weight_key = getattr(variable.op, "weight_key", None)
                key = (weight_key, variable.dtype, shape, strides, block.tobytes())
                if key in first:
                    found[first[key]].append(variable)
                else:
                    first[key] = variable
                    found[variable] = []
        return found

    return staticmethod(find_constants)


def _constants(blocks: Any) -> Iterator[Any]:
    for block in blocks:
        for operation in list(block.operations):
            if operation.op_type == "const":
                yield operation.outputs[0]


def _light_inference(original: Any) -> Any:
    """The inference of types and values over again: that of a constant which has one is what it was."""

    def type_value_inference(self: Any, overwrite_output: bool = False) -> None:
        known = overwrite_output and self.op_type == "const" and self._output_vars
        if not known or block_of(self.val.val) is None:
            original(self, overwrite_output=overwrite_output)

    return type_value_inference
