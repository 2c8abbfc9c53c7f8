"""Numbers that a model computes, held in an axis of size 1.

coremltools 9.0 computes what depends on weights alone while it converts, and trips over its own
numbers where they have no axis.
"""

from __future__ import annotations

from typing import Any

from convlint.repair.forms.counterparts import Call, Carrier, Counterparts

COUNTERPARTS = Counterparts("with an axis")
"""For the name of an op, the function that does it on tensors of one axis."""


@COUNTERPARTS.register("aten.sum.", "aten.mean.", "aten.amax.", "aten.amin.")
def reduced(call: Call) -> Any:
    import torch

    source = _with_axis(call.args[0])
    reduce = getattr(torch, call.op.split(".")[1])
    number = reduce(source, list(range(source.dim())), keepdim=True).reshape(1)
    return _result(call, number.to(call.value.dtype))


@COUNTERPARTS.register("aten._to_copy.default", "aten.clone.default")
@COUNTERPARTS.register_pointwise
def pointwise(call: Call) -> Any:
    return _result(call, call.target(*(_with_axis(arg) for arg in call.args), **call.kwargs))


def _with_axis(value: Any) -> Any:
    import torch

    if isinstance(value, Carrier):
        return value.parts[0]
    return value.reshape(1) if isinstance(value, torch.Tensor) and value.dim() == 0 else value


def _result(call: Call, value: Any) -> Any:
    return Carrier((value,), ()) if call.value.dim() == 0 else value
