"""The ops of a plan, whether they were read from MIL or from the captured graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from convlint.model import Site, TensorArg, TensorMeta

ITEM_BYTES = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "float16": 2,
    "int32": 4,
    "uint32": 4,
    "float32": 4,
    "int64": 8,
    "float64": 8,
}


@dataclass(frozen=True, slots=True)
class Operation:
    """An op. ``kind`` is the MIL op type. ``inputs`` are the tensors that it reads, constants too; ``reads``
    are the indices of the operations that made them. ``attributes`` are those that placement and cost use,
    with the same names for every source: see :mod:`convlint.placement.attributes`. ``node`` is the node of
    the exported program that it comes from, "" where there is none."""

    kind: str
    name: str
    inputs: tuple[TensorArg, ...]
    outputs: tuple[TensorMeta, ...]
    reads: tuple[int, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    op: str = ""
    site: Site | None = None
    caller: Site | None = None
    module: str = ""
    module_type: str = ""
    node: str = ""

    @property
    def activations(self) -> Iterator[TensorMeta]:
        """The tensors that it reads that depend on an input of the model."""
        return (tensor.meta for tensor in self.inputs if not tensor.const)

    @property
    def weights(self) -> Iterator[TensorMeta]:
        """The constants that it reads."""
        return (tensor.meta for tensor in self.inputs if tensor.const)

    @property
    def tensors(self) -> Iterator[TensorMeta]:
        """Every activation that it reads or writes."""
        yield from self.activations
        yield from self.outputs


def with_modules(operations: Sequence[Operation]) -> list[Operation]:
    """The operations, with those that passes created put into the module of their readers.

    An operation with readers in several modules goes into the innermost module around them. Linear time.
    """
    placed = list(operations)
    readers: list[list[int]] = [[] for _ in placed]
    for index, operation in enumerate(placed):
        for source in operation.reads:
            readers[source].append(index)
    for index in reversed(range(len(placed))):
        operation = placed[index]
        if operation.op or operation.module or not readers[index]:
            continue
        first, *others = (placed[reader] for reader in readers[index])
        alike = all(other.module == first.module for other in others)
        placed[index] = replace(
            operation,
            module=first.module if alike else _around([each.module for each in (first, *others)]),
            module_type=first.module_type if alike else "",
            site=operation.site or (first.site if alike else None),
            caller=operation.caller or (first.caller if alike else None),
        )
    return placed


def _around(modules: Sequence[str]) -> str:
    """The innermost module that contains all of these."""
    shared = []
    for names in zip(*(module.split(".") for module in modules), strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return ".".join(shared)


def numel(shape: tuple[int | str, ...]) -> int:
    """The number of entries; an axis of unknown size counts as 1."""
    total = 1
    for size in shape:
        total *= size if isinstance(size, int) else 1
    return total


def dense_bytes(meta: TensorMeta, item: int | None = None) -> int:
    """The bytes of a tensor without padding; ``item`` overrides the bytes of each entry."""
    return numel(meta.shape) * (item or ITEM_BYTES.get(meta.dtype, 4))


def stored_dtype(dtype: str) -> str:
    """The dtype in which Core ML stores ``dtype`` of the program, at the default precision."""
    return "float16" if dtype in ("float32", "float64") else dtype
