"""What states hold before the first run: Core ML starts them at zeros, whatever the model says.

A model that was captured without data knows its buffers by shape alone. Only one with states is built again
for this, with data, and only where there is room for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from convlint.model import Graph

if TYPE_CHECKING:
    import torch


def initial_value(tensor: Any) -> Literal["", "zeros", "other"]:
    """What a buffer holds; unknown where it has no data."""
    import torch

    from convlint.torch_adapter import is_fake

    if not isinstance(tensor, torch.Tensor) or is_fake(tensor) or tensor.is_meta:
        return ""
    return "other" if bool(tensor.detach().count_nonzero()) else "zeros"


def with_initial_states(graph: Graph, real: Callable[[], torch.nn.Module]) -> Graph:
    """``graph`` with what its states hold, asked of the model with data where the capture had none."""
    if not any(port.kind == "state" and not port.initial for port in graph.inputs):
        return graph
    try:
        buffers = dict(real().named_buffers())
    except Exception:  # no room, or a constructor that fails: the rest of the check does not depend on it
        return graph
    inputs = (
        replace(port, initial=initial_value(buffers.get(port.name)))
        if port.kind == "state" and not port.initial
        else port
        for port in graph.inputs
    )
    return replace(graph, inputs=tuple(inputs))
