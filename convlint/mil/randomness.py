"""Random ops with Core ML's distributions, but not its numbers: its generator is undocumented."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def _generator(seed: int) -> torch.Generator | None:
    """A generator for a seed; None for -1, which means any numbers, from torch's global generator."""
    return None if seed == -1 else torch.Generator().manual_seed(seed)


def _size(shape: Tensor | Sequence[int]) -> list[int]:
    return [int(size) for size in torch.as_tensor(shape).tolist()]


def random_bernoulli(shape: Tensor, prob: float = 0.5, seed: int = -1) -> Tensor:
    return (torch.rand(_size(shape), generator=_generator(seed)) < prob).float()


def random_normal(shape: Tensor, mean: float = 0.0, stddev: float = 1.0, seed: int = -1) -> Tensor:
    return mean + stddev * torch.randn(_size(shape), generator=_generator(seed))


def random_uniform(shape: Tensor, low: float = 0.0, high: float = 1.0, seed: int = -1) -> Tensor:
    return low + (high - low) * torch.rand(_size(shape), generator=_generator(seed))


def random_categorical(x: Tensor, mode: str = "logits", size: int = 1, seed: int = -1) -> Tensor:
    """Class numbers, as floats, drawn with replacement from the last axis."""
    weights = x.float().softmax(-1) if mode == "logits" else x.float()
    rows = weights.reshape(-1, weights.shape[-1])
    drawn = torch.multinomial(rows, size, replacement=True, generator=_generator(seed))
    return drawn.reshape(*x.shape[:-1], size).float()


OPERATIONS: dict[str, Callable[..., Tensor]] = {
    "random_bernoulli": random_bernoulli,
    "random_categorical": random_categorical,
    "random_normal": random_normal,
    "random_uniform": random_uniform,
}
