"""One run of both sides: what the module gives, what its program gives, and how far they are apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint import mil
from convlint.capture.build import borrowed
from convlint.capture.methods import Inputs, quiet_torch
from convlint.model.parity import Errors
from convlint.numerics.conversion import Converted, NotConverted
from convlint.numerics.program_errors import WrongShape, judged, measure, worst
from convlint.numerics.reference import plain
from convlint.numerics.samples import own
from convlint.numerics.states import STEPS, from_zeros
from convlint.text import count


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts as equal: the relative ``tolerance``, and the accumulator's ``limit``, None for none."""

    tolerance: float
    limit: float | None = None


def measured(converted: Converted, inputs: Inputs, limit: float | None) -> Errors:
    """How far the program is from the model for these inputs; with states, over several steps."""
    named = program_inputs(converted, inputs)
    steps = STEPS if converted.states else 1
    states: dict[str, Any] = {}
    errors = []
    for tensors in _steps(converted.module, inputs, converted.states, steps):
        outputs = mil.run(converted.program, named, state=states, accumulator_limit=limit)
        errors.append(against(converted, list(map(plain, tensors)), outputs))
    return worst(errors)


def differs(converted: Converted, inputs: Inputs, terms: Terms) -> bool:
    """Whether the program's outputs are others than the model's, in shape or in numbers."""
    try:
        return judged(measured(converted, inputs, terms.limit), terms.tolerance) != "equal"
    except (WrongShape, mil.ShapeMismatch):
        return True


def expected(converted: Converted, inputs: Inputs) -> list[Any]:
    """What the model gives, as arrays; its states start at zeros."""
    return list(map(plain, tensors_of(converted.module, inputs, converted.states)))


def tensors_of(module: Any, inputs: Inputs, states: Sequence[str] = ()) -> list[Any]:
    """The tensors that a module gives in eval mode. Its buffers and the inputs stay as they are."""
    return _steps(module, inputs, states, 1)[0]


def _steps(module: Any, inputs: Inputs, states: Sequence[str], steps: int) -> list[list[Any]]:
    """The outputs of so many runs, one after the other, the states handed on."""
    import torch

    from convlint.torch_adapter import pytree

    runs = []
    with quiet_torch(), borrowed(module), torch.no_grad(), from_zeros(module, states):
        for _ in range(steps):
            args, kwargs = pytree.tree_map(own, inputs)  # some models write into their inputs
            leaves = pytree.tree_leaves(module(*args, **kwargs))
            # A later step may write into what an earlier one returned.
            runs.append([leaf.cpu().clone() for leaf in leaves if isinstance(leaf, torch.Tensor)])
    return runs


def against(converted: Converted, right: list[Any], outputs: Mapping[str, Any]) -> Errors:
    """The errors of a program's outputs beside those of the model."""
    return measure(paired(converted, right, outputs), right)


def paired(converted: Converted, right: list[Any], outputs: Mapping[str, Any]) -> list[Any]:
    """The program's value for each of the model's outputs; a tensor that is returned twice is one output."""
    values = list(outputs.values())
    if len(values) < len(right):
        names = _output_names(converted)
        each = list(dict.fromkeys(names))
        if len(each) == len(values):
            by_name = dict(zip(each, values, strict=True))
            values = [by_name[name] for name in names]
    values = values[: len(right)]
    if len(values) < len(right) or any(value is None for value in right):
        have = count(len(values), "output")
        raise NotConverted(f"the program has {have} of numbers, and the model {len(right)}.")
    return values


def _output_names(converted: Converted) -> list[str]:
    """What the converted model calls each of its outputs."""
    from convlint.torch_adapter import traced_outputs

    if converted.frontend == "torchscript":
        return traced_outputs(converted.model)
    names: Iterable[Any] = converted.model.graph_signature.user_outputs
    return [name for name in names if isinstance(name, str)]


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
