"""A model without its weights, whatever its constructor asks of them.

On the meta device a constructor may do all but read: ``.item()``, ``.numpy()``, ``.to("cpu")`` and a
branch on a tensor raise there, and half of all vision transformers do one of these. So where it raises, the
model is built on the CPU, with small tensors as they are and large ones in memory that nobody has touched;
and where it reads a number of one of those, with real weights, as far as the memory at hand goes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from convlint import torch_adapter
from convlint.capture.build import build_on_cpu, build_on_meta, checked_module, fake_weights, zero_weights
from convlint.capture.limits import REAL_WEIGHTS_LIMIT
from convlint.errors import ConvlintError
from convlint.sandbox import TimeLimitExceeded, UserExit, user_code
from convlint.torch_adapter import pytree

SMALL = 1 << 20
"""Bytes up to which a tensor is made in earnest: rates, tables of indices, frequencies, masks."""


class ReadsWeights(RuntimeError):
    """A constructor asked for a value of a weight that has none."""


def build_weightless(
    build: Callable[[], Any], memory_limit: int | None = REAL_WEIGHTS_LIMIT
) -> torch.nn.Module:
    """The model that ``build`` returns, with as little memory for weights as its constructor allows.

    Raises what the constructor raises with real weights, and MemoryError where these pass
    ``memory_limit`` bytes.
    """
    for attempt in (build_on_meta, build_on_untouched_memory):
        try:
            return attempt(build)
        except Exception as error:
            if _ends_it(error):
                raise
    with Memory(memory_limit, real=True):
        return build_on_cpu(build)


def build_on_untouched_memory(build: Callable[[], Any]) -> torch.nn.Module:
    """The model that ``build`` returns, on the CPU, its large tensors zeros that take no memory yet."""
    memory = Memory(None, real=False)
    with user_code(), torch.random.fork_rng(devices=()), _Readers(memory), memory:
        torch.manual_seed(0)
        return checked_module(build())


def on_meta(module: torch.nn.Module) -> bool:
    """Whether a parameter or buffer of a module that exists already has no data."""
    return any(tensor.is_meta for tensor in [*module.parameters(), *module.buffers()])


def faked(module: torch.nn.Module, mode: Any) -> torch.nn.Module:
    """A copy of a module on meta whose tensors belong to a fake mode; the module stays as it is."""
    return fake_weights(copy.deepcopy(module), mode)


def zeroed(module: torch.nn.Module) -> torch.nn.Module:
    """A copy of a module on meta that runs, its weights zeros; the module stays as it is."""
    return zero_weights(copy.deepcopy(module))


def _ends_it(error: BaseException) -> bool:
    """Whether another way of building would end the same: it took too long, or wanted to exit."""
    if isinstance(error, (TimeLimitExceeded, UserExit)):
        return True
    cause = error.__cause__
    return isinstance(error, ConvlintError) and (cause is None or _ends_it(cause))


_LIKE = ("_like", "new_empty", "new_zeros", "new_ones", "new_full", "clone", "_to_copy", "empty_strided")


class Memory(torch_adapter.dispatch_mode_class()):  # type: ignore[misc]
    """While open, knows of every large tensor that is made.

    With ``real`` it is made, and MemoryError raised past ``memory_limit`` bytes; else it is zeros that the
    system has not given a page to yet, and what is done to them in place is left out.
    """

    def __init__(self, memory_limit: int | None, *, real: bool) -> None:
        super().__init__()
        self.memory_limit = memory_limit
        self.real = real
        self.made = 0
        self.untouched: dict[int, Any] = {}
        self.told_of: dict[int, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        name = func._schema.name.rpartition("::")[2]
        if not tensors or name.endswith(_LIKE):
            size = _bytes(func, args, kwargs)
            if size > SMALL:
                if not self.real:
                    return self._without_pages(func, args, kwargs)
                self.made += size
                if self.memory_limit is not None and self.made > self.memory_limit:
                    raise MemoryError(
                        "the constructor reads values, so that real weights were made, and they take more"
                        f" than the {self.memory_limit / 1e9:.1f} GB at hand"
                    )
            return func(*args, **kwargs)
        if self.real:
            return func(*args, **kwargs)
        in_place = func._schema.is_mutable and name.endswith("_") and self._is_untouched(tensors[0])
        if in_place and all(self._knows(other) for other in tensors[1:]):
            return args[0]
        result = func(*args, **kwargs)
        if any(self._knows(tensor) for tensor in tensors):
            self._follow(result)
        return result

    def reads(self, value: Any) -> None:
        """Somebody reads a value: an error where it follows from what is not there."""
        if isinstance(value, torch.Tensor) and self._knows(value):
            raise ReadsWeights("its constructor reads values of a large tensor")

    def _follow(self, result: Any) -> None:
        leaves = pytree.tree_leaves(result)
        # A truth is that of zeros: what a constructor asks of a weight is whether it is sound.
        if not all(isinstance(leaf, (torch.Tensor, bool)) or leaf is None for leaf in leaves):
            raise ReadsWeights("its constructor reads values of a large tensor")
        for leaf in leaves:
            if isinstance(leaf, torch.Tensor):
                self.told_of[_place(leaf)] = leaf.untyped_storage()

    def _without_pages(self, func: Any, args: Any, kwargs: Any) -> torch.Tensor:
        import numpy as np

        shape = _on_meta(func, args, kwargs)
        zeros = np.zeros(shape.untyped_storage().nbytes(), dtype=np.uint8)  # calloc: no page until written
        flat = torch.from_numpy(zeros).view(shape.dtype)
        made = flat.as_strided(shape.shape, shape.stride())
        self.untouched[_place(made)] = made.untyped_storage()
        return made

    def _is_untouched(self, tensor: torch.Tensor) -> bool:
        return _place(tensor) in self.untouched

    def _knows(self, tensor: torch.Tensor) -> bool:
        place = _place(tensor)
        return place in self.untouched or place in self.told_of


class _Readers(TorchFunctionMode):
    """While open, what reads a tensor past the dispatcher is seen too."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.__array__):
            self.memory.reads(args[0])
        return func(*args, **(kwargs or {}))


def _place(tensor: torch.Tensor) -> int:
    """What tells the memory of one tensor from that of another; views share it."""
    if tensor.layout is not torch.strided or tensor.is_meta:
        return 0
    return tensor.untyped_storage().data_ptr()


def _on_meta(func: Any, args: Any, kwargs: Any) -> torch.Tensor:
    """What an op that makes a tensor would make, without data."""
    meta_args, meta_kwargs = pytree.tree_map_only(torch.Tensor, _meta, (args, kwargs))
    if any(argument.name == "device" for argument in func._schema.arguments):
        meta_kwargs["device"] = "meta"
    empty: torch.Tensor = func(*meta_args, **meta_kwargs)
    return empty


def _meta(tensor: torch.Tensor) -> torch.Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _bytes(func: Any, args: Any, kwargs: Any) -> int:
    """The bytes of what an op makes, 0 where nobody can tell."""
    device = kwargs.get("device")
    if device is not None and torch.device(device).type != "cpu":
        return 0
    try:
        return int(_on_meta(func, args, kwargs).untyped_storage().nbytes())
    except Exception:  # an op that has no rule for tensors without data makes what it makes
        return 0
