"""Every private API of torch that convlint leans on, behind names of its own, one module a kind.

``tests/project/test_torch_adapter.py`` fails, naming the function, when a release of torch moves one.
Nothing else in the package may import a ``torch._something``. Each function imports torch itself, so
that importing this package costs nothing.
"""

from __future__ import annotations

from typing import Any

from convlint.torch_adapter.mobile import mobile_bytes, mobile_module
from convlint.torch_adapter.operators import (
    decomposition_of,
    decomposition_table,
    has_sizes_from_data,
    is_about_data,
    is_composite,
    is_mutable,
    is_overload,
    survives_decomposition,
    torchscript_call,
)
from convlint.torch_adapter.programs import aten_program, child_spec, registered_dataclasses, with_interface
from convlint.torch_adapter.sizes import (
    SizeGuard,
    condition_holds,
    fixes_a_size,
    kept_sizes,
    size_at,
    size_expression,
    size_guards,
    size_hint,
    symbols_of,
    traced_symbols,
)
from convlint.torch_adapter.tensors import dispatch_mode_class, fake_mode, is_fake, mode_of, real_tensors
from convlint.torch_adapter.tracing import (
    FrameFilter,
    stack_frames,
    trace_real,
    traced_outputs,
    unprinted_graph,
)

__all__ = [
    "FrameFilter",
    "SizeGuard",
    "aten_program",
    "child_spec",
    "condition_holds",
    "decomposition_of",
    "decomposition_table",
    "dispatch_mode_class",
    "fake_mode",
    "fixes_a_size",
    "has_sizes_from_data",
    "is_about_data",
    "is_composite",
    "is_fake",
    "is_mutable",
    "is_overload",
    "kept_sizes",
    "mobile_bytes",
    "mobile_module",
    "mode_of",
    "real_tensors",
    "registered_dataclasses",
    "size_at",
    "size_expression",
    "size_guards",
    "size_hint",
    "stack_frames",
    "survives_decomposition",
    "symbols_of",
    "torchscript_call",
    "trace_real",
    "traced_outputs",
    "traced_symbols",
    "unprinted_graph",
    "with_interface",
]


def __getattr__(name: str) -> Any:
    """``pytree``, torch's nested containers, loaded with torch when it is first asked for."""
    if name == "pytree":
        from torch.utils import _pytree

        return _pytree
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
