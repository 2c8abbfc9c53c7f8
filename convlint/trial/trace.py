"""The other door: a TorchScript trace, on the meta device where the model allows it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convlint.capture.build import borrowed, weight_bytes, zero_weights
from convlint.capture.methods import Attempts, Source, quiet_torch
from convlint.capture.outputs import flat_outputs
from convlint.inputs import InputSpec, spec_of
from convlint.sandbox import time_limit, user_code
from convlint.trial.interface import interface_type

if TYPE_CHECKING:
    import torch


def trace_torchscript(
    source: Source, limit: float | None, room: int
) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The model as TorchScript with the inputs it was traced with: (traced, args, kwargs).

    Traced with real random weights where they fit into ``room`` bytes, else with weights that are
    all one zero in memory.
    """
    attempts = Attempts(source, limit, None, values=False)
    args, kwargs = source.make_inputs()
    with quiet_torch(), time_limit(limit):
        if source.instance is not None:
            module = attempts.with_data(source.instance)
        else:
            from convlint.capture.weightless import build_weightless

            assert source.build is not None
            module = build_weightless(source.build, room)
            module = zero_weights(module) if weight_bytes(module) > room else attempts.real()[0]
        with borrowed(module):
            return trace_module(module, args, kwargs), args, kwargs


def trace_module(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module`` as TorchScript, its outputs flattened to a tuple of tensors.

    ``torch.jit.trace`` takes tensors, tuples and dicts of tensors alone; what a user would wrap by
    hand (dataclasses, None, caches) is flattened here by a hook, and the hook is taken back.
    """
    import torch

    with flat_outputs(module), user_code(), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(  # type: ignore[no-untyped-call]
            module,
            example_inputs=args if not kwargs else None,
            example_kwarg_inputs=_all_named(module, args, kwargs) if kwargs else None,
            strict=False,
            check_trace=False,
        )


def input_types(
    args: tuple[Any, ...], kwargs: dict[str, Any], specs: Sequence[InputSpec] = ()
) -> tuple[Any, ...]:
    """The type of every tensor input, in the order of the trace; as ``specs`` declare it, where given."""
    import torch
    from torch.utils import _pytree as pytree

    if specs:
        positional = [spec for spec in specs if spec.name is None]
        named = {spec.name: spec for spec in specs if spec.name is not None}
        rest = {name: value for name, value in kwargs.items() if isinstance(value, torch.Tensor)}
        ordered = [*positional, *(named.get(name) or spec_of(value) for name, value in rest.items())]
    else:
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        ordered = [spec_of(tensor) for tensor in tensors]
    return tuple(map(interface_type, ordered))


def _all_named(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    import inspect

    bound = inspect.signature(module.forward).bind_partial(*args, **kwargs)
    return dict(bound.arguments) if not any(isinstance(v, dict) for v in bound.arguments.values()) else kwargs
