"""A run of a converted program with PyTorch's values laid beside its own, or put in their place."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convlint import coremltools_adapter as adapter
from convlint import mil
from convlint.model.parity import Errors
from convlint.numerics.difference import distances, place_of_largest
from convlint.numerics.program_errors import WrongShape, judged, measure
from convlint.numerics.reference import Call

Partner = tuple[str, int | None]
"""The name of a PyTorch value, and the place in it where it is a list."""

_ORDERS = frozenset(
    "argmax argmin topk sort argsort msort max min aminmax kthvalue median nanmedian mode cummax cummin "
    "max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool1d "
    "adaptive_max_pool2d adaptive_max_pool3d unique _unique2".split()
)
"""Calls whose integer results depend on which of two equal values is taken for the first."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """The operation whose value is not that of its call; without a name where it had not the shape.

    ``fits`` is False where PyTorch's value cannot be said in the dtype that it has in the program.
    """

    mil_op: str
    mil_name: str
    errors: Errors
    folded: bool = False
    """Whether coremltools computed the value by itself, so that no run can put another in its place."""
    fits: bool = True
    spot: Spot | None = None


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in a value the error is largest, and what stands there on either side."""

    shape: tuple[int, ...]
    index: tuple[int, ...]
    pytorch: float
    program: float


_UNSET = re.compile(r"aten\.(new_)?empty")
"""Calls whose values PyTorch leaves open: whoever fills the memory is compared."""


@dataclass(slots=True)
class SideBySide:
    """A program, its inputs, and the calls that its variables are the partners of."""

    calls: list[Call]
    tolerance: float
    program: Any
    inputs: Mapping[str, Any]
    partners_of: Callable[[Any], Iterable[Partner]]
    limit: float | None = None
    wrong: dict[int, Wrong] = field(default_factory=dict)
    """By the number of the call, after a run."""

    reordered: int = -1
    """The first call that put equal values into another order, or the number of calls."""

    orders: dict[int, Any] = field(default_factory=dict)
    """The program's integers of calls that order values, where they are not PyTorch's, by number."""

    expected: dict[str, tuple[int, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, call in enumerate(self.calls):
            if _UNSET.match(call.op):
                continue
            for name, value in call.results.items():
                self.expected[name] = (number, value)

    def run(
        self, *, constants: Iterable[Any] = (), corrected: Collection[int] = (), quiet: bool = False
    ) -> dict[str, Any] | None:
        """The outputs, or None where the program cannot be run to its end.

        The values of ``corrected`` calls are replaced by PyTorch's after they were compared. ``quiet``
        compares nothing. ``constants`` are variables that may hold what coremltools computed by itself.
        """
        if not quiet:
            self.wrong, self.orders = {}, {}
            self.reordered = len(self.calls)

        def watch(operation: Any, results: tuple[Any, ...]) -> tuple[Any, ...]:
            pairs = zip(operation.outputs, results, strict=True)
            return tuple(self.seen(operation, *pair, corrected, quiet) for pair in pairs)

        for variable in constants:
            self.look_at_constant(variable)
        function = self.program.functions[self.program.default_function_name]
        names = [name for name, each in function.inputs.items() if not adapter.is_state(each)]
        named = dict(zip(names, self.inputs.values(), strict=True))
        try:
            return mil.run(self.program, named, accumulator_limit=self.limit, watch=watch)
        except mil.ShapeMismatch as error:
            for operation in adapter.operations(self.program):
                if operation.name == error.operation and not quiet:
                    for variable in operation.outputs:
                        self.note(variable, self.partners_of(variable), "", Errors())
        except mil.ExecutionError:
            pass  # what was seen until then counts
        return None

    def seen(
        self, operation: Any, variable: Any, result: Any, corrected: Collection[int], quiet: bool
    ) -> Any:
        import torch

        if not isinstance(result, torch.Tensor):
            return result
        right = result
        for name, index in self.partners_of(variable):
            number, value = self.value(name, index)
            if value is None:
                continue
            if not quiet:
                array = (result.float() if result.dtype.is_floating_point else result).numpy()
                self.compare(variable, (name, index), str(operation.op_type), array)
            if number in corrected and value.size == result.numel():
                right = torch.from_numpy(value.copy()).to(result.dtype).reshape(result.shape)
        return right

    def look_at_constant(self, variable: Any) -> None:
        """Compare what coremltools knows of a variable: its passes put that in the place of the operation."""
        operation, known = variable.op, variable.val
        if operation is None or not isinstance(known, (np.ndarray, np.generic, bool, int, float)):
            return
        array = np.asarray(known)
        if array.dtype.kind in "biuf":
            for partner in self.partners_of(variable):
                self.compare(variable, partner, str(operation.op_type), array, folded=True)

    def compare(
        self, variable: Any, partner: Partner, mil_op: str, array: Any, *, folded: bool = False
    ) -> None:
        _, value = self.value(*partner)
        if value is None or (array.shape != value.shape and array.size == value.size):
            return  # another layout of the same values
        try:
            errors = measure([array], [value])
        except WrongShape:
            errors = Errors()
        else:
            if judged(errors, self.tolerance) == "equal":
                return
        fits, spot = _fits(value, array.dtype), spot_of(array, value)
        if value.dtype.kind == "i":
            self.orders.setdefault(self.value(*partner)[0], array)
        self.note(variable, [partner], mil_op, errors, folded=folded, fits=fits, spot=spot)

    def note(
        self,
        variable: Any,
        partners: Iterable[Partner],
        mil_op: str,
        errors: Errors,
        *,
        folded: bool = False,
        fits: bool = True,
        spot: Spot | None = None,
    ) -> None:
        for name, index in partners:
            number, value = self.value(name, index)
            if value is None:
                continue
            _, _, overload = self.calls[number].op.partition(".")
            if value.dtype.kind == "i" and overload.partition(".")[0] in _ORDERS:
                self.reordered = min(self.reordered, number)
            self.wrong.setdefault(number, Wrong(mil_op, variable.name, errors, folded, fits, spot))

    def value(self, name: str, index: int | None) -> tuple[int, Any]:
        """The number of the call that made a value, and the value, None where it is no array."""
        number, value = self.expected.get(name, (-1, None))
        if index is not None and isinstance(value, list):
            value = value[index] if index < len(value) else None
        return number, value if isinstance(value, np.ndarray) else None

    def first(self, ties: bool) -> tuple[Call, Wrong] | None:
        return self.judged(min(self.wrong), ties) if self.wrong else None

    def judged(self, number: int, ties: bool) -> tuple[Call, Wrong] | None:
        """The call of this number, unless equal values explain it."""
        return None if ties and self.reordered <= number else (self.calls[number], self.wrong[number])


def _fits(value: Any, dtype: Any) -> bool:
    """Whether booleans can say these numbers, where the program has booleans."""
    return bool(dtype.kind != "b" or np.isin(value, (0, 1)).all())


def spot_of(actual: Any, right: Any) -> Spot | None:
    """The place of the largest error: first where one of the two has no number and the other has."""
    if actual.shape != right.shape or not actual.size:
        return None
    # A boolean is 0 or 1, also beside the other numbers that a program may hold in its place.
    actual, right = (each.astype(np.float32) if each.dtype.kind == "b" else each for each in (actual, right))
    index = place_of_largest(distances(actual, right, program=True))
    return Spot(right.shape, index, float(right[index]), float(actual[index]))
