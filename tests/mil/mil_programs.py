"""Small MIL programs for the tests of the executor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil import mil
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import Function, types

from convlint.mil import run


def program_of(build: Callable[..., Any], target: str = "iOS17", **placeholders: Any) -> Any:
    """The program that ``build`` makes of variables; ``placeholders`` are made with ``mb.placeholder``."""
    program = mil.Program()
    with Function(placeholders, opset_version=getattr(ct.target, target)) as function:
        outputs = build(**function.inputs)
        function.set_outputs(list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])
    program.add_function("main", function)
    return program


def placeholder(array: np.ndarray[Any, Any]) -> Any:
    return mb.placeholder(shape=array.shape, dtype=types.numpy_type_to_builtin_type(array.dtype))


def values(build: Callable[..., Any], target: str = "iOS17", **arrays: Any) -> list[Any]:
    """The outputs of a program built over inputs of these arrays, run by the executor."""
    given = {name: np.asarray(array) for name, array in arrays.items()}
    program = program_of(build, target, **{name: placeholder(array) for name, array in given.items()})
    return list(run(program, given).values())


def value(build: Callable[..., Any], target: str = "iOS17", **arrays: Any) -> Any:
    (found,) = values(build, target, **arrays)
    return found


def float32(*numbers: Any) -> np.ndarray[Any, Any]:
    return np.array(numbers[0] if len(numbers) == 1 else numbers, dtype=np.float32)
