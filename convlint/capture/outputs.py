"""Nested outputs: what a user would wrap by hand is flattened for them.

torch.export takes tuples, dicts and registered classes; coremltools takes tensors alone. Neither
is a reason to make people write a wrapper before they can be told about their ops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from convlint.model import Proviso
from convlint.usercode.sites import definition_of, returned_by

if TYPE_CHECKING:
    import torch


@contextmanager
def flat_outputs(module: torch.nn.Module) -> Iterator[list[str]]:
    """While open, ``module`` returns the tensors of its output alone, as one tensor or a tuple.

    Yields the names of the kinds of parts that neither a trace nor coremltools takes as they are.
    """
    odd: list[str] = []

    def look(part: torch.nn.Module, args: Any, output: Any) -> Any:
        odd[:] = odd_parts(output)
        return _flat(output)

    handle = module.register_forward_hook(look)
    try:
        yield odd
    finally:
        handle.remove()


def odd_parts(output: Any) -> list[str]:
    """The kinds of parts of an output that are no tensors, nor tuples or lists of these, each once."""
    import torch

    if isinstance(output, torch.Tensor):
        return []
    if isinstance(output, (list, tuple)):
        names = [name for part in output for name in odd_parts(part)]
    else:
        names = ["None" if output is None else type(output).__qualname__]
        if isinstance(output, Mapping):
            names += [name for part in output.values() for name in odd_parts(part)]
    return list(dict.fromkeys(names))


def outputs_proviso(module: torch.nn.Module, kinds: Iterable[str]) -> Proviso | None:
    """That a model converts with its tensors alone for outputs, where some are of other kinds."""
    kinds = list(dict.fromkeys(kinds))
    if not kinds:
        return None
    named = " or ".join([", ".join(kinds[:-1]), kinds[-1]] if kinds[1:] else kinds)
    text = f"the outputs are tensors or tuples of tensors, with no {named}"
    return Proviso("outputs", text, returned_by(module))


@contextmanager
def plain_outputs(module: torch.nn.Module) -> Iterator[list[str]]:
    """While open, an output with parts that torch.export cannot take is flattened to its tensors.

    Yields the names of the classes that made it necessary; an output that export takes stays.
    """
    import torch

    from convlint.torch_adapter import pytree

    odd: list[str] = []
    plain = (torch.Tensor, type(None), bool, int, float, str, torch.SymInt, torch.SymFloat, torch.SymBool)

    def look(part: torch.nn.Module, args: Any, output: Any) -> Any:
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


def registered_proviso(name: str, module: torch.nn.Module) -> Proviso:
    """That torch.export takes a class among the inputs once it knows of it."""
    text = f"torch.export.register_dataclass({name}) is called before"
    return Proviso("inputs", text, definition_of(module))


def drop_constant_outputs(program: Any) -> list[str]:
    """Take None, numbers and text out of the outputs of an exported program: Core ML has no word for them.

    The kinds of what was taken out.
    """
    from torch.export.graph_signature import ConstantArgument

    specs = program.graph_signature.output_specs
    tensor_specs = [spec for spec in specs if not isinstance(spec.arg, ConstantArgument)]
    if not tensor_specs or len(tensor_specs) == len(specs):
        return []
    values = [spec.arg.value for spec in specs if isinstance(spec.arg, ConstantArgument)]
    specs[:] = tensor_specs
    return ["None" if value is None else type(value).__qualname__ for value in values]


def _flat(output: Any) -> Any:
    leaves = tuple(tensor_leaves(output))
    return leaves[0] if len(leaves) == 1 else leaves


def tensor_leaves(value: Any) -> list[Any]:
    """Every tensor in a nested output: tuples, lists, mappings, dataclasses; all else is left out."""
    import dataclasses

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
