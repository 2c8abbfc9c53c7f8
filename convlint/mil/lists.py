"""Lists of tensors. A list is immutable; writing makes a new tuple that shares the elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from convlint.mil.dtypes import carrier
from convlint.mil.failures import ExecutionError


@dataclass(frozen=True, slots=True)
class TensorList:
    """Tensors of one shape; ``template`` is a zero tensor, which fills unwritten places."""

    items: tuple[Tensor, ...]
    template: Tensor
    grows: bool

    def at(self, index: int) -> Tensor:
        if not 0 <= index < len(self.items):
            raise ExecutionError(f"index {index} is outside a list of {len(self.items)} tensors.")
        return self.items[index]

    def written(self, index: int, value: Tensor) -> TensorList:
        items = list(self.items)
        if index >= len(items) and self.grows:
            items += [self.template] * (index + 1 - len(items))
        if not 0 <= index < len(items):
            raise ExecutionError(f"index {index} is outside a list of {len(items)} tensors of fixed length.")
        items[index] = value
        return replace(self, items=tuple(items))


def make_list(
    elem_shape: Sequence[Any],
    init_length: Tensor | int = 1,
    dynamic_length: bool = True,
    dtype: str = "fp32",
) -> TensorList:
    kind = carrier(dtype)
    if kind is None:
        raise ExecutionError(f"a list of {dtype} has no numbers.")
    # A size that is a text is known only once something is written.
    sizes = [1 if isinstance(size, str) else int(size) for size in elem_shape]
    template = torch.zeros(sizes, dtype=kind.dtype)
    return TensorList((template,) * int(init_length), template, bool(dynamic_length))


def list_length(ls: TensorList) -> Tensor:
    return torch.tensor(len(ls.items), dtype=torch.int32)


def list_read(ls: TensorList, index: Tensor) -> Tensor:
    return ls.at(int(index))


def list_write(ls: TensorList, index: Tensor, value: Tensor) -> TensorList:
    return ls.written(int(index), value)


def list_gather(ls: TensorList, indices: Tensor) -> Tensor:
    return torch.stack([ls.at(index) for index in indices.tolist()])


def list_scatter(ls: TensorList, indices: Tensor, value: Tensor) -> TensorList:
    for index, item in zip(indices.tolist(), value, strict=True):
        ls = ls.written(index, item)
    return ls


OPERATIONS: dict[str, Callable[..., Any]] = {
    "list_gather": list_gather,
    "list_length": list_length,
    "list_read": list_read,
    "list_scatter": list_scatter,
    "list_write": list_write,
    "make_list": make_list,
}
