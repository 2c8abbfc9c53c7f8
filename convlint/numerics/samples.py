"""The inputs of every comparison: the example, random ones like it, and edge cases of functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from convlint.capture.methods import Inputs
from convlint.interface.inputs import InputSpec, filled

if TYPE_CHECKING:
    import torch

EdgeCases = Literal["signs", "halves", "counts", "large", "nonfinite"]

_NUMBERS: dict[EdgeCases, tuple[float, ...]] = {
    "signs": (0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5),
    "halves": tuple(count / 2 for count in range(-9, 10)),
    "counts": tuple(float(count) for count in range(8)),
    "large": (1e-6, -1e-6, 1e-3, 10.0, -10.0, 30.0, -30.0, 1e3, -1e3, 1e4),
    "nonfinite": (0.0, 1.0, -1.0, 0.5, float("inf"), float("-inf"), float("nan")),
}
"""Floats at which functions change their branch, by the kind of edge case."""

_INTEGERS: dict[EdgeCases, tuple[int, ...]] = {
    "signs": tuple(range(-3, 4)),
    "halves": tuple(range(-9, 10)),
    "counts": tuple(range(8)),
    "large": (0, 7, -7, 2049, -2049, 40_000, 2**24 + 1, -(2**24) - 1),
    "nonfinite": tuple(range(4)),
}


def varied(inputs: Inputs, seed: int, *, booleans: bool = True, constants: bool = False) -> Inputs:
    """The example itself for seed 0, else random tensors of the same shapes and dtypes.

    Floats keep the example's mean and spread where it has any, integers its range, so that they remain
    valid for what the model looks up with them.

    Without ``booleans`` these stay as they are: a model may refuse another mask, and a fix that is to be
    proved for the inputs at hand cannot leave those out, as parity does. With ``constants`` floats that are
    all one value are random for seed 0 too: inputs made of sizes alone may be all zeros, which prove nothing.
    """
    import torch

    if seed == 0 and not constants:
        return inputs
    generator = torch.Generator().manual_seed(seed)

    def draw(value: torch.Tensor) -> torch.Tensor:
        if value.dtype is torch.bool:
            return _flags(value, generator) if booleans and seed else value
        inexact = value.dtype.is_floating_point or value.dtype.is_complex
        if seed == 0 and not (inexact and _is_constant(value)):
            return value
        if value.dtype.is_complex:
            return torch.randn(value.shape, generator=generator, dtype=torch.complex64).to(value.dtype)
        return _like(value, generator) if inexact else _in_range(value, generator)

    return _mapped(inputs, draw)


def factory(seed: int) -> Callable[[InputSpec], Any]:
    """A maker of tensors from specs: normal floats, integers of 0 and 1, both booleans: a change shows."""
    import torch

    generator = torch.Generator().manual_seed(seed)

    def make(spec: InputSpec) -> Any:
        dtype = getattr(torch, spec.dtype)
        if spec.contents is not None:
            return filled(spec, generator)
        if dtype.is_floating_point:
            return torch.randn(spec.shape, generator=generator).to(dtype)
        if dtype.is_complex:
            return torch.randn(spec.shape, generator=generator, dtype=torch.complex64).to(dtype)
        return torch.randint(0, 2, spec.shape, generator=generator).to(dtype)

    return make


def picture(shape: Sequence[int], seed: int) -> torch.Tensor:
    """A random picture: whole numbers from 0 to 255, as floats."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, tuple(shape), generator=generator).float()


def own(value: Any) -> Any:
    """A copy of a tensor that nobody else writes to; anything else as it is."""
    import torch

    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def edge_cases_of(inputs: Inputs, kind: EdgeCases, seed: int = 0, integers: bool = False) -> Inputs:
    """Tensors like the example's whose floats are all drawn from the edge cases of one kind.

    Integers keep to the example's range, since most are indices, unless ``integers`` frees them.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)

    def draw(value: torch.Tensor) -> torch.Tensor:
        if value.dtype is torch.bool:
            return _flags(value, generator)
        if value.dtype.is_complex:
            return value
        if not value.dtype.is_floating_point and not integers:
            return _in_range(value, generator)
        chosen = _NUMBERS if value.dtype.is_floating_point else _INTEGERS
        numbers = torch.tensor(chosen[kind])
        picked = numbers[torch.randint(0, len(numbers), value.shape, generator=generator)]
        return picked.to(value.dtype)

    return _mapped(inputs, draw)


def any_integers(inputs: Inputs) -> bool:
    """Whether integers are among the tensors."""
    import torch

    from convlint.torch_adapter import pytree

    kinds = [leaf.dtype for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
    return any(not (kind.is_floating_point or kind.is_complex or kind is torch.bool) for kind in kinds)


def draws(inputs: Inputs) -> int:
    """How often to draw edge cases, so that those of small tensors meet each other too."""
    import torch

    from convlint.torch_adapter import pytree

    sizes = [leaf.numel() for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor)]
    smallest = min((size for size in sizes if size), default=_ENOUGH)
    return max(1, min(_MOST_DRAWS, _ENOUGH // smallest))


_ENOUGH = 64
_MOST_DRAWS = 8


def _flags(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    import torch

    return torch.rand(value.shape, generator=generator) < 0.5


def _is_constant(value: torch.Tensor) -> bool:
    numbers = value.flatten() if value.dtype.is_complex else value.flatten().double()
    return bool((numbers == numbers[:1]).all())


def _like(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Normal floats of the same mean and spread, or plain ones where there is no spread to keep."""
    import torch

    noise = torch.randn(value.shape, generator=generator)
    spread = float(value.float().std()) if value.numel() > 1 else 0.0
    if not 0 < spread < float("inf"):
        return noise.to(value.dtype)
    return (noise * spread + float(value.float().mean())).to(value.dtype)


def _in_range(value: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    import torch

    low, high = int(value.min()), int(value.max())
    return torch.randint(low, high + 1, value.shape, generator=generator).to(value.dtype)


def _mapped(inputs: Inputs, draw: Callable[[torch.Tensor], torch.Tensor]) -> Inputs:
    """``inputs`` with every tensor that has elements drawn anew."""
    import torch

    from convlint.torch_adapter import pytree

    def drawn(value: Any) -> Any:
        return draw(value) if isinstance(value, torch.Tensor) and value.numel() > 0 else value

    replaced: Inputs = pytree.tree_map(drawn, inputs)
    return replaced
