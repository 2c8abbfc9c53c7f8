"""Gather and scatter.

Up to iOS16 an index may be negative; from iOS17 on it may not. These functions tell the two apart by
``validate_indices``, an argument that older ops do not have. Reading at an index outside the range is
undefined in Core ML: here it gives NaN, or the smallest integer, so that a comparison shows it. Writing
there does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from convlint.mil.failures import ExecutionError, UnsupportedOperation

_COMBINE: dict[str, Callable[..., None] | None] = {
    "update": None,
    "add": np.add.at,
    "sub": np.subtract.at,
    "mul": np.multiply.at,
    "div": np.divide.at,
    "max": np.maximum.at,
    "min": np.minimum.at,
}


def _resolved(indices: Tensor, size: int, validate: bool | None) -> tuple[Tensor, Tensor | None]:
    """Valid indices, and a mask of those that were invalid (None without any)."""
    resolved = indices.long()
    if validate is None:
        resolved = torch.where(resolved < 0, resolved + size, resolved)
    invalid = (resolved < 0) | (resolved >= size)
    if not bool(invalid.any()):
        return resolved, None
    if validate:
        raise ExecutionError(
            f"an index of {indices[invalid].flatten()[0].item()} is outside an axis of length {size}, and "
            "the op was asked to validate its indices: Core ML stops here. Look at what computes them."
        )
    return torch.where(invalid, 0, resolved), invalid


def _undefined(x: Tensor) -> float | int | bool:
    if x.dtype.is_floating_point:
        return float("nan")
    return False if x.dtype is torch.bool else torch.iinfo(x.dtype).min


def gather(
    x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool | None = None
) -> Tensor:
    axis %= x.dim()
    resolved, invalid = _resolved(indices, x.shape[axis], validate_indices)
    if batch_dims == 0:
        out = x.index_select(axis, resolved.reshape(-1))
        out = out.reshape([*x.shape[:axis], *resolved.shape, *x.shape[axis + 1 :]])
    else:
        batch = x.shape[:batch_dims]
        rows = zip(x.flatten(0, batch_dims - 1), resolved.flatten(0, batch_dims - 1), strict=True)
        parts = [gather(row, index, axis - batch_dims) for row, index in rows]
        out = torch.stack(parts).reshape(*batch, *parts[0].shape)
    if invalid is None:
        return out
    before, after = invalid.shape[:batch_dims], invalid.shape[batch_dims:]
    lost = invalid.reshape([*before, *[1] * (axis - batch_dims), *after, *[1] * (x.dim() - axis - 1)])
    return torch.where(lost, _undefined(x), out)


def gather_along_axis(
    x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool | None = None
) -> Tensor:
    resolved, invalid = _resolved(indices, x.shape[axis], validate_indices)
    out = torch.take_along_dim(x, resolved, axis)
    return out if invalid is None else torch.where(invalid, _undefined(x), out)


def gather_nd(
    x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool | None = None
) -> Tensor:
    depth = indices.shape[-1]
    places: list[Tensor] = []
    lost: Tensor | None = None
    for position in range(batch_dims):
        shape = [1] * (indices.dim() - 1)
        shape[position] = x.shape[position]
        places.append(torch.arange(x.shape[position]).reshape(shape))
    for position in range(depth):
        size = x.shape[batch_dims + position]
        resolved, invalid = _resolved(indices[..., position], size, validate_indices)
        places.append(resolved)
        if invalid is not None:
            lost = invalid if lost is None else lost | invalid
    out = x[tuple(places)] if places else x.expand(*indices.shape[:-1], *x.shape)
    if lost is None:
        return out
    return torch.where(lost.reshape([*lost.shape, *[1] * (out.dim() - lost.dim())]), _undefined(x), out)


def _combined(data: Tensor, places: tuple[Tensor, ...], updates: Tensor, mode: str) -> Tensor:
    """A copy of ``data`` with ``updates`` combined into ``places``, one after the other in order."""
    if mode not in _COMBINE:
        raise UnsupportedOperation(f"{mode!r} is not a scatter mode of MIL.")
    out = data.numpy().copy()
    where = tuple(place.numpy() for place in places)
    values = updates.numpy()
    combine = _COMBINE[mode]
    if combine is None:
        out[where] = values
    elif mode == "div" and out.dtype.kind in "iu":
        np.floor_divide.at(out, where, values)
    else:
        combine(out, where, values)
    return torch.from_numpy(out)


def scatter(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    resolved, invalid = _resolved(indices, data.shape[axis], validate_indices)
    axis %= data.dim()
    rows = updates.reshape(*data.shape[:axis], -1, *data.shape[axis + 1 :]).movedim(axis, 0)
    resolved = resolved.reshape(-1)
    if invalid is not None:
        valid = ~invalid.reshape(-1)
        resolved, rows = resolved[valid], rows[valid]
    return _combined(data.movedim(axis, 0), (resolved,), rows, mode).movedim(0, axis)


def scatter_along_axis(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    axis: int = 0,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    axis %= data.dim()
    resolved, invalid = _resolved(indices, data.shape[axis], validate_indices)
    places = list(torch.meshgrid(*map(torch.arange, resolved.shape), indexing="ij"))
    places[axis] = resolved
    if invalid is not None:
        valid = ~invalid
        places, updates = [place[valid] for place in places], updates[valid]
    return _combined(data, tuple(places), updates, mode)


def scatter_nd(
    data: Tensor,
    indices: Tensor,
    updates: Tensor,
    mode: str = "add",
    validate_indices: bool | None = None,
) -> Tensor:
    places: Sequence[Tensor] = []
    lost = torch.zeros(indices.shape[:-1], dtype=torch.bool)
    for position in range(indices.shape[-1]):
        resolved, invalid = _resolved(indices[..., position], data.shape[position], validate_indices)
        places = [*places, resolved]
        if invalid is not None:
            lost |= invalid
    if bool(lost.any()):
        places, updates = [place[~lost] for place in places], updates[~lost]
    return _combined(data, tuple(places), updates, mode)


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "scatter": scatter,
    "scatter_along_axis": scatter_along_axis,
    "scatter_nd": scatter_nd,
}
