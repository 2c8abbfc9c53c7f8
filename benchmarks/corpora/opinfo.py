"""PyTorch's own operator samples (``op_db``) as cases: one call of one operator each.

A case is named ``operator[.variant][@dtype]/position``: the position is that of the sample in its generator,
so a name means the same sample however many of them a run takes. The dtype is named where it is not the
operator's usual one, which is float32, or the first of ``FALLBACK_DTYPES`` that the operator takes.
"""

from __future__ import annotations

import functools
import random
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree

from . import Example

__all__ = ["build", "cases", "labels", "names", "takes"]

SEED = 20_240
FALLBACK_DTYPES = (
    torch.int64,
    torch.int32,
    torch.bool,
    torch.complex64,
    torch.float16,
    torch.bfloat16,
    torch.int16,
    torch.uint8,
)


class OpCallModule(nn.Module):
    """One call of an operator: the tensors among its arguments are inputs, the others constants."""

    def __init__(self, operator: Any, arguments: tuple[Any, dict[str, Any]]) -> None:
        super().__init__()
        self.operator = operator
        leaves, self.structure = pytree.tree_flatten(arguments)
        self.constants = [None if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
        self.positions = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

    def forward(self, *tensors: torch.Tensor) -> Any:
        leaves = list(self.constants)
        for position, tensor in zip(self.positions, tensors, strict=True):
            leaves[position] = tensor
        args, kwargs = pytree.tree_unflatten(leaves, self.structure)
        return self.operator(*args, **kwargs)


def names(samples: int = 3, without: int = 0, dtypes: Sequence[str] = ()) -> list[str]:
    """The cases of every operator: up to ``samples`` each, spread evenly over the operator's generator.

    ``without`` leaves out those that a run with so many samples would take. ``dtypes`` asks for these dtypes
    instead of the usual one. Operators whose samples cannot be made are left out, and counted on stderr.
    """
    found: list[str] = []
    unmade: list[str] = []
    for label, operator in _operators().items():
        usual = _usual_dtype(operator)
        for dtype in [getattr(torch, name) for name in dtypes] or [usual]:
            if dtype is None or dtype not in operator.supported_dtypes("cpu") or (dtypes and dtype is usual):
                continue
            suffix = "" if dtype is usual else f"@{_dtype_name(dtype)}"
            try:
                count = sum(1 for _ in _generate(operator, dtype))
            except Exception:
                unmade.append(label + suffix)
                continue
            positions = sorted(set(_spread(count, samples)) - set(_spread(count, without)))
            found += [f"{label}{suffix}/{position}" for position in positions]
    print(f"opinfo: {len(found)} cases; no samples for {len(unmade)} operators {unmade}", file=sys.stderr)
    return found


def labels() -> list[str]:
    """Every operator; ``LABEL/0`` is its first sample, found without making the others."""
    return [label for label, operator in _operators().items() if _usual_dtype(operator) is not None]


def takes(label: str, dtype: str) -> bool:
    """Whether the operator takes this dtype, and it is not its usual one."""
    operator, asked = _operators()[label], getattr(torch, dtype)
    return asked in operator.supported_dtypes("cpu") and asked is not _usual_dtype(operator)


def cases(label: str) -> Iterator[Any]:
    """The samples of ``operator[.variant][@dtype]``, in their order."""
    label, _, dtype_name = label.partition("@")
    operator = _operators()[label]
    dtype = getattr(torch, dtype_name) if dtype_name else _usual_dtype(operator)
    assert dtype is not None, f"{label} has no usual dtype"
    return _generate(operator, dtype)


def build(name: str) -> Example:
    """The case called ``name``."""
    label, _, position = name.rpartition("/")
    operator = _operators()[label.partition("@")[0]]
    for index, sample in enumerate(cases(label)):
        if index == int(position):
            arguments = ((sample.input, *sample.args), dict(sample.kwargs))
            tensors = [leaf for leaf in pytree.tree_leaves(arguments) if isinstance(leaf, torch.Tensor)]
            return Example(OpCallModule(operator.get_op(), arguments).eval(), tuple(tensors))
    raise LookupError(f"{label} has no sample {position}")


@functools.cache
def _operators() -> dict[str, Any]:
    """Label -> OpInfo."""
    return {f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name: op for op in op_db}


def _usual_dtype(operator: Any) -> torch.dtype | None:
    """float32, or the first other dtype that the operator takes; None if it takes none on a CPU."""
    supported = operator.supported_dtypes("cpu")
    return next((dtype for dtype in (torch.float32, *FALLBACK_DTYPES) if dtype in supported), None)


def _generate(operator: Any, dtype: torch.dtype) -> Iterator[Any]:
    """The operator's samples, the same ones in every process."""
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    return iter(operator.sample_inputs("cpu", dtype))


def _spread(count: int, samples: int) -> list[int]:
    """Up to ``samples`` positions below ``count``, from the first to the last."""
    if samples <= 0:
        return []
    if count <= samples:
        return list(range(count))
    if samples == 1:
        return [0]
    return [round(i * (count - 1) / (samples - 1)) for i in range(samples)]


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
