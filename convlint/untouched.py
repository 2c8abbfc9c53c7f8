"""Restores the caller's models and tensors, and torch's global state, bit for bit.

A model's ``forward`` may write to its buffers, count its calls, add hooks, draw random numbers and change
defaults; capturing and comparing do so too. The public functions do all of it inside :func:`untouched`,
one at a time, because torch.export patches the process while it traces.
"""

from __future__ import annotations

import contextlib
import dataclasses
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    import torch

LIMIT = 64 << 20
"""Bytes of parameters that are copied, for the few models that write to them. Buffers are always copied."""

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")
_Restore = Callable[[], None]
one_at_a_time = threading.RLock()
"""Held while a model is captured or run, because torch.export patches the whole process."""


def leaves_no_trace(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """``function``, leaving its arguments and torch's global state as they were."""

    @wraps(function)
    def guarded(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        with untouched(args, kwargs):
            return function(*args, **kwargs)

    return guarded


@contextlib.contextmanager
def untouched(*things: Any) -> Iterator[None]:
    """Restore the modules and tensors in ``things`` and torch's state at the end.

    This covers values, training and gradient flags, hooks, attributes, random generators and defaults.
    It may be nested in one thread.
    """
    with one_at_a_time:
        restores = [*_of_process(), *_Snapshot().restores_of(things)]
        try:
            yield
        finally:
            for restore in reversed(restores):
                restore()


def _of_process() -> Iterator[_Restore]:
    """Restores of torch's global state: generators, defaults, modes."""
    import torch

    def pair(get: Callable[[], Any], put: Callable[[Any], Any]) -> _Restore:
        value = get()

        def restore() -> None:
            if get() != value:
                put(value)

        return restore

    generator = torch.get_rng_state()
    yield lambda: torch.set_rng_state(generator)
    for name in ("cuda", "mps"):
        device = getattr(torch, name, None)
        if device is not None and _in_use(name, device):
            yield _device_generator(name, device)
    python = random.getstate()
    yield lambda: random.setstate(python)
    if "numpy" in sys.modules:
        import numpy as np

        legacy = np.random.get_state()
        yield lambda: np.random.set_state(legacy)
    yield pair(torch.is_grad_enabled, lambda value: torch.set_grad_enabled(value))
    yield pair(torch.get_default_dtype, torch.set_default_dtype)
    yield pair(torch.get_num_threads, torch.set_num_threads)
    yield pair(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
    yield pair(torch.is_anomaly_enabled, lambda value: torch.autograd.set_detect_anomaly(value))
    yield pair(
        lambda: (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
        ),
        lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
    )
    yield pair(torch.get_default_device, lambda value: torch.set_default_device(_settable_device(value)))


def _settable_device(device: torch.device) -> torch.device | None:
    """The default device to set again; None for the CPU, which is the default where none was set."""
    return None if device.type == "cpu" else device


def _in_use(name: str, device: Any) -> bool:
    if name == "cuda":
        return bool(device.is_initialized())
    return bool(device.is_available())


def _device_generator(name: str, device: Any) -> _Restore:
    if name == "cuda":
        states = device.get_rng_state_all()
        return lambda: device.set_rng_state_all(states)
    state = device.get_rng_state()
    return lambda: device.set_rng_state(state)


class _Snapshot:
    """Notes what modules, tensors and plain containers hold, and how to restore it."""

    def __init__(self) -> None:
        self.restores: list[_Restore] = []
        self._seen: set[int] = set()
        self._alive: list[Any] = []
        self._kinds: set[str] = set()
        self._left = LIMIT

    def restores_of(self, things: Any) -> list[_Restore]:
        self._note(things)
        return self.restores

    def _note(self, thing: Any) -> None:
        """Follow containers and modules without recursion, which deep models would exhaust."""
        import torch

        waiting = [thing]
        while waiting:
            one = waiting.pop()
            if one is None or isinstance(one, (str, bytes, int, float, complex, bool, type, ModuleType)):
                continue
            if id(one) in self._seen:
                continue
            self._seen.add(id(one))
            self._alive.append(one)  # an id is good only while its object lives
            if isinstance(one, torch.Tensor):
                self._tensor(one)
            elif isinstance(one, torch.nn.Module):
                self._kinds.add(type(one).__module__)
                waiting += self._mapping(vars(one))
            elif isinstance(one, dict):
                waiting += self._mapping(one)
            elif isinstance(one, (list, deque)):
                waiting += self._sequence(one)
            elif isinstance(one, set):
                waiting += self._set(one)
            elif isinstance(one, (tuple, frozenset, Mapping)):
                waiting += list(one.values() if isinstance(one, Mapping) else one)
            elif isinstance(one, (FunctionType, MethodType, partial)):
                waiting += _held_by(one)
            elif self._has_state(one):
                waiting += self._mapping(vars(one))

    def _has_state(self, thing: Any) -> bool:
        """Whether an object belongs to a model, such as a cache or a configuration."""
        if not hasattr(thing, "__dict__"):
            return False
        kind = type(thing)
        return (
            isinstance(thing, SimpleNamespace)
            or dataclasses.is_dataclass(thing)
            or kind.__module__ in self._kinds
        )

    def _mapping(self, mapping: dict[Any, Any]) -> list[Any]:
        before = dict(mapping)

        def restore() -> None:
            if not _same_items(mapping, before):
                mapping.clear()
                mapping.update(before)

        self.restores.append(restore)
        return list(before.values())

    def _sequence(self, sequence: Any) -> list[Any]:
        before = list(sequence)

        def restore() -> None:
            if len(sequence) != len(before) or any(
                one is not other for one, other in zip(sequence, before, strict=True)
            ):
                sequence.clear()
                sequence.extend(before)

        self.restores.append(restore)
        return before

    def _set(self, values: set[Any]) -> list[Any]:
        before = set(values)

        def restore() -> None:
            values.clear()
            values.update(before)

        self.restores.append(restore)
        return []

    def _tensor(self, tensor: torch.Tensor) -> None:
        import torch

        copied = True
        if isinstance(tensor, torch.nn.Parameter) and not torch.nn.parameter.is_lazy(tensor):
            self._left -= tensor.numel() * tensor.element_size()
            copied = self._left >= 0
        self.restores += _tensor_restores(tensor, copied=copied)


def _held_by(function: Any) -> list[Any]:
    """The objects that a function can reach through closure and globals: it may return an existing model."""
    if isinstance(function, partial):
        return [function.func, *function.args, *function.keywords.values()]
    if isinstance(function, MethodType):
        return [function.__self__, function.__func__]
    import torch

    held = [cell.cell_contents for cell in function.__closure__ or () if _is_filled(cell)]
    named = (function.__globals__.get(name) for name in function.__code__.co_names)
    return held + [each for each in named if isinstance(each, (torch.nn.Module, torch.Tensor))]


def _is_filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _same_items(mapping: Mapping[Any, Any], before: Mapping[Any, Any]) -> bool:
    """Whether the same names stand for the same objects, in the same order."""
    return len(mapping) == len(before) and all(
        one[0] == other[0] and one[1] is other[1]
        for one, other in zip(mapping.items(), before.items(), strict=True)
    )


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors of one shape have the same values; those that are sparse have no comparison."""
    import torch

    if one.layout is torch.strided and other.layout is torch.strided:
        return torch.equal(one, other)
    return torch.equal(one.to_dense(), other.to_dense())


def _tensor_restores(tensor: torch.Tensor, *, copied: bool) -> Iterator[_Restore]:
    import torch

    if torch.nn.parameter.is_lazy(tensor):
        return
    needed, is_leaf = tensor.requires_grad, tensor.is_leaf
    gradient = tensor.grad if is_leaf else None
    shape = tensor.shape
    value = None
    with contextlib.suppress(RuntimeError, NotImplementedError, TypeError):  # sparse, quantized, foreign
        value = tensor.detach().clone() if copied and not tensor.is_meta else None
    kept_gradient = gradient.detach().clone() if gradient is not None else None

    def restore() -> None:
        with torch.no_grad():
            if is_leaf and tensor.grad_fn is not None:  # what was written with gradients has a history
                with contextlib.suppress(RuntimeError):  # a view cannot be parted from it
                    tensor.detach_()
            if value is not None:
                if tensor.shape != shape or tensor.dtype != value.dtype:
                    tensor.data = value
                elif not _equal(tensor.detach(), value):
                    try:
                        tensor.data.copy_(value)
                    except RuntimeError:  # several of its elements are one in memory
                        tensor.data = value
            if is_leaf:
                if tensor.requires_grad != needed:
                    tensor.requires_grad_(needed)
                if tensor.grad is not gradient:
                    tensor.grad = gradient
                if gradient is not None and kept_gradient is not None:
                    gradient.copy_(kept_gradient)

    yield restore
