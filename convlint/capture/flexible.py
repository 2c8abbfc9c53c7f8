"""Flexible sizes: what torch.export is asked for, and an example that runs to trace with."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from convlint.interface.inputs import InputSpec
from convlint.sandbox import TimeLimitExceeded

if TYPE_CHECKING:
    import torch

MOST_SECONDS = 10.0
"""How long a search among sizes may take, with one forward pass without data for each."""

_MOST_SIZES = 600

Forward = Callable[[Sequence[InputSpec]], None]


def examples(specs: Sequence[InputSpec]) -> Iterator[tuple[InputSpec, ...]]:
    """The specs as they are, then with other sizes that they allow, the likely ones first."""
    yield tuple(specs)
    for index in range(1, max(len(spec.shapes) for spec in specs)):
        yield tuple(replace(s, shape=s.shapes[index % len(s.shapes)]) if s.shapes else s for s in specs)
    bounds = [each for spec in specs for each in spec.ranges if each]
    if bounds:
        sizes = range(min(each.low for each in bounds), max(each.high for each in bounds) + 1)
        powers = [1 << bit for bit in range(32) if 1 << bit in sizes]
        likely = chain([sizes[-1], sizes[len(sizes) // 2]], powers, sizes[-sizes[0] % 32 :: 32])
        for size in chain(likely, sizes):  # lazily, since a range may be long
            yield tuple(_at(spec, size) for spec in specs)


def example_that_runs(specs: Sequence[InputSpec], forward: Forward) -> tuple[InputSpec, ...]:
    """The first of the :func:`examples` whose forward pass does not raise; the first where all do."""
    deadline = time.monotonic() + MOST_SECONDS
    for candidate in examples(specs):
        try:
            forward(candidate)
        except TimeLimitExceeded:
            raise
        except Exception:  # the user's code and torch raise anything
            if time.monotonic() > deadline:
                break
        else:
            return candidate
    return tuple(specs)


def dynamic_shapes(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], specs: Sequence[InputSpec]
) -> Any:
    """What ``torch.export.export`` takes as ``dynamic_shapes``; None where all sizes are fixed."""
    import torch

    if not any(spec.flexible for spec in specs):
        return None
    auto: Any = torch.export.Dim.AUTO
    asked: Any = torch.export.ShapesCollection()  # type: ignore[no-untyped-call]
    for spec, tensor in zip(specs, _tensors(specs, args, kwargs), strict=True):
        # Before torch 2.9 the hint has no bounds; conditions are evaluated for the sizes afterwards.
        axes = {
            axis: auto(min=sizes[0], max=sizes[-1]) if callable(auto) else auto
            for axis, sizes in varying_sizes(spec).items()
        }
        if axes:
            asked[tensor] = axes
    return asked.dynamic_shapes(module, args, kwargs or None)


def varying_sizes(spec: InputSpec) -> dict[int, tuple[int, ...]]:
    """The sizes of each axis that may vary, rising; of a long range, a sample with both ends."""
    if spec.shapes:
        columns = enumerate(zip(*spec.shapes, strict=True))
        return {axis: tuple(sorted(set(column))) for axis, column in columns if len(set(column)) > 1}
    by_axis = {}
    for axis, sizes in enumerate(spec.ranges):
        if sizes is None:
            continue
        count = sizes.high - sizes.low + 1
        if count <= _MOST_SIZES:
            by_axis[axis] = tuple(range(sizes.low, sizes.high + 1))
        else:
            step = (sizes.high - sizes.low) // (_MOST_SIZES // 2) or 1
            start = set(range(sizes.low, sizes.low + _MOST_SIZES // 2))
            by_axis[axis] = tuple(sorted(start | set(range(sizes.low, sizes.high, step)) | {sizes.high}))
    return by_axis


def _tensors(specs: Sequence[InputSpec], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    positional = iter(args)
    for spec in specs:
        yield next(positional) if spec.name is None else kwargs[spec.name]


def _at(spec: InputSpec, size: int) -> InputSpec:
    """``spec`` with every range at ``size``, or at its end nearest to that."""
    if not any(spec.ranges):
        return spec
    pairs = zip(spec.shape, spec.ranges, strict=True)
    return replace(
        spec, shape=tuple(min(max(size, each.low), each.high) if each else old for old, each in pairs)
    )
