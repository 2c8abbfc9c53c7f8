"""What a model does that an edit of its source must leave as it is: values, gradients, buffers.

In eval mode its outputs and gradients; in train mode, where it gives the same values twice, the same and the
buffers afterwards, which a batch norm moves. A fresh process takes it down as plain data, the first process
compares it with that of the original.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from convlint.text import one_line

if TYPE_CHECKING:
    import torch

    from convlint.capture.methods import Inputs

Behaviour = Mapping[str, Any]
"""``outputs`` (a list of tensors) and ``gradients`` (by name, see :mod:`convlint.numerics.gradients`) in eval
mode, ``trained`` a mapping of the same and of ``buffers`` by name, or None where there is nothing to compare,
with ``why`` it is not."""


def behaviour_of(module: torch.nn.Module, inputs: Inputs) -> Behaviour:
    """What the module does with these inputs, which stay as they are, as its weights and buffers do."""
    from convlint.numerics.comparison import outputs_of
    from convlint.numerics.gradients import gradients_of

    outputs = outputs_of(module, inputs, 0)
    try:
        gradients, stopped = gradients_of(module, inputs), ""
    except Exception as error:  # a model that cannot be trained; or an edit that stops it
        gradients, stopped = {}, one_line(f"{type(error).__name__}: {error}")[:200]
    trained, why = _trained(module, inputs)
    return {"outputs": outputs, "gradients": gradients, "stopped": stopped, "trained": trained, "why": why}


def behaviour_apart(actual: Behaviour, expected: Behaviour) -> str:
    """How an edited model differs from the original; empty where it does not."""
    problem = _values_apart(actual["outputs"], expected["outputs"])
    if problem:
        return f"it gives other values: {problem}"
    problem = _gradients_apart(actual, expected)
    if problem:
        return f"it does not train as before: {problem}"
    wanted = expected["trained"]
    if wanted is None:
        return ""
    if actual["trained"] is None:
        return f"it does not train as before: {actual['why']}"
    problem = (
        _values_apart(actual["trained"]["outputs"], wanted["outputs"])
        or _gradients_apart(actual["trained"], wanted)
        or _buffers_apart(actual["trained"]["buffers"], wanted["buffers"])
    )
    return f"it gives other values: in train mode, {problem}" if problem else ""


def _values_apart(actual: list[torch.Tensor], expected: list[torch.Tensor]) -> str:
    from convlint.numerics.comparison import module_difference
    from convlint.numerics.tolerance import FIXED

    return module_difference(actual, expected).beyond(FIXED)


def _gradients_apart(actual: Behaviour, expected: Behaviour) -> str:
    from convlint.numerics.gradients import gradients_apart

    if expected["stopped"]:
        return ""
    if actual["stopped"]:
        return f"gradients do not flow: {actual['stopped']}"
    return gradients_apart(actual["gradients"], expected["gradients"])


def _buffers_apart(actual: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> str:
    if set(actual) != set(expected):
        return f"its buffers are {', '.join(actual) or 'none'} instead of {', '.join(expected) or 'none'}"
    for name, value in expected.items():
        problem = _values_apart([actual[name]], [value])
        if problem:
            return f"of the buffer {name} after a step, {problem}"
    return ""


def _trained(module: torch.nn.Module, inputs: Inputs) -> tuple[Behaviour | None, str]:
    """A step in train mode; None where there is none, or another one every time, with the reason."""
    from convlint.numerics.difference import difference

    steps = []
    for _ in range(2):
        try:
            steps.append(_step(copy.deepcopy(module).train(), inputs))
        except Exception as error:  # a batch norm of one value, a module that cannot be copied
            return None, one_line(f"{type(error).__name__}: {error}")[:200]
    if difference(steps[0]["outputs"], steps[1]["outputs"]).largest > 0:
        return None, "it gives other values every time it runs in train mode"
    return steps[0], ""


def _step(twin: torch.nn.Module, inputs: Inputs) -> Behaviour:
    """A run of a copy in train mode: outputs, gradients, the buffers afterwards."""
    from convlint.numerics.gradients import outputs_and_gradients

    start = {name: buffer.detach().clone() for name, buffer in twin.named_buffers()}
    try:
        (outputs, gradients), stopped = outputs_and_gradients(twin, inputs), ""
    except Exception as error:  # what cannot be differentiated may run all the same
        outputs, gradients, stopped = _without_gradients(twin, start, inputs), {}, one_line(str(error))[:200]
    buffers = {name: buffer.detach().clone() for name, buffer in twin.named_buffers()}
    return {"outputs": outputs, "gradients": gradients, "stopped": stopped, "buffers": buffers}


def _without_gradients(
    twin: torch.nn.Module, start: Mapping[str, torch.Tensor], inputs: Inputs
) -> list[torch.Tensor]:
    import torch

    from convlint.capture.outputs import tensor_leaves
    from convlint.numerics.samples import own
    from convlint.sandbox import user_code
    from convlint.torch_adapter import pytree

    args, kwargs = pytree.tree_map(own, inputs)
    torch.manual_seed(0)
    with user_code(), torch.no_grad():
        for name, buffer in twin.named_buffers():
            buffer.copy_(start[name])
        return [tensor.clone() for tensor in tensor_leaves(twin(*args, **kwargs))]
