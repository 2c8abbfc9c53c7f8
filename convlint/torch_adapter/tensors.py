"""Tensors without data, and the modes that make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def fake_mode() -> Any:
    """A fresh ``FakeTensorMode`` that ``torch.export.export`` accepts inputs from.

    Export asks for a shape environment with tracked fakes in its own error message:
    https://github.com/pytorch/pytorch/blob/v2.9.0/torch/_export/non_strict_utils.py
    """
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    return FakeTensorMode(shape_env=ShapeEnv(tracked_fakes=[]), allow_non_fake_inputs=True, export=True)


def is_fake(tensor: torch.Tensor) -> bool:
    """Whether the tensor carries a shape and a dtype but no data."""
    from torch._subclasses.fake_tensor import FakeTensor

    return isinstance(tensor, FakeTensor) or tensor.is_meta


def mode_of(value: Any) -> Any:
    """The fake mode that a tensor without data belongs to, or None."""
    from torch._subclasses.fake_tensor import FakeTensor

    return value.fake_mode if isinstance(value, FakeTensor) else None


@contextmanager
def real_tensors() -> Iterator[None]:
    """While open, inside a trace, tensors are real and what is done with them is not traced."""
    from torch._subclasses.fake_tensor import unset_fake_temporarily
    from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

    with unset_fake_temporarily(), disable_proxy_modes_tracing():
        yield


def dispatch_mode_class() -> type:
    """The class of modes that see every op that runs."""
    from torch.utils._python_dispatch import TorchDispatchMode

    return TorchDispatchMode
