"""States in a comparison: both sides start at zeros, as Core ML does, and nothing is left behind.

``newState`` of Core ML is "initialized to zeros", whatever the model's buffer holds:
https://developer.apple.com/documentation/coreml/mlmodel/newstate
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.capture.build import kept_buffers, unchanged_buffers

STEPS = 3
"""Times that a model with states is run, each time with the states that the time before has left."""


def states_of(model: Any, program: Any) -> tuple[str, ...]:
    """The buffers of the module that are states of the program, by their names in the module."""
    function = program.functions[program.default_function_name]
    if not any(map(adapter.is_state, function.inputs.values())):
        return ()
    signature = getattr(model, "graph_signature", None)
    return tuple(signature.buffers_to_mutate.values()) if signature is not None else ()


@contextmanager
def from_zeros(module: Any, states: Iterable[str]) -> Iterator[None]:
    """While open, the buffers that are states start at zeros; afterwards all have their values back."""
    import torch

    with kept_buffers(module), unchanged_buffers(module):
        with torch.no_grad():
            for name in states:
                module.get_buffer(name).zero_()
        yield


def started_elsewhere(module: Any, states: Iterable[str]) -> tuple[str, ...]:
    """The states whose buffers hold something else than zeros."""
    return tuple(name for name in states if bool(module.get_buffer(name).any()))
