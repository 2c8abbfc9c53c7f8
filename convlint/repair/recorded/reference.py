"""The reference for the fixed module of a recorded model: the original, up to the cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.fx import Node

from convlint.capture.build import borrowed, mirror, unchanged_buffers
from convlint.capture.methods import Inputs
from convlint.capture.outputs import tensor_leaves
from convlint.capture.reach import needed_for
from convlint.capture.recording import RecordedModule, Recording, record, whole_outputs
from convlint.numerics.comparison import OtherWay, fixed_inputs, module_difference
from convlint.numerics.samples import own
from convlint.numerics.tolerance import FIXED
from convlint.torch_adapter import pytree


class Reference(nn.Module):
    """The original, cut where the recording is cut, as long as it takes the same branches.

    Every call records the original anew and replays that, the only way to see its values at the cut. The
    whole recording must return what the original itself returns.
    """

    def __init__(self, original: nn.Module, recording: Recording) -> None:
        super().__init__()
        mirror(original, self)
        vars(self)["_original"] = original
        vars(self)["_last"] = recording
        self._cut = recording.cut is not None
        self._way, _ = branch_signature(recording)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        original: nn.Module = vars(self)["_original"]
        with borrowed(original):
            recording = self._recorded(args, kwargs)
            if not self._cut:
                return original(*args, **kwargs)
            return RecordedModule(original, recording).replay(args, kwargs)

    def _recorded(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recording:
        """The recording for these inputs: the last one where the inputs are the same."""
        last: Recording | None = vars(self)["_last"]
        if last is None or not same_leaves(pytree.tree_leaves((args, kwargs)), last.run.leaves):
            inputs = pytree.tree_map(own, (args, kwargs))
            last = vars(self)["_last"] = record(vars(self)["_original"], *inputs, lines=False)
        if branch_signature(last)[0] != self._way:
            raise OtherWay("the model takes another branch for other inputs")
        return last

    def __getstate__(self) -> dict[str, Any]:
        """The state for a copy: the parameters and the original, but no recording."""
        return {**vars(self), "_last": None}

    def _apply(self, fn: Any, recurse: bool = True) -> Reference:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        vars(self)["_original"]._apply(fn, recurse)
        return self


def same_leaves(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Whether two flat lists of inputs have the same values of the same kinds."""
    if len(some) != len(others):
        return False
    for one, other in zip(some, others, strict=True):
        if isinstance(one, torch.Tensor):
            if not isinstance(other, torch.Tensor) or one.dtype != other.dtype or one.shape != other.shape:
                return False
            if not torch.equal(one.detach(), other):
                return False
        elif one is not other and one != other:
            return False
    return True


def frozen_for(original: nn.Module, recording: Recording, inputs: Inputs, seeds: int) -> bool:
    """Whether other inputs, on the same branches, give other numbers where the recording has constants."""
    way, numbers = branch_signature(recording)
    for seed in range(1, seeds):
        args, kwargs = fixed_inputs(inputs, seed)
        try:
            with unchanged_buffers(original):
                other = branch_signature(record(original, args, kwargs, lines=False))
        except Exception:  # the model checks its values; the comparison meets the error again
            continue
        if other[0] == way and other[1] != numbers:
            return True
    return False


FROZEN = "a number that the model computes from its input would be frozen at that of the example"


def replays(original: nn.Module, recording: Recording, inputs: Inputs) -> str:
    """Why the recording differs from the original; "" where its calls return what the original returns."""
    with torch.no_grad(), borrowed(original), unchanged_buffers(original):
        args, kwargs = pytree.tree_map(own, inputs)
        right = tensor_leaves(original(*args, **kwargs))
        replayed = whole_outputs(recording, pytree.tree_map(own, inputs))
    problem = module_difference(replayed, right).beyond(FIXED)
    return f"replayed, {problem}" if problem else ""


def branch_signature(recording: Recording) -> tuple[tuple[Any, ...], tuple[float, ...]]:
    """The calls up to the cut with their arguments, and separately the floats in them."""
    traced = recording.run.traced
    left = recording.cut.left if recording.cut is not None else frozenset()
    # Constants that only left-out calls read may vary with the inputs.
    needed = needed_for(traced.graph, recording.ends) - left
    places: dict[Node, int] = {}
    numbers: list[float] = []

    def plain(value: Any) -> Any:
        if isinstance(value, Node):
            return ("value", places.get(value, -1))
        if isinstance(value, (list, tuple)):
            return tuple(plain(one) for one in value)
        if isinstance(value, float):
            numbers.append(value)
            return "a number"
        return repr(value)

    steps: list[Any] = []
    for node in traced.graph.nodes:
        if node not in needed:
            continue
        places[node] = len(places)
        if node.op == "get_attr":
            tensor = getattr(traced, str(node.target))
            steps.append((tuple(tensor.shape), str(tensor.dtype)))
            if tensor.numel() == 1 and not isinstance(tensor, nn.Parameter):
                numbers.append(float(tensor) if not tensor.is_complex() else 0.0)
        else:
            steps.append((str(node.target), plain(node.args), plain(tuple(node.kwargs.items()))))
    steps.append(tuple(places.get(end, -1) for end in recording.ends))
    return tuple(steps), tuple(numbers)
