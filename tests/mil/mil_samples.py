"""Random calls of MIL operations, each with what it must give.

What is right comes from two sides that know nothing of the executor: coremltools' own folding of constants
(``value_inference``), and a reference of a few words of NumPy or PyTorch after the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil.mil import Builder as mb
from coremltools.converters.mil.mil import Function
from mil_programs import placeholder, program_of

from convlint.mil import run
from convlint.mil.dtypes import Precision

Random = np.random.Generator
Array = np.ndarray[Any, Any]
TARGETS = ("iOS15", "iOS16", "iOS17", "iOS18")
FOLDED_WRONG = {
    "concat": "interleave is forgotten",
    "cumsum": "exclusive raises a TypeError: np.zeros is given the data as its dtype",
    "flatten2d": "an empty product of sizes is a float, which raises a TypeError where the axis is the first",
    "gather": "with batch_dims a negative axis is counted from the wrong end, or raises",
    "scatter_along_axis": "every mode is taken for update",
    "softplus_parametric": "overflows where the function itself does not",
}
"""Where coremltools 9.0 folds constants to something else than the operation's documentation says."""

TUPLES = {"concat": "values", "einsum": "values", "stack": "values"}
FLOATS = (np.float32, np.float16)


@dataclass(frozen=True, slots=True)
class Sample:
    """One call: tensors that become inputs of a program, all else, and the outputs if they are known."""

    op: str
    tensors: dict[str, Array]
    parameters: dict[str, Any] = field(default_factory=dict)
    target: str = "iOS17"
    expected: Sequence[Any] | None = None

    def __str__(self) -> str:
        tensors = {name: f"{array.dtype}{list(array.shape)}" for name, array in self.tensors.items()}
        return f"{self.op} for {self.target} of {tensors} with {self.parameters}"


def shape(r: Random, low: int = 1, high: int = 4, most: int = 4) -> tuple[int, ...]:
    """A shape of ``low`` to ``high`` axes."""
    return tuple(int(size) for size in r.integers(1, most + 1, int(r.integers(low, high + 1))))


def axis(r: Random, rank: int) -> int:
    return int(r.integers(-rank, rank))


def one(r: Random, values: Sequence[Any]) -> Any:
    return values[int(r.integers(len(values)))]


def yes(r: Random) -> bool:
    return bool(r.integers(2))


def since(r: Random, first: str) -> str:
    return str(one(r, TARGETS[TARGETS.index(first) :]))


def numbers(r: Random, size: Sequence[int], dtype: Any = np.float32, scale: float = 2.0) -> Array:
    """Random numbers, a third of them on whole and half ones, where conventions differ."""
    kind = np.dtype(dtype)
    if kind.kind == "b":
        return r.integers(0, 2, size).astype(bool)
    if kind.kind in "iu":
        return r.integers(0 if kind.kind == "u" else -9, 10, size).astype(kind)
    smooth = r.standard_normal(size) * scale
    return np.where(r.random(size) < 1 / 3, np.round(2 * smooth) / 2, smooth).astype(kind)


def positive(r: Random, size: Sequence[int], dtype: Any = np.float32) -> Array:
    return (np.abs(numbers(r, size, np.float32)) + 0.25).astype(dtype)


def distinct(r: Random, size: Sequence[int], dtype: Any = np.float32) -> Array:
    """Numbers of which no two are equal, for ops whose order of equal ones is not defined."""
    count = int(np.prod(size))
    return (r.permutation(count) - count // 2).astype(dtype).reshape(size)


def chosen_axes(r: Random, rank: int) -> list[int]:
    """Some axes of ``rank``, counted from either end, in any order."""
    count = int(r.integers(1, rank + 1))
    return [int(a) - (rank if yes(r) else 0) for a in r.permutation(rank)[:count]]


def call(sample: Sample, tensors: dict[str, Any]) -> Any:
    """The call in a program under construction; ops of a tuple take their tensors by number."""
    if sample.op in TUPLES:
        tensors = {TUPLES[sample.op]: tuple(tensors.values())}
    return getattr(mb, sample.op)(**tensors, **sample.parameters)


def executed(sample: Sample, precision: Precision | None = None) -> list[Any]:
    """The outputs of a program that takes the sample's tensors as inputs."""
    program = program_of(
        lambda **inputs: call(sample, inputs),
        sample.target,
        **{name: placeholder(array) for name, array in sample.tensors.items()},
    )
    return list(run(program, sample.tensors, precision).values())


def folded(sample: Sample) -> list[Any] | None:
    """What coremltools makes of the call when all of its tensors are constants; None where it does not."""
    with Function({}, opset_version=getattr(ct.target, sample.target)):
        result = call(sample, dict(sample.tensors))
    outputs = list(result) if isinstance(result, (list, tuple)) else [result]
    values = [variable.val for variable in outputs]
    return None if any(value is None for value in values) else values


def tolerance(sample: Sample) -> dict[str, float]:
    half = any(array.dtype == np.float16 for array in sample.tensors.values())
    half = half or any(getattr(v, "dtype", None) == np.float16 for v in sample.parameters.values())
    return {"atol": 1e-2, "rtol": 5e-3} if half else {"atol": 1e-5, "rtol": 1e-4}


def check(sample: Sample) -> set[str]:
    """Compare the executor with both sides; which of them had an answer."""
    result = executed(sample)
    trusted = FOLDED_WRONG.get(sample.op) is None
    answers = {"reference": sample.expected, "folded": folded(sample) if trusted else None}
    for name, values in answers.items():
        if values is None:
            continue
        assert len(values) == len(result), f"{sample}: {len(result)} outputs, {name} has {len(values)}"
        for ours, theirs in zip(result, values, strict=True):
            right = np.asarray(theirs)
            message = f"{name} of {sample}"
            assert ours.shape == right.shape or ours.size == right.size == 1, (
                f"{message}: {ours.shape} and not {right.shape}"
            )
            np.testing.assert_allclose(
                ours.reshape(right.shape).astype(np.float64),
                right.astype(np.float64),
                err_msg=message,
                **tolerance(sample),
            )
    return {name for name, values in answers.items() if values is not None}


Sampler = Callable[[Random], Sample]
