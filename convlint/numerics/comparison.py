"""Whether a fixed module computes what the original does: outputs, gradients, float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from convlint.capture.build import borrowed, kept_buffers, unchanged_buffers, weight_bytes
from convlint.capture.first_run import run_forward
from convlint.capture.methods import Inputs
from convlint.capture.outputs import tensor_leaves
from convlint.numerics.difference import Difference, difference, distances, scale_of
from convlint.numerics.gradients import gradient_problem
from convlint.numerics.noise import noise_of
from convlint.numerics.samples import own, varied
from convlint.numerics.tolerance import FIXED, FIXED_OF_ZEROS
from convlint.sandbox import user_code
from convlint.text import one_line
from convlint.torch_adapter import pytree

DOUBLE_BYTES = 256 << 20
"""Weights up to which the comparison is made in float64 too, on copies."""


class OtherWay(Exception):
    """For these inputs the original takes another branch than the one that was fixed: nothing to compare."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``problem`` is empty where both agree. ``checked`` names what was compared."""

    max_abs_error: float = 0.0
    max_rel_error: float = 0.0
    problem: str = ""
    checked: tuple[str, ...] = ()

    def joined(self, other: Comparison) -> Comparison:
        """Both as one; ``self`` has no problem."""
        return Comparison(
            max(self.max_abs_error, other.max_abs_error),
            max(self.max_rel_error, other.max_rel_error),
            other.problem,
            (*self.checked, *other.checked),
        )


def compare(
    original: nn.Module,
    fixed: nn.Module,
    inputs: Inputs,
    seeds: int,
    *,
    gradients: bool,
    others: Sequence[Inputs] = (),
) -> Comparison:
    """Run both on ``seeds`` sets of inputs, compare gradients once, and outputs in float64 once.

    ``others`` are inputs of other sizes, on which outputs are compared.
    """
    compared = _on_seeds(original, fixed, inputs, seeds)
    if compared is None:
        return Comparison(checked=("nothing: the model gives other values every time it runs",))
    rough = compared.max_rel_error > FIXED
    if others and not compared.problem:
        compared = compared.joined(_at_sizes(original, fixed, others))
    if gradients and not compared.problem:
        problem = gradient_problem(original, fixed, fixed_inputs(inputs, 0))
        compared = compared.joined(Comparison(problem=problem, checked=() if problem else ("gradients",)))
    if not compared.problem and weight_bytes(original) <= DOUBLE_BYTES:
        compared = compared.joined(_in_double(original, fixed, fixed_inputs(inputs, 0), rough))
    return compared


def fixed_inputs(inputs: Inputs, seed: int) -> Inputs:
    """The example inputs for seed 0 where they vary; else others of their range."""
    return varied(inputs, seed, booleans=False, constants=True)


def module_difference(actual: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> Difference:
    """How far the outputs of a fixed module are from those of the original."""
    return difference(actual, expected, of_zeros=FIXED_OF_ZEROS)


def outputs_of(module: nn.Module, inputs: Inputs, seed: int) -> list[torch.Tensor]:
    """The tensors that the module returns in eval mode; the inputs and its buffers stay as they are."""
    args, kwargs = pytree.tree_map(own, inputs)
    torch.manual_seed(seed)
    with borrowed(module), user_code(), torch.no_grad(), kept_buffers(module), unchanged_buffers(module):
        return [tensor.clone() for tensor in tensor_leaves(module(*args, **kwargs))]


def _on_seeds(original: nn.Module, fixed: nn.Module, inputs: Inputs, seeds: int) -> Comparison | None:
    """The comparison on random inputs; None where the original itself gives other values every time."""
    largest = share = 0.0
    elsewhere, refused, rounding = 0, 0, False
    for seed in range(seeds):
        sample = fixed_inputs(inputs, seed)
        try:
            before = outputs_of(original, sample, seed)
        except OtherWay:
            elsewhere += 1
            continue
        except Exception:
            if seed == 0:
                run_forward(original, sample, ())  # says where the model stopped, and what to do
                raise
            refused += 1  # a loss, say, that takes probabilities alone
            continue
        try:
            after = outputs_of(fixed, sample, seed)
        except Exception as error:  # PyTorch has no kernel for a dtype, where its own rule of shapes has
            return Comparison(problem=f"{type(error).__name__}: {one_line(str(error))[:200]}")
        if seed == 0 and difference(outputs_of(original, sample, seed), before).largest > 0:
            return None
        apart = module_difference(after, before)
        largest, share = max(largest, apart.largest), max(share, apart.share)
        problem = apart.beyond(FIXED)
        if problem and (apart.problem or not _is_rounding(original, sample, after, before)):
            return Comparison(largest, share, problem, (_runs(seeds - refused, elsewhere, rounding),))
        rounding = rounding or bool(problem)
    return Comparison(largest, share, "", (_runs(seeds - refused, elsewhere, rounding),))


def _runs(seeds: int, elsewhere: int, rounding: bool) -> str:
    text = f"outputs of {seeds - elsewhere} inputs"
    text += ", apart by the rounding of float32" if rounding else ""
    return text + (f"; {elsewhere} more take another branch" if elsewhere else "")


def _is_rounding(
    original: nn.Module, inputs: Inputs, after: list[torch.Tensor], before: list[torch.Tensor]
) -> bool:
    """Whether rounding explains it all: inputs moved by their last bit move the outputs as far."""
    floors = noise_of(original, inputs, before)
    if floors is None or len(floors) != len(after):
        return False
    return all(
        float(distances(actual, expected).max(initial=0.0)) <= FIXED * scale_of(expected) + floor
        for actual, expected, floor in zip(after, before, floors, strict=True)
    )


def _at_sizes(original: nn.Module, fixed: nn.Module, others: Sequence[Inputs]) -> Comparison:
    largest = share = 0.0
    for inputs in others:
        before = outputs_of(original, inputs, 0)
        try:
            apart = module_difference(outputs_of(fixed, inputs, 0), before)
        except Exception as error:  # what is written for one size alone may raise anything at another
            apart = Difference(problem=f"{type(error).__name__}: {one_line(str(error))[:200]}")
        largest, share = max(largest, apart.largest), max(share, apart.share)
        problem = apart.beyond(FIXED)
        if problem:
            return Comparison(largest, share, f"at {_sizes(inputs)}: {problem}")
    return Comparison(largest, share, checked=(f"outputs at {len(others)} other sizes",))


def _sizes(inputs: Inputs) -> str:
    shapes = (leaf.shape for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor))
    return " and ".join("x".join(map(str, shape)) for shape in shapes)


def _in_double(original: nn.Module, fixed: nn.Module, inputs: Inputs, rough: bool) -> Comparison:
    """The comparison in float64, of nothing where one of both is tied to another dtype.

    ``rough`` says that rounding parts the two at float32, where a part of the model may stay in float64 too.
    """

    def wide(value: Any) -> Any:
        is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
        return value.double() if is_float else value

    try:
        doubled = pytree.tree_map(wide, inputs)
        before = outputs_of(copy.deepcopy(original).double(), doubled, 0)
        after = outputs_of(copy.deepcopy(fixed).double(), doubled, 0)
    except Exception:  # a dtype written out in the model
        return Comparison()
    apart = module_difference(after, before)
    if apart.problem or (rough and apart.share > FIXED):
        return Comparison()
    if apart.share > FIXED:
        return Comparison(problem=f"in float64 it differs by {apart.share:.2g} of the largest value")
    return Comparison(checked=("outputs in float64",))
