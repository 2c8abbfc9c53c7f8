"""The one table of operations: name to function.

A function takes its inputs by their names in MIL: tensors as torch tensors, parameters that are known
when the model is compiled as plain numbers, strings and lists. The executor rounds its results. Control
flow and states need the executor itself and are implemented there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from convlint.mil import (
    activation,
    compression,
    convolution,
    elementwise,
    filling,
    indexing,
    linear,
    lists,
    normalization,
    pooling,
    randomness,
    recurrent,
    reduction,
    resize,
    sampling,
    selection,
    shaping,
    slicing,
)

_MODULES = (
    activation,
    compression,
    convolution,
    elementwise,
    filling,
    indexing,
    linear,
    lists,
    normalization,
    pooling,
    randomness,
    recurrent,
    reduction,
    resize,
    sampling,
    selection,
    shaping,
    slicing,
)


def _merged() -> dict[str, Callable[..., Any]]:
    table: dict[str, Callable[..., Any]] = {}
    for module in _MODULES:
        operations: Mapping[str, Callable[..., Any]] = module.OPERATIONS
        twice = table.keys() & operations.keys()
        if twice:
            raise AssertionError(f"{sorted(twice)} stand in two modules")
        table.update(operations)
    return table


OPERATIONS = _merged()

CONTROL = frozenset({"cond", "while_loop", "read_state", "coreml_update_state", "write_state", "const"})
"""The operations that the executor implements itself."""

MOVING = frozenset(
    {
        *shaping.OPERATIONS,
        *slicing.OPERATIONS,
        *lists.OPERATIONS,
        "band_part",
        "gather",
        "gather_along_axis",
        "gather_nd",
        "pad",
        "select",
    }
)
"""Ops that compute nothing, and so take half precision as stored."""

ACCUMULATING = frozenset(
    {
        "conv",
        "conv_quantized",
        "conv_transpose",
        "einsum",
        "linear",
        "matmul",
        "scaled_dot_product_attention",
    }
)
"""Ops that sum products, whose accumulator on the Neural Engine is narrower than float16."""
