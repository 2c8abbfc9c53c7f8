"""Numbers that a model computes, kept in an axis of size 1.

coremltools 9.0 computes what depends on weights alone while it converts, and trips over its own
numbers where they have no axis.
"""

from __future__ import annotations

from typing import Any

from convlint.repair.forms.walk import Carrier
from convlint.rewrites.table import NotApplicable

_SUMS = ("aten.sum.", "aten.mean.", "aten.amax.", "aten.amin.")


def handle(op: str, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``node`` done on tensors of one axis: what carries the result, or a tensor where it has axes."""
    import torch

    value = node.meta["val"]
    if op.startswith(_SUMS):
        source = _axis(args[0])
        axes = list(range(source.dim()))
        made = getattr(torch, op.split(".")[1])(source, axes, keepdim=True).reshape(1).to(value.dtype)
    elif torch.Tag.pointwise in node.target.tags or op in ("aten._to_copy.default", "aten.clone.default"):
        made = node.target(*(_axis(arg) for arg in args), **kwargs)
    else:
        raise NotApplicable(f"{op} has no counterpart with an axis")
    return Carrier((made,), ()) if value.dim() == 0 else made


def _axis(value: Any) -> Any:
    import torch

    if hasattr(value, "parts"):
        return value.parts[0]
    return value.reshape(1) if isinstance(value, torch.Tensor) and value.dim() == 0 else value
