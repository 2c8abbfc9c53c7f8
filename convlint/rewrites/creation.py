"""Tensors made from sizes alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from convlint.rewrites.table import NotApplicable, rewrite

Tensor = torch.Tensor


def _full(self: Tensor, size: Sequence[int], value: float | int | bool, dtype: Any) -> Tensor:
    return torch.full(list(size), value, dtype=dtype or self.dtype)


@rewrite("aten.new_ones.default")
def new_ones(self: Tensor, size: Sequence[int], dtype: Any = None, **rest: Any) -> Tensor:
    """torch.full with the size and dtype written out."""
    return _full(self, size, (dtype or self.dtype) is torch.bool or 1, dtype)


@rewrite("aten.new_zeros.default", "aten.new_empty.default")
def new_zeros(self: Tensor, size: Sequence[int], dtype: Any = None, **rest: Any) -> Tensor:
    """torch.full with the size and dtype written out."""
    return _full(self, size, False if (dtype or self.dtype) is torch.bool else 0, dtype)


@rewrite("aten.new_full.default")
def new_full(self: Tensor, size: Sequence[int], fill_value: float, dtype: Any = None, **rest: Any) -> Tensor:
    """torch.full with the size and dtype written out."""
    return _full(self, size, fill_value, dtype)


@rewrite("aten.empty.memory_format", "aten.empty_strided.default", "aten.zeros.default")
def zeros(size: Sequence[int], *rest: Any, dtype: Any = None, **kinds: Any) -> Tensor:
    """torch.full of zeros."""
    return torch.full(list(size), 0, dtype=dtype or torch.get_default_dtype())


@rewrite("aten.empty_like.default", "aten.zeros_like.default")
def zeros_like(self: Tensor, dtype: Any = None, **rest: Any) -> Tensor:
    """torch.full of zeros with the size and dtype written out."""
    return _full(self, self.shape, 0, dtype)


@rewrite("aten.ones_like.default")
def ones_like(self: Tensor, dtype: Any = None, **rest: Any) -> Tensor:
    """torch.full of ones with the size and dtype written out."""
    return _full(self, self.shape, 1, dtype)


@rewrite("aten.full_like.default")
def full_like(self: Tensor, fill_value: float, dtype: Any = None, **rest: Any) -> Tensor:
    """torch.full with the size and dtype written out."""
    return _full(self, self.shape, fill_value, dtype)


@rewrite("aten.scalar_tensor.default")
def scalar_tensor(s: float, dtype: Any = None, **rest: Any) -> Tensor:
    """torch.full of no axes."""
    return torch.full((1,), s, dtype=dtype or torch.get_default_dtype()).reshape(())


@rewrite("aten.fill.Scalar", "aten.fill.Tensor")
def fill(self: Tensor, value: Any) -> Tensor:
    """torch.full, or an expanded value."""
    if isinstance(value, Tensor):
        return value.to(self.dtype).expand(self.shape).clone()
    return _full(self, self.shape, value, None)


@rewrite("aten.normal_functional.default")
def normal_filled(self: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """torch.randn, scaled and moved."""
    drawn = torch.randn(list(self.shape), dtype=self.dtype)
    return drawn if (mean, std) == (0.0, 1.0) else drawn * std + mean


@rewrite("aten.arange.start_step", "aten.arange.start", "aten.arange.default")
def arange(start: float, end: float | None = None, step: float = 1, **kinds: Any) -> Tensor:
    """A running sum of ones, scaled and moved."""
    if end is None:
        start, end = 0, start
    if not all(isinstance(bound, (int, float)) for bound in (start, end, step)):
        raise NotApplicable("its bounds are not known before the model runs")
    numbers = torch.arange(start, end, step, dtype=kinds.get("dtype"))
    count = numbers.shape[0]
    ones = torch.full((count,), 1, dtype=torch.int64 if not numbers.is_floating_point() else numbers.dtype)
    return ((ones.cumsum(0) - 1) * step + start).to(numbers.dtype)
