"""Every private API of coremltools that convlint uses, and nothing else.

When a release moves one of them, this is the file to change. Each function imports coremltools
itself, so that importing this module costs nothing.
"""

from __future__ import annotations


def registered_converters() -> tuple[str, ...]:
    """The names of all torch ops that the installed coremltools has a converter for, sorted."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    return tuple(sorted(_TORCH_OPS_REGISTRY.name_to_func_mapping))


def converter_name_of(kind: str) -> str:
    """What the installed coremltools makes of an op's name (``aten::add.Tensor``) before it looks for a converter."""
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

    return str(sanitize_op_kind(kind))
