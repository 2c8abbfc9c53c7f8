"""Inputs for each seed, like the example."""

from __future__ import annotations

from typing import Any


def varied(
    inputs: tuple[tuple[Any, ...], dict[str, Any]], seed: int
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The example itself for seed 0, else random tensors of the same shapes and dtypes.

    Floats keep the example's mean and spread where it has any, integers its range, so that they remain
    valid for what the model looks up with them.
    """
    import torch
    from torch.utils import _pytree as pytree

    if seed == 0:
        return inputs
    generator = torch.Generator().manual_seed(seed)

    def draw(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.numel() == 0:
            return value
        if value.dtype is torch.bool:
            return torch.rand(value.shape, generator=generator) < 0.5
        if not value.dtype.is_floating_point:
            low, high = int(value.min()), int(value.max())
            return torch.randint(low, high + 1, value.shape, generator=generator).to(value.dtype)
        noise = torch.randn(value.shape, generator=generator)
        spread = float(value.float().std()) if value.numel() > 1 else 0.0
        if not 0 < spread < float("inf"):
            return noise.to(value.dtype)
        return (noise * spread + float(value.float().mean())).to(value.dtype)

    drawn: tuple[tuple[Any, ...], dict[str, Any]] = pytree.tree_map(draw, inputs)
    return drawn
