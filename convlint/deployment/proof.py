"""Whether two forms of a model compute the same."""

from __future__ import annotations

from typing import Any

import torch

from convlint.sandbox import user_code
from convlint.torch_adapter import pytree
from convlint.untouched import untouched

TOLERANCE = {torch.float16: 2e-2, torch.bfloat16: 1e-1}
USUAL_TOLERANCE = 1e-3
"""Errors that a merge of branches may have, relative to the largest value, by the dtype of the output.

A merged kernel is a sum that was rounded once more. Measured at float32: 3e-6 on RepVGG, MobileOne, FastViT,
GhostNetV3 and weight norm; the limits are those of a converted program beside PyTorch.
"""


def outputs_of(module: torch.nn.Module, inputs: Any, *, ours: bool) -> list[torch.Tensor]:
    """The tensors that a module gives in eval mode. Inputs are left as they are, and the module if it is not
    ``ours``."""
    args, kwargs = inputs
    with untouched(() if ours else module, inputs), user_code(), torch.no_grad():
        torch.manual_seed(0)
        module.eval()
        leaves = pytree.tree_leaves(module(*args, **kwargs))
        return [leaf.detach().clone() for leaf in leaves if isinstance(leaf, torch.Tensor)]


def error_between(outputs: list[torch.Tensor], others: list[torch.Tensor]) -> tuple[float, str]:
    """The largest error of ``others``, relative to the largest value of its output, and what is wrong.

    A deployed form may leave out outputs that serve training, but not the first; what it gives has to be
    among ``outputs``, in their order. An error is infinite where one side alone is finite.
    """
    largest, at = 0.0, 0
    for number, other in enumerate(others):
        alike = [n for n in range(at, len(outputs)) if _is_alike(outputs[n], other)]
        if not alike or (number == 0 and alike[0] != 0):
            return float("inf"), "it gives outputs of other shapes or dtypes"
        errors = {n: _error(outputs[n], other) for n in (alike if len(others) < len(outputs) else alike[:1])}
        same = [n for n in alike if n in errors and errors[n] <= _tolerance(other)]
        if not same or (number == 0 and same[0] != 0):
            return errors[alike[0]], f"the outputs differ by {errors[alike[0]]:.2g} of their largest value"
        largest, at = max(largest, errors[same[0]]), same[0] + 1
    return largest, "" if others or not outputs else "it gives no output"


def _is_alike(output: torch.Tensor, other: torch.Tensor) -> bool:
    return output.shape == other.shape and output.dtype == other.dtype


def _tolerance(output: torch.Tensor) -> float:
    return TOLERANCE.get(output.dtype, USUAL_TOLERANCE)


def _error(output: torch.Tensor, other: torch.Tensor) -> float:
    if output.is_complex():
        output, other = torch.view_as_real(output), torch.view_as_real(other)
    one, two = output.double(), other.double()
    finite = one.isfinite()
    if not torch.equal(finite, two.isfinite()):
        return float("inf")
    one, two = one[finite], two[finite]
    if not one.numel():
        return 0.0
    apart, scale = (one - two).abs().max().item(), one.abs().max().item()
    return apart / scale if scale else apart


def with_statistics(module: torch.nn.Module) -> torch.nn.Module:
    """``module`` with random numbers in all vectors, in place: biases, scales, statistics of norms.

    They start at zeros and ones, where a switch that forgets one of them would go unseen.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point() or tensor.numel() != max(tensor.shape, default=0):
                continue
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            else:
                tensor.add_(torch.randn_like(tensor) * 0.1)
    return module
