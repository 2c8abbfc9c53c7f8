"""Nested outputs: what a user would wrap by hand is flattened for them.

torch.export takes tuples, dicts and registered classes; coremltools takes tensors alone. Neither
is a reason to make people write a wrapper before they can be told about their ops.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def flat_outputs(module: torch.nn.Module) -> Iterator[None]:
    """While open, ``module`` returns the tensors of its output alone, as one tensor or a tuple."""
    handle = module.register_forward_hook(lambda part, given, output: _flat(output))
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def plain_outputs(module: torch.nn.Module) -> Iterator[list[str]]:
    """While open, an output with parts that torch.export cannot take is flattened to its tensors.

    Yields the names of the classes that made it necessary; an output that export takes stays.
    """
    import torch
    from torch.utils import _pytree as pytree

    odd: list[str] = []
    plain = (torch.Tensor, type(None), bool, int, float, str, torch.SymInt, torch.SymFloat, torch.SymBool)

    def look(part: torch.nn.Module, given: Any, output: Any) -> Any:
        names = [
            type(leaf).__qualname__ for leaf in pytree.tree_leaves(output) if not isinstance(leaf, plain)
        ]
        if not names:
            return output
        odd[:] = names
        return _flat(output)

    handle = module.register_forward_hook(look)
    try:
        yield odd
    finally:
        handle.remove()


def drop_constant_outputs(program: Any) -> None:
    """Take None, numbers and text out of the outputs of an exported program: Core ML has no word for them."""
    from torch.export.graph_signature import ConstantArgument

    specs = program.graph_signature.output_specs
    kept = [spec for spec in specs if not isinstance(spec.arg, ConstantArgument)]
    if kept and len(kept) < len(specs):
        specs[:] = kept


def _flat(output: Any) -> Any:
    leaves = tuple(tensor_leaves(output))
    return leaves[0] if len(leaves) == 1 else leaves


def tensor_leaves(value: Any) -> list[Any]:
    """Every tensor in a nested output: tuples, lists, mappings, dataclasses; all else is left out."""
    import dataclasses
    from collections.abc import Mapping

    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, Mapping):
        parts: list[Any] = list(value.values())
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [getattr(value, field.name) for field in dataclasses.fields(value)]
    else:
        return []
    return [tensor for part in parts for tensor in tensor_leaves(part)]
