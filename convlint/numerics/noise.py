"""How much of an output is rounding: what no converter could be blamed for.

An output that is the small rest of large numbers (``x - x``, the variance of equal values) is rounding
alone, in PyTorch as in the program. So the model is run in float64 too, and again with its inputs moved
by the last bit of a float32: how far the outputs move tells how many of their digits mean anything.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from convlint.capture.build import weight_bytes
from convlint.numerics.difference import distances, largest_finite
from convlint.numerics.running import tensors_of
from convlint.numerics.tolerance import LAST_BIT, ROUNDINGS

if TYPE_CHECKING:
    import torch

LARGEST = 512 << 20
"""Bytes of weights up to which a model is copied into float64."""

JITTERS = 4
"""Runs on moved inputs: one float32 run may be exactly right by luck."""


def noise_of(
    module: torch.nn.Module, inputs: Any, expected: Sequence[Any], states: Sequence[str] = ()
) -> list[float] | None:
    """For each output the absolute difference that rounding explains; None where that cannot be told.

    ``expected`` is what the module gives for the inputs.
    """
    spread = rounding_of(module, inputs, expected, states)
    return None if spread is None else [ROUNDINGS * each for each in spread]


def rounding_of(
    module: torch.nn.Module, inputs: Any, expected: Sequence[Any], states: Sequence[str] = ()
) -> list[float] | None:
    """For each output how far float32 and the last bit of the inputs move it; None where that is unknown."""
    import torch

    if weight_bytes(module) > LARGEST:
        return None
    generator = torch.Generator().manual_seed(0)

    def moved(value: torch.Tensor) -> torch.Tensor:
        signs = torch.randint(0, 2, value.shape, generator=generator) * 2 - 1
        return value * (1 + signs * LAST_BIT)

    try:
        double = copy.deepcopy(module).double()
        doubled = _floats(torch.Tensor.double, inputs)
        exact = tensors_of(double, doubled, states)
        again = zip(tensors_of(double, doubled, states), exact, strict=True)
        if any(distances(one, other).any() for one, other in again):
            return None  # it draws random numbers: not rounding
        rounded, sensitive = _apart(expected, exact), [0.0] * len(expected)
        for _ in range(JITTERS):
            nudged = _floats(moved, inputs)
            single = tensors_of(module, nudged, states)
            wide = tensors_of(double, _floats(torch.Tensor.double, nudged), states)
            rounded = list(map(max, rounded, _apart(single, wide)))
            sensitive = list(map(max, sensitive, _apart(wide, exact)))
    except Exception:  # a model may refuse float64, or to be copied
        return None
    return [one + other for one, other in zip(rounded, sensitive, strict=True)]


def _floats(change: Callable[[torch.Tensor], torch.Tensor], inputs: Any) -> Any:
    """The inputs with every tensor of floats changed."""
    import torch

    from convlint.torch_adapter import pytree

    def changed(value: Any) -> Any:
        floating = isinstance(value, torch.Tensor) and value.dtype.is_floating_point
        return change(value) if floating else value

    return pytree.tree_map(changed, inputs)


def _apart(some: Sequence[Any], others: Sequence[Any]) -> list[float]:
    """The largest finite difference in each output."""
    return [largest_finite(distances(one, other)) for one, other in zip(some, others, strict=True)]
