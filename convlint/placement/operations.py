"""One op of the program that is planned, whether it was read from MIL or from the captured graph."""

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
    """``kind`` is the MIL op type. ``inputs`` are the tensors that it reads, constants too; ``reads`` the
    indices of the operations that made them. ``attributes`` are what placement and cost ask for, under
    the same names whatever the op was read from: see :mod:`convlint.placement.attributes`."""

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

    @property
    def activations(self) -> Iterator[TensorMeta]:
        """The tensors that it reads and that depend on an input of the model."""
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


def housed(operations: Sequence[Operation]) -> list[Operation]:
    """Operations that passes have made anew, put into the module of what reads them.

    Where several modules read one, it stands in the innermost that holds them all. Linear.
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
    """The innermost module that holds all of these."""
    shared = []
    for names in zip(*(module.split(".") for module in modules), strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return ".".join(shared)


def numel(shape: tuple[int | str, ...]) -> int:
    """The number of entries; an axis whose size nobody knows counts once."""
    total = 1
    for size in shape:
        total *= size if isinstance(size, int) else 1
    return total


def dense_bytes(meta: TensorMeta, item: int | None = None) -> int:
    """What a tensor takes without padding; ``item`` bytes for each entry in the place of its own."""
    return numel(meta.shape) * (item or ITEM_BYTES.get(meta.dtype, 4))


def stored_dtype(dtype: str) -> str:
    """The dtype in which Core ML keeps what the program calls ``dtype``, at the default precision."""
    return "float16" if dtype in ("float32", "float64") else dtype
