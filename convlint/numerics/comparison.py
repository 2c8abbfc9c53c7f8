"""Whether a fixed module computes what the original does: outputs, gradients, float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from convlint.capture.build import borrowed, kept_buffers, unchanged_buffers, weight_bytes
from convlint.capture.outputs import tensor_leaves
from convlint.numerics.noise import noise_of
from convlint.numerics.reference import plain
from convlint.sandbox import user_code
from convlint.torch_adapter import pytree

Inputs = tuple[tuple[Any, ...], dict[str, Any]]

RTOL = 1e-4
"""Difference allowed at float32, relative to the largest value of an output."""
GRADIENT_RTOL = 1e-3
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
    largest, relative, checked = 0.0, 0.0, [f"outputs of {seeds} inputs"]
    elsewhere = 0
    for seed in range(seeds):
        given = varied(inputs, seed)
        try:
            before = outputs_of(original, given, seed)
        except OtherWay:
            elsewhere += 1
            checked[0] = f"outputs of {seeds - elsewhere} inputs; {elsewhere} more take another branch"
            continue
        after = outputs_of(fixed, given, seed)
        if seed == 0 and difference(before, outputs_of(original, given, seed))[0] > 0:
            return Comparison(checked=("nothing: the model gives other values every time it runs",))
        error, share, problem = difference(before, after)
        largest, relative = max(largest, error), max(relative, share)
        if problem or (share > RTOL and not _only_rounding(original, given, before, after)):
            text = problem or f"it differs by {error:.3g}, {share:.2g} of the largest value"
            return Comparison(largest, relative, text, tuple(checked))
        if share > RTOL:
            checked[0] = f"outputs of {seeds} inputs, apart by the rounding of float32"
    rough = relative > RTOL
    for other in others:
        error, share, problem = _at_another_size(original, fixed, other)
        largest, relative = max(largest, error), max(relative, share)
        if problem or share > RTOL:
            text = problem or f"it differs by {error:.3g}, {share:.2g} of the largest value"
            return Comparison(largest, relative, f"at {_sizes(other)}: {text}", tuple(checked))
    if others:
        checked.append(f"outputs at {len(others)} other sizes")
    if gradients:
        problem = _gradient_problem(original, fixed, varied(inputs, 0))
        if problem:
            return Comparison(largest, relative, problem, tuple(checked))
        checked.append("gradients")
    if weight_bytes(original) <= DOUBLE_BYTES:
        done = _compare_double(original, fixed, varied(inputs, 0))
        if done is not None:
            if done > RTOL and not rough:
                text = f"in float64 it differs by {done:.2g} of the largest value"
                return Comparison(largest, relative, text, tuple(checked))
            if done <= RTOL:
                checked.append("outputs in float64")
    return Comparison(largest, relative, "", tuple(checked))


def _only_rounding(
    original: nn.Module, inputs: Inputs, before: list[torch.Tensor], after: list[torch.Tensor]
) -> bool:
    """Whether rounding explains it all: inputs moved by their last bit move the outputs as far."""
    floors = noise_of(original, inputs, [plain(tensor) for tensor in before])
    if floors is None or len(floors) != len(after):
        return False
    for one, other, floor in zip(before, after, floors, strict=True):
        apart, _, problem = difference([one], [other])
        scale = float(one.double().abs().max()) if one.numel() else 0.0
        if problem or apart > RTOL * scale + floor:
            return False
    return True


def _at_another_size(original: nn.Module, fixed: nn.Module, inputs: Inputs) -> tuple[float, float, str]:
    before = outputs_of(original, inputs, 0)
    try:
        return difference(before, outputs_of(fixed, inputs, 0))
    except Exception as error:
        return 0.0, 0.0, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _sizes(inputs: Inputs) -> str:
    shapes = (leaf.shape for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, torch.Tensor))
    return " and ".join("x".join(map(str, shape)) for shape in shapes)


def varied(inputs: Inputs, seed: int) -> Inputs:
    """The example inputs for seed 0 where they vary; else others of their range."""
    generator = torch.Generator().manual_seed(seed)

    def other(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or value.dtype is torch.bool or not value.numel():
            return value
        low, high = (value.min(), value.max()) if not value.is_complex() else (0, 0)
        if value.is_complex():
            return torch.randn(value.shape, generator=generator, dtype=torch.complex64).to(value.dtype)
        if seed == 0 and low != high:
            return value
        if value.is_floating_point():
            if low == high:
                return torch.randn(value.shape, generator=generator).to(value.dtype)
            spread = float(value.float().std())
            drawn = torch.randn(value.shape, generator=generator) * spread + float(value.float().mean())
            return drawn.to(value.dtype)
        if low == high:
            return value
        return torch.randint(int(low), int(high) + 1, value.shape, generator=generator).to(value.dtype)

    made: Inputs = pytree.tree_map(other, inputs)
    return made


def outputs_of(module: nn.Module, inputs: Inputs, seed: int) -> list[torch.Tensor]:
    """The tensors that the module returns in eval mode; the inputs and its buffers stay as they are."""
    args, kwargs = pytree.tree_map(own, inputs)
    torch.manual_seed(seed)
    with borrowed(module), user_code(), torch.no_grad(), kept_buffers(module), unchanged_buffers(module):
        return [tensor.clone() for tensor in tensor_leaves(module(*args, **kwargs))]


def own(value: Any) -> Any:
    """A copy of a tensor that nobody else writes to; anything else as it is."""
    return value.detach().clone() if isinstance(value, torch.Tensor) else value


def difference(before: list[torch.Tensor], after: list[torch.Tensor]) -> tuple[float, float, str]:
    """Largest difference, the same relative to the largest value, and what cannot be compared."""
    if len(before) != len(after):
        return 0.0, 0.0, f"it returns {len(after)} tensors instead of {len(before)}"
    largest, relative = 0.0, 0.0
    for one, other in zip(before, after, strict=True):
        if one.shape != other.shape or one.dtype != other.dtype:
            found, wanted = (f"{t.dtype}{list(t.shape)}" for t in (other, one))
            return 0.0, 0.0, f"it returns {found} instead of {wanted}"
        wide = torch.complex128 if one.is_complex() else torch.float64
        left, right = one.to(wide), other.to(wide)
        finite = torch.isfinite(left)
        if not torch.equal(finite, torch.isfinite(right)):
            return 0.0, 0.0, "a value is finite in one and not in the other"
        if not torch.equal(left[~finite].nan_to_num(), right[~finite].nan_to_num()):
            return 0.0, 0.0, "an infinity has another sign"
        if finite.any():
            error = float((left[finite] - right[finite]).abs().max())
            scale = float(left[finite].abs().max())
            largest = max(largest, error)
            relative = max(relative, error / scale if scale > 0 else error)
    return largest, relative, ""


def _gradient_problem(original: nn.Module, fixed: nn.Module, inputs: Inputs) -> str:
    try:
        wanted = _gradients(original, inputs)
    except Exception:  # a model without gradients of its own has none to keep
        return ""
    try:
        found = _gradients(fixed, inputs)
    except Exception as error:
        return f"gradients do not flow: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    scales = [float(one.abs().max()) for one in wanted.values() if one is not None and one.numel()]
    # Far below the largest gradient there is only the noise of rounding: that of a key's bias is 0.
    noise = 1e-4 * max((scale for scale in scales if scale < float("inf")), default=0.0)
    for name, one in wanted.items():
        other = found.get(name)
        if one is None or not bool(torch.isfinite(one).all()):
            continue
        scale = float(one.abs().max()) if one.numel() else 0.0
        if other is None:
            if scale > noise:
                return f"no gradient flows to {name} any more"
            continue
        gap = float((one.double() - other.double()).abs().max()) if one.numel() else 0.0
        if gap > GRADIENT_RTOL * max(scale, noise):
            return f"the gradient of {name} differs by {gap:.3g} where the largest is {scale:.3g}"
    return ""


def _gradients(module: nn.Module, inputs: Inputs) -> dict[str, torch.Tensor | None]:
    """The gradient of a fixed mix of all outputs, for every parameter and every input of floats."""
    leaves: dict[str, torch.Tensor] = {}

    def leaf(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            return own(value)
        made = value.detach().clone().requires_grad_()
        leaves[f"input {len(leaves) + 1}"] = made
        return made + 0  # a leaf must not be written to, and some models write to their inputs

    args, kwargs = pytree.tree_map(leaf, inputs)
    torch.manual_seed(0)
    with borrowed(module), user_code(), torch.enable_grad(), kept_buffers(module), unchanged_buffers(module):
        ends = [end for end in tensor_leaves(module(*args, **kwargs)) if end.requires_grad]
        if not ends:
            return {}
        generator = torch.Generator().manual_seed(0)
        total = torch.stack(
            [(end.double() * torch.randn(end.shape, generator=generator)).sum() for end in ends]
        ).sum()
        named = {name: p for name, p in module.named_parameters() if p.requires_grad} | leaves
        made = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    return dict(zip(named, made, strict=True))


def _compare_double(original: nn.Module, fixed: nn.Module, inputs: Inputs) -> float | None:
    """The relative difference in float64, or None where one of both is tied to another dtype."""

    def wide(value: Any) -> Any:
        is_float = isinstance(value, torch.Tensor) and value.is_floating_point()
        return value.double() if is_float else value

    try:
        given = pytree.tree_map(wide, inputs)
        before = outputs_of(copy.deepcopy(original).double(), given, 0)
        after = outputs_of(copy.deepcopy(fixed).double(), given, 0)
    except Exception:  # a dtype written out in the model
        return None
    _, share, problem = difference(before, after)
    return None if problem else share
