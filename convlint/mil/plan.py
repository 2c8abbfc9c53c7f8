"""Turns a block of a MIL program into steps for the executor, each with the values it may drop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.mil.dtypes import Carrier, Precision, carrier
from convlint.mil.table import MOVING, OPERATIONS


@dataclass(frozen=True, slots=True)
class Argument:
    """One input of an operation: a variable or a tuple of them.

    ``plain`` asks for Python values in place of a tensor, ``widen`` for float32 in place of float16.
    """

    name: str
    source: Any
    plain: bool
    widen: bool


@dataclass(frozen=True, slots=True)
class Result:
    """One output: its carrier, and its declared shape."""

    variable: Any
    carrier: Carrier | None
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class Step:
    """One operation with everything that the executor needs for it."""

    operation: Any
    function: Callable[..., Any] | None
    arguments: tuple[Argument, ...]
    results: tuple[Result, ...]
    last_uses: tuple[Any, ...]
    """Variables of this block that no later step reads."""


def plan_block(block: Any, precision: Precision | None) -> tuple[Step, ...]:
    """The steps of a block in order; constants need no step."""
    operations = [operation for operation in block.operations if operation.op_type != "const"]
    own = {variable for operation in operations for variable in operation.outputs} | set(_inputs(block))
    alive = set(block.outputs)
    steps = []
    for operation in reversed(operations):
        used = own & ({*_reads(operation), *operation.outputs})
        last = tuple(used - alive)
        alive |= used
        steps.append(_step(operation, last, precision))
    return tuple(reversed(steps))


def _inputs(block: Any) -> list[Any]:
    inputs = block.inputs
    return list(inputs.values()) if isinstance(inputs, dict) else list(inputs)


def _reads(operation: Any) -> Iterator[Any]:
    """Every variable that an operation or a block inside it reads."""
    yield from operation.get_flattened_inputs()
    for block in operation.blocks:
        yield from block.outputs
        for inner in block.operations:
            yield from _reads(inner)


def _step(operation: Any, last_uses: tuple[Any, ...], precision: Precision | None) -> Step:
    kind = operation.op_type
    widen = kind not in MOVING
    return Step(
        operation=operation,
        function=OPERATIONS.get(kind),
        arguments=tuple(
            Argument(
                name=name,
                source=tuple(source) if isinstance(source, (list, tuple)) else source,
                plain=adapter.is_parameter(operation, name) and _is_plain(source),
                widen=widen,
            )
            for name, source in operation.inputs.items()
        ),
        results=tuple(_result(variable, precision) for variable in operation.outputs),
        last_uses=last_uses,
    )


def _is_plain(variable: Any) -> bool:
    """Whether a parameter is passed as Python values: scalars, strings and lists of integers."""
    dtype, shape = adapter.value_type(variable)
    if dtype == "":
        return False
    kind = carrier(dtype)
    rank = len(shape or ())
    return rank == 0 or (rank == 1 and (kind is None or not kind.is_float))


def _result(variable: Any, precision: Precision | None) -> Result:
    dtype, shape = adapter.value_type(variable)
    return Result(variable, carrier(dtype, precision) if dtype else None, shape)
