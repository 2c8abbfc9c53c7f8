"""Turns buffers that ``forward`` changes into inputs and outputs, for targets without states.

The captured program is changed, not the model itself. The change is proved twice: by one step against
the model with the same state, and by several steps with the state passed on.
https://apple.github.io/coremltools/docs-guides/source/stateful-models.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.export.graph_signature import InputKind, InputSpec, OutputKind, OutputSpec, TensorArgument

from convlint import torch_adapter
from convlint.capture.build import borrowed, kept_buffers, mirror, unchanged_buffers
from convlint.capture.handed_on import origin
from convlint.capture.methods import Inputs
from convlint.capture.outputs import tensor_leaves
from convlint.capture.walk import node_meta, node_place
from convlint.model import TensorMeta
from convlint.model.applied import Applied
from convlint.numerics.comparison import fixed_inputs, module_difference
from convlint.numerics.samples import own
from convlint.numerics.tolerance import FIXED
from convlint.repair.draft import Draft
from convlint.sandbox import user_code
from convlint.torch_adapter import pytree
from convlint.usercode.sites import Place

STEPS = 3


@dataclass(frozen=True, slots=True)
class State:
    """A buffer as the input ``input``, empty where nothing reads it, and the output ``output``."""

    buffer: str
    input: str
    output: str
    meta: TensorMeta


@dataclass(frozen=True, slots=True)
class Functional:
    """A program without states, the states that it replaced, and their values at the start."""

    program: Any
    states: tuple[State, ...]
    applied: tuple[Applied, ...]
    start: Mapping[str, torch.Tensor]

    def inputs(self, inputs: Inputs) -> Inputs:
        """``inputs`` with the states at the start."""
        args, kwargs = inputs
        return args, {**kwargs, **self.start}


def functional_states(program: Any, buffer: Callable[[str], torch.Tensor]) -> Functional | None:
    """``program`` with its changed buffers as inputs and outputs; None where it changes none.

    ``buffer`` gives the values that a buffer of this name begins with.
    """
    if not program.graph_signature.buffers_to_mutate:
        return None
    draft = Draft(program)
    written = list(draft.signature.buffers_to_mutate.values())
    taken = {node.name for node in draft.graph.nodes} | set(
        torch_adapter.child_spec(program.call_spec.in_spec, 1).context
    )
    states, applied = [], []
    places = {name: node_place(value) for name, value, _ in _mutations(draft) if name}
    _drop_copies(draft)
    values = _take_mutations_out(draft)
    for written_to in written:
        value = values[written_to]
        name = _free(_identifier(written_to), taken)
        read = _as_input(draft, written_to, name)
        returned = _free(f"{name}_next", taken)
        _as_output(draft, value, returned)
        meta = node_meta(value)
        assert meta is not None
        states.append(State(written_to, name if read else "", returned, meta))
        applied.append(_change_of(states[-1], places[written_to]))
    start = {state.input: own(buffer(state.buffer)) for state in states if state.input}
    converted = torch_adapter.with_interface(draft.program(), *_structure(program, states), start)
    return Functional(converted, tuple(states), tuple(applied), start)


def _mutations(draft: Draft) -> list[tuple[str, Any, Any]]:
    """Each output with its spec, and the buffer whose new value it is ("" for other outputs)."""
    last = next(iter(reversed(draft.graph.nodes)))
    pairs = zip(last.args[0], draft.signature.output_specs, strict=True)
    return [
        (str(spec.target) if spec.kind is OutputKind.BUFFER_MUTATION else "", value, spec)
        for value, spec in pairs
    ]


def _drop_copies(draft: Draft) -> None:
    """Replace a ``copy`` over a whole tensor by its source: the old values do not matter there."""
    for node in list(draft.graph.nodes):
        if node.op != "call_function" or node.target is not torch.ops.aten.copy.default:
            continue
        old, new = (argument.meta["val"] for argument in node.args[:2] if isinstance(argument, torch.fx.Node))
        if old.shape == new.shape and old.dtype == new.dtype:
            node.replace_all_uses_with(node.args[1])
            draft.graph.erase_node(node)


def _take_mutations_out(draft: Draft) -> dict[str, Any]:
    """Remove the new values of buffers from the outputs of the draft, and return them by buffer."""
    mutations = _mutations(draft)
    outputs = [(value, spec) for buffer, value, spec in mutations if not buffer]
    next(iter(reversed(draft.graph.nodes))).args = (tuple(value for value, _ in outputs),)
    draft.signature.output_specs = [spec for _, spec in outputs]
    return {buffer: value for buffer, value, _ in mutations if buffer}


def _as_input(draft: Draft, buffer: str, name: str) -> bool:
    """Turn the buffer into the last input, or remove it where nothing reads it; whether anything does."""
    specs = draft.signature.input_specs
    nodes = [node for node in draft.graph.nodes if node.op == "placeholder"]
    at = next(n for n, spec in enumerate(specs) if spec.kind is InputKind.BUFFER and spec.target == buffer)
    node = nodes[at]
    del specs[at]
    if not node.users:
        draft.graph.erase_node(node)
        return False
    node.name = node.target = name
    if node is not nodes[-1]:
        nodes[-1].append(node)
    specs.append(InputSpec(InputKind.USER_INPUT, TensorArgument(name), None))
    return True


def _as_output(draft: Draft, value: Any, name: str) -> None:
    """Return ``value`` as an output named ``name``.

    Where it is also an input or another output, both would have one name in Core ML, which removes
    copies; the maximum of a value and itself is a tensor of its own.
    """
    last = next(iter(reversed(draft.graph.nodes)))
    others = {origin(other) or other for other in last.args[0] if isinstance(other, torch.fx.Node)}
    output, source = value, origin(value) or value
    if source.op != "call_function" or source in others:
        aten = torch.ops.aten
        is_bool = value.meta["val"].dtype is torch.bool
        op = aten.logical_or.default if is_bool else aten.maximum.default
        with draft.graph.inserting_before(last):
            output = draft.graph.create_node("call_function", op, (value, value))
        output.meta = dict(value.meta)
    output.name = name
    last.args = ((*last.args[0], output),)
    draft.signature.output_specs.append(OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(name), None))


def _structure(program: Any, states: Sequence[State]) -> tuple[Any, Any]:
    """How arguments and results are nested: states are keyword arguments, and a dict beside the result."""

    def example(spec: Any) -> Any:
        return pytree.tree_unflatten([0] * spec.num_leaves, spec)

    args, kwargs = example(program.call_spec.in_spec)
    inputs = {state.input: 0 for state in states if state.input}
    returned = {state.output: 0 for state in states}
    result = example(program.call_spec.out_spec)
    return pytree.tree_structure((args, {**kwargs, **inputs})), pytree.tree_structure((result, returned))


def _identifier(buffer: str) -> str:
    """A name for the input of a buffer: those of numbered modules begin with a digit."""
    name = buffer.replace(".", "_")
    return name if name.isidentifier() else f"state_{name}"


def _free(name: str, taken: set[str]) -> str:
    candidate = name
    number = 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate


def _change_of(state: State, place: Place) -> Applied:
    title = f"returned as the output {state.output!r} ({state.meta}); the model never reads it"
    if state.input:
        title = (
            f"taken as the input {state.input!r} and returned as the output {state.output!r}"
            f" ({state.meta}): pass the new value to the next call"
        )
    return Applied(f"buffer {state.buffer}", "state", title, site=place.site, caller=place.caller)


class FunctionalReference(nn.Module):
    """The original model, called with its states, which the functional program is compared with."""

    def __init__(self, original: nn.Module, states: Sequence[State]) -> None:
        super().__init__()
        mirror(original, self)
        self.training = original.training
        vars(self)["_original"] = original
        vars(self)["_states"] = tuple(states)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        original, states = vars(self)["_original"], vars(self)["_states"]
        tensors: dict[str, Any] = {**dict(self.named_parameters()), **dict(self.named_buffers())}
        for state in states:
            value = kwargs.pop(state.input) if state.input else tensors[state.buffer]
            tensors[state.buffer] = value.clone()
        with borrowed(original):
            result = torch.func.functional_call(original, tensors, args, kwargs)
        return result, {state.output: tensors[state.buffer] for state in states}


def steps_problem(original: nn.Module, changed: nn.Module, functional: Functional, inputs: Inputs) -> str:
    """How several steps with the state passed on differ from the model's; empty where they agree."""
    state = dict(functional.start)
    with (
        borrowed(original),
        user_code(),
        torch.no_grad(),
        kept_buffers(original),
        unchanged_buffers(original),
    ):
        for step in range(STEPS):
            sample = fixed_inputs(inputs, step)
            args, kwargs = pytree.tree_map(own, sample)
            expected = [tensor.clone() for tensor in tensor_leaves(original(*args, **kwargs))]
            args, kwargs = pytree.tree_map(own, sample)
            result, returned = changed(*args, **kwargs, **{name: own(value) for name, value in state.items()})
            problem = module_difference(tensor_leaves(result), expected).beyond(FIXED)
            if problem:
                return f"in step {step + 1}: {problem}"
            state = {one.input: returned[one.output].clone() for one in functional.states if one.input}
    return ""
