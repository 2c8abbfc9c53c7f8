"""Inputs of other sizes than the example's, for a program with dynamic ones."""

from __future__ import annotations

from typing import Any

import torch

from convlint import torch_adapter
from convlint.capture.methods import Inputs
from convlint.torch_adapter import pytree

LARGEST = 4096
"""A size without an upper bound is tried up to here."""


def is_dynamic(program: Any) -> bool:
    """Whether the program takes inputs of more than one size."""
    return any(_symbols(value) for value in _values(program))


def other_sizes(program: Any, inputs: Inputs) -> list[Inputs]:
    """The inputs at smaller and at larger sizes within the bounds; none where all sizes are fixed."""
    values = _values(program)
    leaves, spec = pytree.tree_flatten(inputs)
    at_hand = _at_hand(values, leaves)
    if not at_hand:
        return []
    made = []
    for number, factor in enumerate((0.5, 1.5)):
        sizes = {}
        for place, (symbol, size) in enumerate(at_hand.items()):
            low, high = _bounds(program, symbol)
            other = min(max(round(size * factor) + place, low), high)
            if other == size:
                other = size + 1 if size < high else max(size - 1, low)
            sizes[symbol] = other
        if sizes == at_hand:
            continue
        generator = torch.Generator().manual_seed(number)
        given = [_resized(leaf, value, sizes, generator) for leaf, value in zip(leaves, values, strict=True)]
        made.append(pytree.tree_unflatten(given, spec))
    return made


def _values(program: Any) -> list[Any]:
    """The value of each input of the user's, in order; None for what is no tensor."""
    from torch.export.graph_signature import InputKind

    placeholders = [node for node in program.graph.nodes if node.op == "placeholder"]
    return [
        node.meta.get("val")
        for node, spec in zip(placeholders, program.graph_signature.input_specs, strict=True)
        if spec.kind is InputKind.USER_INPUT
    ]


def _symbols(value: Any) -> list[Any]:
    if not isinstance(value, torch.Tensor):
        return []
    dynamic = [size for size in value.shape if not isinstance(size, int)]
    return [symbol for size in dynamic for symbol in torch_adapter.symbols_of(size)]


def _at_hand(values: list[Any], leaves: list[Any]) -> dict[Any, int]:
    """The number that each symbol is in the example inputs."""
    found: dict[Any, int] = {}
    for value, leaf in zip(values, leaves, strict=True):
        if isinstance(value, torch.Tensor) and isinstance(leaf, torch.Tensor):
            for size, number in zip(value.shape, leaf.shape, strict=True):
                names: list[Any] = [] if isinstance(size, int) else torch_adapter.symbols_of(size)
                if len(names) == 1 and torch_adapter.size_at(size, {names[0]: number}) == number:
                    found.setdefault(names[0], number)
    return found


def _bounds(program: Any, symbol: Any) -> tuple[int, int]:
    bounds = program.range_constraints.get(symbol)
    if bounds is None:
        return 2, LARGEST
    low = int(bounds.lower) if bounds.lower.is_finite is not False else 2
    try:
        high = min(int(bounds.upper), LARGEST)
    except (OverflowError, TypeError, ValueError):  # no upper bound
        high = LARGEST
    return max(low, 1), max(high, low)


def _resized(leaf: Any, value: Any, sizes: dict[Any, int], generator: torch.Generator) -> Any:
    if not isinstance(leaf, torch.Tensor) or not _symbols(value):
        return leaf
    shape = [size if isinstance(size, int) else torch_adapter.size_at(size, sizes) for size in value.shape]
    if leaf.is_floating_point():
        spread = float(leaf.float().std()) if leaf.numel() > 1 else 1.0
        drawn = torch.randn(shape, generator=generator) * (spread or 1.0) + float(leaf.float().mean())
        return drawn.to(leaf.dtype)
    if leaf.is_complex():
        return torch.randn(shape, generator=generator, dtype=torch.complex64).to(leaf.dtype)
    low, high = int(leaf.min()), int(leaf.max())
    return torch.randint(low, high + 1, shape, generator=generator).to(leaf.dtype)
