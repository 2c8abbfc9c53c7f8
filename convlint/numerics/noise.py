"""How much of an output is rounding: what no converter could be blamed for.

An output that is the small rest of large numbers (``x - x``, the variance of equal values) is rounding
alone, in PyTorch as in the program. So the model is run in float64 too, and again with its inputs moved
by the last bit of a float32: how far the outputs move tells how many of their digits mean anything.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from convlint.capture.build import weight_bytes
from convlint.numerics.running import outputs_of

if TYPE_CHECKING:
    import torch

LARGEST = 512 << 20
"""Bytes of weights up to which a model is copied into float64."""

FACTOR = 4.0
"""How many times the rounding of PyTorch's own answer a program may be off."""

_LAST_BIT = 2.0**-23


JITTERS = 4
"""Runs on moved inputs: one float32 run may be exactly right by luck."""


def noise_of(
    module: torch.nn.Module, inputs: Any, wanted: Sequence[Any], states: Sequence[str] = ()
) -> list[float] | None:
    """For each output the absolute difference that rounding explains; None where that cannot be told."""
    import torch

    from convlint.torch_adapter import pytree

    if weight_bytes(module) > LARGEST:
        return None
    generator = torch.Generator().manual_seed(0)

    def floats(change: Callable[[torch.Tensor], torch.Tensor], given: Any) -> Any:
        def changed(value: Any) -> Any:
            floating = isinstance(value, torch.Tensor) and value.dtype.is_floating_point
            return change(value) if floating else value

        return pytree.tree_map(changed, given)

    def moved(value: torch.Tensor) -> torch.Tensor:
        signs = torch.randint(0, 2, value.shape, generator=generator) * 2 - 1
        return value * (1 + signs * _LAST_BIT)

    try:
        double = copy.deepcopy(module).double()
        exact = outputs_of(double, floats(torch.Tensor.double, inputs), states)
        again = outputs_of(double, floats(torch.Tensor.double, inputs), states)
        if not all(np.array_equal(one, two, equal_nan=True) for one, two in zip(exact, again, strict=True)):
            return None  # it draws random numbers: not rounding
        rounded, sensitive = _apart(wanted, exact), [0.0] * len(wanted)
        for _ in range(JITTERS):
            given = floats(moved, inputs)
            single, wide = (
                outputs_of(module, given, states),
                outputs_of(double, floats(torch.Tensor.double, given), states),
            )
            rounded = list(map(max, rounded, _apart(single, wide)))
            sensitive = list(map(max, sensitive, _apart(wide, exact)))
    except Exception:  # a model may refuse float64, or to be copied
        return None
    return [FACTOR * (one + other) for one, other in zip(rounded, sensitive, strict=True)]


def _apart(some: Sequence[Any], others: Sequence[Any]) -> list[float]:
    """The largest finite difference in each output."""
    found = []
    for one, other in zip(some, others, strict=True):
        apart = np.abs(np.asarray(one, dtype=np.float64) - np.asarray(other, dtype=np.float64))
        apart = apart[np.isfinite(apart)]
        found.append(float(apart.max()) if apart.size else 0.0)
    return found
