"""The table of converters of torch ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def registered_converters() -> tuple[str, ...]:
    """The names of all torch ops that the installed coremltools has a converter for, sorted."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    return tuple(sorted(_TORCH_OPS_REGISTRY.name_to_func_mapping))


def converter_name_of(kind: str) -> str:
    """The name under which the installed coremltools looks for a converter of, say, ``aten::add.Tensor``."""
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

    return str(sanitize_op_kind(kind))


def converter_for(kind: str) -> Callable[..., Any] | None:
    """The function that converts ops of this name, None where the installed coremltools has none."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    function: Callable[..., Any] | None = _TORCH_OPS_REGISTRY.get_func(kind)
    return function


def is_registered(kind: str) -> bool:
    """Whether the export frontend, which does not strip the underscore of in-place names, knows this name."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    return kind in _TORCH_OPS_REGISTRY.name_to_func_mapping


def register_converter(kind: str, function: Callable[..., Any]) -> None:
    """Put ``function`` in the place of the converter of ``kind``, in-place names included."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    for name in {kind, _looked_up(kind)}:
        _TORCH_OPS_REGISTRY.set_func_by_name(function, name)


def unregister_converter(kind: str) -> None:
    """Take back a name that coremltools itself does not register."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    for name in {kind, _looked_up(kind)}:
        _TORCH_OPS_REGISTRY.name_to_func_mapping.pop(name, None)


def converter_table() -> dict[str, Callable[..., Any]]:
    """A copy of the table of converters, by name."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    return dict(_TORCH_OPS_REGISTRY.name_to_func_mapping)


def set_converter_table(table: Mapping[str, Callable[..., Any]]) -> None:
    """Make ``table`` the table of converters; the table itself stays the same object."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    _TORCH_OPS_REGISTRY.name_to_func_mapping.clear()
    _TORCH_OPS_REGISTRY.name_to_func_mapping.update(table)


def foreign_converters() -> frozenset[str]:
    """The names whose converters are not coremltools' own: registered, or overridden, by somebody else."""
    return frozenset(name for name, function in converter_table().items() if is_foreign(function))


def is_foreign(function: Callable[..., Any]) -> bool:
    """Whether a converter is not coremltools' own."""
    return (getattr(function, "__module__", None) or "").partition(".")[0] != "coremltools"


def _looked_up(kind: str) -> str:
    """The name that a lookup of ``kind`` ends at: ``__or__`` is looked up as ``or``, ``add_`` as ``add``."""
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind, unify_inplace_and_functional

    return str(unify_inplace_and_functional(sanitize_op_kind(kind)))


def accepted_counts(kind: str, frontend: str, most: int) -> tuple[int, ...]:
    """How many inputs, up to ``most``, the converter of ``kind`` takes before it looks at any of them.

    Found by asking: the converter is called with so many absent inputs, and either complains of
    their number or goes on to something else.
    """
    import re

    from coremltools.converters.mil.frontend.torch.converter import TranscriptionContext
    from coremltools.converters.mil.frontend.torch.internal_graph import InternalTorchIRNode
    from coremltools.converters.mil.frontend.torch.utils import TorchFrontend
    from coremltools.converters.mil.mil import Function

    function = converter_for(kind)
    through = TorchFrontend.TORCHEXPORT if frontend == "export" else TorchFrontend.TORCHSCRIPT
    accepted = []
    for count in range(most + 1):
        node = InternalTorchIRNode(kind=kind, inputs=[None] * count, outputs=["out"], name="out", meta={})
        try:
            with Function({}):
                function(TranscriptionContext(frontend=through), node)  # type: ignore[misc]
        except Exception as error:  # what it says of absent inputs is not of interest
            if re.search(rf"got {count} input\(s\), expected", str(error)):
                continue
        accepted.append(count)
    return tuple(accepted)
