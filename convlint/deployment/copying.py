"""A copy of a model in which only what is going to change has memory of its own."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from convlint.deployment.conventions import wrapped

_OWNERS = ("_trainer", "trainer", "_fabric")
"""What a module may hold of the program that trains it, which is nothing to copy."""


def unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """``module`` without the wrappers around it."""
    while (held := wrapped(module)) is not None:
        module = held
    return module


def copy_of(module: torch.nn.Module, changing: Iterable[str]) -> torch.nn.Module:
    """A copy without wrappers. Tensors outside of the modules at the paths ``changing`` are those of the
    model; nobody may write to them.

    Raises what ``copy.deepcopy`` raises for a module that cannot be copied.
    """
    parts = dict(module.named_modules(remove_duplicate=False))
    own = {id(tensor) for path in changing for tensor in _tensors(parts[path])}
    memo: dict[int, Any] = {}
    for tensor in _tensors(module):
        if id(tensor) not in own:
            memo[id(tensor)] = tensor
        elif not tensor.is_leaf:  # deepcopy refuses what follows from parameters
            memo[id(tensor)] = tensor.detach().clone()
    for part in parts.values():
        for value in map(vars(part).get, _OWNERS):
            if value is not None:
                memo[id(value)] = value
    for part in reversed(list(parts.values())):  # the innermost first
        if wrapped(part) is not None:
            memo[id(part)] = copy.deepcopy(unwrapped(part), memo)
    copied = copy.deepcopy(unwrapped(module), memo)
    for part in copied.modules():
        if torch.nn.utils.parametrize.is_parametrized(part):
            _give_own_class(part)
    return copied


def _give_own_class(module: torch.nn.Module) -> None:
    """Part the class of a parametrized module from that of the one it was copied from.

    The parametrized weight is a property of a class that torch made for the one module, and taking the
    parametrization away takes the property off the class, which the copy shares.
    """
    kind = type(module)
    own = {name: value for name, value in vars(kind).items() if name not in ("__dict__", "__weakref__")}
    module.__class__ = type(kind.__name__, kind.__bases__, own)


def _tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    """The parameters and buffers below a module, and the tensors that its parts hold beside them."""
    for part in module.modules():
        for held in (part._parameters, part._buffers, vars(part)):
            yield from (value for value in held.values() if isinstance(value, torch.Tensor))


@contextmanager
def like(module: torch.nn.Module) -> Iterator[None]:
    """While open, new tensors are made on the device of the module and in its dtype, without gradients."""
    tensors = [*module.parameters(), *module.buffers()]
    dtype = next((each.dtype for each in tensors if each.is_floating_point()), None)
    before = torch.get_default_dtype()
    device = tensors[0].device if tensors else torch.device("cpu")
    try:
        if dtype is not None and dtype.itemsize > 1:
            torch.set_default_dtype(dtype)
        with torch.no_grad(), device, torch.random.fork_rng(devices=()):
            yield
    finally:
        torch.set_default_dtype(before)
