"""One run of both sides: what the module gives, what its program gives, and how far they are apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint import mil
from convlint.capture.build import borrowed
from convlint.capture.methods import Inputs, quiet_torch
from convlint.model.parity import Errors
from convlint.numerics.conversion import Converted, NotConverted
from convlint.numerics.difference import measure, worst
from convlint.numerics.reference import plain
from convlint.numerics.states import STEPS, from_zeros
from convlint.text import count


def measured(converted: Converted, inputs: Inputs, limit: float | None) -> Errors:
    """How far the program is from the model for these inputs; with states, over several steps."""
    given = program_inputs(converted, inputs)
    steps = STEPS if converted.states else 1
    kept: dict[str, Any] = {}
    found = []
    for wanted in _steps(converted.module, inputs, converted.states, steps):
        outputs = mil.run(converted.program, given, state=kept, accumulator_limit=limit)
        found.append(against(converted, wanted, outputs))
    return worst(found)


def expected(converted: Converted, inputs: Inputs) -> list[Any]:
    """What the model gives, as arrays; its states start at zeros."""
    return outputs_of(converted.module, inputs, converted.states)


def outputs_of(module: Any, inputs: Inputs, states: Sequence[str] = ()) -> list[Any]:
    """What a module gives in eval mode, as arrays. Its buffers and the inputs stay as they are."""
    return _steps(module, inputs, states, 1)[0]


def _steps(module: Any, inputs: Inputs, states: Sequence[str], steps: int) -> list[list[Any]]:
    """The outputs of so many runs, one after the other, the states handed on."""
    import torch

    from convlint.torch_adapter import pytree

    found = []
    with quiet_torch(), borrowed(module), torch.no_grad(), from_zeros(module, states):
        for _ in range(steps):
            # Some models write into their inputs.
            copied = pytree.tree_map(lambda v: v.clone() if isinstance(v, torch.Tensor) else v, inputs)
            leaves = pytree.tree_leaves(module(*copied[0], **copied[1]))
            found.append([plain(leaf.cpu()) for leaf in leaves if isinstance(leaf, torch.Tensor)])
    return found


def against(converted: Converted, wanted: list[Any], outputs: Mapping[str, Any]) -> Errors:
    return measure(paired(converted, wanted, outputs), wanted)


def paired(converted: Converted, wanted: list[Any], outputs: Mapping[str, Any]) -> list[Any]:
    """The program's value for each of the model's outputs; a tensor that is returned twice is one output."""
    found = list(outputs.values())
    if len(found) < len(wanted) and converted.frontend == "export":
        names: Iterable[Any] = converted.model.graph_signature.user_outputs
        each = list(dict.fromkeys(name for name in names if isinstance(name, str)))
        if len(each) == len(found):
            by_name = dict(zip(each, found, strict=True))
            found = [by_name[name] for name in names if isinstance(name, str)]
    found = found[: len(wanted)]
    if len(found) < len(wanted) or any(value is None for value in wanted):
        have = count(len(found), "output")
        raise NotConverted(f"the program has {have} of numbers, and the model {len(wanted)}.")
    return found


def program_inputs(converted: Converted, inputs: Inputs) -> dict[str, Any]:
    """The example's tensors under the names of the program's inputs.

    Keyword tensors have the same names there; the others stand in the same order.
    """
    import torch

    from convlint.torch_adapter import pytree

    function = converted.program.functions[converted.program.default_function_name]
    names = [name for name, variable in function.inputs.items() if not adapter.is_state(variable)]
    named = {key: v for key, v in inputs[1].items() if key in names and isinstance(v, torch.Tensor)}
    others = (inputs[0], {key: v for key, v in inputs[1].items() if key not in named})
    tensors = [leaf for leaf in pytree.tree_leaves(others) if isinstance(leaf, torch.Tensor)]
    names = [name for name in names if name not in named]
    if len(names) != len(tensors):
        raise NotConverted(
            f"the program has {len(names)} inputs and the model {len(tensors)}; an input that the model does "
            "not use is dropped on the way, leave it out."
        )
    return {**dict(zip(names, tensors, strict=True)), **named}
