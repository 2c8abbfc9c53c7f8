"""Gradients of two modules beside each other: whether each still flows, and how large it is."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from convlint.capture.build import borrowed, kept_buffers, unchanged_buffers
from convlint.capture.methods import Inputs
from convlint.capture.outputs import tensor_leaves
from convlint.numerics.difference import distances, scale_of
from convlint.numerics.samples import own
from convlint.numerics.tolerance import GRADIENT, GRADIENT_NOISE
from convlint.sandbox import user_code
from convlint.text import one_line
from convlint.torch_adapter import pytree

Gradients = dict[str, "torch.Tensor | None"]
"""By the name of a parameter, or ``input 2`` for the second tensor; None where nothing flows."""


def gradient_problem(original: nn.Module, changed: nn.Module, inputs: Inputs) -> str:
    """How the gradients of ``changed`` differ from those of the original; empty where they do not."""
    try:
        expected = gradients_of(original, inputs)
    except Exception:  # a model without gradients of its own has none to keep
        return ""
    try:
        actual = gradients_of(changed, inputs)
    except Exception as error:
        return f"gradients do not flow: {type(error).__name__}: {one_line(str(error))[:200]}"
    return gradients_apart(actual, expected)


def gradients_apart(actual: Gradients, expected: Gradients) -> str:
    """How gradients differ from those expected, as far as those are finite; empty where they do not."""
    finite = {
        name: gradient
        for name, gradient in expected.items()
        if gradient is not None and bool(torch.isfinite(gradient).all())
    }
    noise = GRADIENT_NOISE * max(map(scale_of, finite.values()), default=0.0)
    problems = (_problem(name, finite[name], actual.get(name), noise) for name in finite)
    return next(filter(None, problems), "")


def _problem(name: str, expected: torch.Tensor, actual: torch.Tensor | None, noise: float) -> str:
    scale = scale_of(expected)
    if actual is None:
        return f"no gradient flows to {name} any more" if scale > noise else ""
    if max(scale, scale_of(actual)) <= noise:
        return ""  # both are what rounding leaves
    error = float(distances(actual, expected).max(initial=0.0))
    if error <= GRADIENT * max(scale, noise):
        return ""
    size = f"by {error:.3g}" if math.isfinite(error) else "and is not finite"
    return f"the gradient of {name} differs {size} where the largest is {scale:.3g}"


def lost_gradient(original: nn.Module, changed: nn.Module, inputs: Inputs) -> str:
    """The input that the original passes a gradient to and ``changed`` does not; empty where none is."""
    flowing, still = gradients_of(original, inputs), gradients_of(changed, inputs)
    names = (name for name, gradient in flowing.items() if gradient is not None and name.startswith("input "))
    lost = next((name for name in names if still.get(name) is None), "")
    return f"no gradient flows to {lost} any more" if lost else ""


def gradients_of(module: nn.Module, inputs: Inputs) -> Gradients:
    """The gradient of a mix of all outputs, for every parameter and every input of floats, in eval mode."""
    with borrowed(module), kept_buffers(module), unchanged_buffers(module):
        return outputs_and_gradients(module, inputs)[1]


def outputs_and_gradients(module: nn.Module, inputs: Inputs) -> tuple[list[torch.Tensor], Gradients]:
    """What the module returns in the mode that it is in, and the gradients; buffers are written to."""
    leaves: dict[str, torch.Tensor] = {}
    tensors = 0

    def leaf(value: Any) -> Any:
        nonlocal tensors
        if not isinstance(value, torch.Tensor):
            return value
        tensors += 1
        if not value.is_floating_point():
            return own(value)
        start = leaves[f"input {tensors}"] = value.detach().clone().requires_grad_()
        return start + 0  # a leaf must not be written to, and some models write to their inputs

    args, kwargs = pytree.tree_map(leaf, inputs)
    torch.manual_seed(0)
    with user_code(), torch.enable_grad():
        outputs = tensor_leaves(module(*args, **kwargs))
        ends = [end for end in outputs if end.requires_grad]
        plain = [output.detach().clone() for output in outputs]
        if not ends:
            return plain, {}
        named = {name: p for name, p in module.named_parameters() if p.requires_grad} | leaves
        gradients = torch.autograd.grad(_mixed(ends), list(named.values()), allow_unused=True)
    return plain, dict(zip(named, gradients, strict=True))


def _mixed(ends: list[torch.Tensor]) -> torch.Tensor:
    """One number of all outputs, each value with a random weight: a plain sum has gradients that cancel."""
    generator = torch.Generator().manual_seed(0)
    parts = [torch.view_as_real(end) if end.is_complex() else end for end in ends]
    return torch.stack(
        [(part.double() * torch.randn(part.shape, generator=generator)).sum() for part in parts]
    ).sum()
