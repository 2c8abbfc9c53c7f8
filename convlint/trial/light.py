"""Weights without memory, and yet each with values of its own.

Weights that are all the same number would make another program: coremltools leaves out what adds a zero,
merges constants that are equal (queries, keys and values of an attention), and folds what it can work out.
So a large weight is a view with overlapping strides over a short block of random numbers, another block for
each: no two weights are equal, no element is zero, and the memory is that of one row and one column.
"""

from __future__ import annotations

from typing import Any

from convlint.torch_adapter import is_fake

KEEP_BYTES = 1 << 16
"""Constants that have data and are no larger stay as they are."""


def take_weights(program: Any) -> None:
    """Replace every large or absent constant of an exported program by a tensor without memory."""
    number = 0
    for store in (program.state_dict, program.constants):
        for name, tensor in list(store.items()):
            number += 1
            light = without_memory(tensor, number)
            if light is not tensor:
                store[name] = light


def without_memory(tensor: Any, number: int = 0) -> Any:
    """``tensor`` as an overlapping view of its shape, or itself where it is small and has data.

    ``number`` makes the values others than those of another number. Integers and booleans, which are
    indices and masks, are zeros. What has no data and is small is one number throughout, as in a new layer.
    """
    import torch

    if not isinstance(tensor, torch.Tensor) or tensor.is_quantized:
        return tensor
    size = tensor.numel() * tensor.element_size()
    if not is_fake(tensor) and size <= KEEP_BYTES:
        return tensor
    if not tensor.dtype.is_floating_point:
        value = torch.zeros((), dtype=tensor.dtype).expand(tuple(tensor.shape))
    elif size <= KEEP_BYTES:
        value = _numbers(1, number).to(tensor.dtype).reshape(()).expand(tuple(tensor.shape))
    else:
        shape = tuple(tensor.shape)
        block = _numbers(sum(shape) - len(shape) + 1, number).to(tensor.dtype)
        value = block.as_strided(shape, (1,) * len(shape))
    return torch.nn.Parameter(value, requires_grad=False) if isinstance(tensor, torch.nn.Parameter) else value


def _numbers(count: int, number: int) -> Any:
    """So many numbers between 0.01 and 0.09: no zeros, no ones, and small enough for float16."""
    import torch

    generator = torch.Generator().manual_seed(number)
    return torch.rand(count, generator=generator) * 0.08 + 0.01
