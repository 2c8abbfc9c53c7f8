"""Calls that order values: which of two equal ones comes first, PyTorch leaves open, and so does Core ML.

Scores that are equal, or equal but for rounding, come in another order in the program. Nothing is converted
wrongly then, though what is gathered by that order may be something else altogether.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from convlint.model.parity import Errors
from convlint.numerics.reference import Call

_ALONG = frozenset("topk sort argsort max min argmax argmin kthvalue median cummax cummin".split())
"""Calls whose integers say where along an axis a value of their first argument stands."""


@dataclass(frozen=True, slots=True)
class Reordered:
    """Another order of equal values explains all: by these calls, with ``errors`` left in PyTorch's order."""

    calls: tuple[Call, ...]
    errors: Errors

    def __str__(self) -> str:
        first = self.calls[0]
        site = first.place.site
        where = f" at {PurePath(site.path).name}:{site.line}" if site is not None else ""
        more = f" and {len(self.calls) - 1} more" if len(self.calls) > 1 else ""
        return (
            f"{first.op}{where}{more} puts values that are equal, but for rounding, into another order:"
            " compared in PyTorch's"
        )


def is_reordered(call: Call, indices: Any, tolerance: float) -> bool:
    """Whether the program's ``indices`` stand for the values that PyTorch's stand for, in the same places."""
    import torch

    _, _, name = call.op.partition(".")
    values = call.args[0] if call.args else None
    if name.partition(".")[0] not in _ALONG or not isinstance(values, torch.Tensor):
        return False
    right = next((each for each in _integers(call) if each.shape == indices.shape), None)
    if right is None or not values.numel():
        return False
    found = _taken(call, values, torch.from_numpy(indices.astype("int64")))
    wanted = _taken(call, values, torch.from_numpy(right.astype("int64")))
    if found is None or wanted is None:
        return False
    scale = float(values[values.isfinite()].abs().max()) if bool(values.isfinite().any()) else 1.0
    return bool(torch.allclose(found, wanted, rtol=0.0, atol=tolerance * scale))


def _integers(call: Call) -> list[Any]:
    """The arrays of integers among the values of the call."""
    import numpy as np

    flat = [
        each for value in call.results.values() for each in (value if isinstance(value, list) else [value])
    ]
    return [each for each in flat if isinstance(each, np.ndarray) and each.dtype.kind == "i"]


def _taken(call: Call, values: Any, indices: Any) -> Any:
    """The values that ``indices`` stand for, as float64; None where they lie outside of the axis."""
    dim = _axis(call)
    if dim is None:
        values, indices = values.reshape(-1), indices.reshape(-1)
        dim = 0
    elif indices.ndim == values.ndim - 1:
        indices = indices.unsqueeze(dim)
    if indices.ndim != values.ndim or not values.ndim:
        return None
    if int(indices.min()) < 0 or int(indices.max()) >= values.shape[dim]:
        return None
    return values.double().gather(dim, indices)


def _axis(call: Call) -> int | None:
    """The axis along which the call orders; None for all elements in a row."""
    for number, argument in enumerate(call.target._schema.arguments):
        if argument.name == "dim":
            given = call.args[number] if number < len(call.args) else call.kwargs.get("dim")
            dim = argument.default_value if given is None else given
            return int(dim) if dim is not None else None
    return None
