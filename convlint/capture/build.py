"""Building the model without its weights, and borrowing one that exists without touching it.

A model built on the meta device has shapes and no data. ``to_empty("cpu")`` under a fake mode
then gives every tensor a CPU device and strides, still without data: the graph captured from it
was identical to the one with real weights on all 316 of 333 real architectures that exported so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from convlint.errors import ModelError
from convlint.sandbox import user_code

if TYPE_CHECKING:
    import torch


def build_on_meta(build: Callable[[], Any]) -> torch.nn.Module:
    """The model that ``build`` returns, its new tensors on the meta device."""
    import torch

    with user_code(), torch.device("meta"), torch.random.fork_rng(devices=()):
        return checked_module(build())


def build_on_cpu(build: Callable[[], Any]) -> torch.nn.Module:
    """The model that ``build`` returns, with real random weights."""
    import torch

    with user_code(), torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return checked_module(build())


def checked_module(model: Any) -> torch.nn.Module:
    """``model``, if it is a module at all."""
    import torch

    if not isinstance(model, torch.nn.Module):
        raise ModelError(
            f"the model is a {type(model).__name__}, not a torch.nn.Module; "
            "name a Module subclass, an instance of one, or a function that returns one."
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError(
            "the model is a TorchScript module, whose source lines are gone; "
            "give convlint the torch.nn.Module that it was made from."
        )
    return model


def fake_weights(module: torch.nn.Module, mode: Any) -> torch.nn.Module:
    """``module`` with CPU tensors that have no data, belonging to ``mode``, for those on meta."""
    import torch

    fakes: dict[torch.Tensor, torch.Tensor] = {}

    def fake(tensor: torch.Tensor) -> torch.Tensor:
        if not tensor.is_meta:
            return tensor
        if tensor not in fakes:
            empty = torch.empty_like(tensor, device="cpu")
            if isinstance(tensor, torch.nn.Parameter):
                empty = torch.nn.Parameter(empty, tensor.requires_grad)
            fakes[tensor] = empty
        return fakes[tensor]

    with mode:
        for part in module.modules():
            own: list[tuple[str, torch.Tensor]] = [
                *part.named_parameters(recurse=False, remove_duplicate=False),
                *part.named_buffers(recurse=False, remove_duplicate=False),
            ]
            for name, tensor in own:
                setattr(part, name, fake(tensor))
            for name, value in vars(part).items():
                if isinstance(value, torch.Tensor) and value.is_meta:
                    vars(part)[name] = fake(value)
                elif type(value) in (list, tuple) and any(isinstance(i, torch.Tensor) for i in value):
                    vars(part)[name] = type(value)(
                        fake(i) if isinstance(i, torch.Tensor) and i.is_meta else i for i in value
                    )
    return module


def mirror(original: torch.nn.Module, copy: torch.nn.Module) -> None:
    """Give ``copy`` the parameters, buffers and submodule names of ``original``, the tensors themselves."""
    import torch

    for name, parameter in original._parameters.items():
        copy.register_parameter(name, parameter)
    for name, buffer in original._buffers.items():
        copy.register_buffer(name, buffer, persistent=name not in original._non_persistent_buffers_set)
    for name, child in original._modules.items():
        part = None if child is None else torch.nn.Module()
        if child is not None and part is not None:
            part.training = child.training
            mirror(child, part)
        copy.register_module(name, part)


def weight_bytes(module: torch.nn.Module) -> int:
    """Memory that the parameters and buffers of ``module`` take, or would take."""
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@contextmanager
def borrowed(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """``module`` in eval mode for a while; every training flag and gradient flag comes back."""
    flags = {part: part.training for part in module.modules()}
    gradients = {parameter: parameter.requires_grad for parameter in module.parameters()}
    _evaluating(module)
    try:
        yield module
    finally:
        for part, training in flags.items():
            part.training = training
        for parameter, needed in gradients.items():
            parameter.requires_grad_(needed)


def _evaluating(module: torch.nn.Module) -> None:
    """``module.eval()``, also of what an exported program was made into, which refuses the call."""
    try:
        module.eval()
    except NotImplementedError:
        for part in module.modules():
            part.training = False


@contextmanager
def kept_buffers(module: torch.nn.Module) -> Iterator[None]:
    """For a while ``forward`` may assign buffers anew, as a cache does; afterwards all are as before."""
    copies = [
        (part, name, tensor)
        for part in module.modules()
        for name, tensor in part.named_buffers(recurse=False, remove_duplicate=False)
    ]
    try:
        yield
    finally:
        for part, name, tensor in copies:
            if getattr(part, name) is not tensor:
                setattr(part, name, tensor)


_OF_MODULES = {"training", "_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"}
"""What a module keeps of its own, beside what its author set."""


@contextmanager
def kept_attributes(module: torch.nn.Module) -> Iterator[None]:
    """For a while ``forward`` may set attributes, to what a tracer gives; afterwards all are as before."""
    held = {part: dict(vars(part)) for part in module.modules()}
    caches = [
        (value, value.copy())
        for attributes in held.values()
        for name, value in attributes.items()
        if name not in _OF_MODULES and type(value) in (dict, list)
    ]
    try:
        yield
    finally:
        for part, before in held.items():
            now = vars(part)
            for name in [name for name in now if name not in before]:
                del now[name]
            now.update({name: value for name, value in before.items() if name not in _OF_MODULES})
        for cache, contents in caches:
            if isinstance(cache, dict):
                cache.clear()
                cache.update(contents)
            else:
                cache[:] = contents


@contextmanager
def unchanged_buffers(module: torch.nn.Module) -> Iterator[None]:
    """While open, the module may write to its buffers; then they get their values back."""
    import torch

    held = {buffer: buffer.detach().clone() for buffer in module.buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in held.items():
                if buffer.grad_fn is not None:  # what was written with gradients has a history
                    with suppress(RuntimeError):  # a view cannot be parted from it
                        buffer.detach_()
                buffer.copy_(value)


def zero_weights(module: torch.nn.Module) -> torch.nn.Module:
    """``module`` with CPU tensors that run, all elements the same zero in memory, for those on meta."""
    import torch

    def zero(tensor: torch.Tensor) -> torch.Tensor:
        value = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
        return (
            torch.nn.Parameter(value, tensor.requires_grad)
            if isinstance(tensor, torch.nn.Parameter)
            else value
        )

    for part in module.modules():
        for name, tensor in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]:
            if tensor.is_meta:
                setattr(part, name, zero(tensor))
    return module
