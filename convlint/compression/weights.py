"""The weights of a MIL program: the module that each belongs to, and its bytes in the file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from convlint import coremltools_adapter as adapter

_BITS = re.compile(r"\d+$")


@dataclass(frozen=True, slots=True)
class Weight:
    """A constant that an operation reads. ``key`` is its operation and input, as in every program."""

    key: str
    layer: str
    variable: Any
    bytes: int
    compressed: bool


def weights_of(program: Any, parameters: Iterable[str]) -> list[Weight]:
    """Every constant of numbers that an operation reads, once; ``parameters`` are the model's names."""
    names = {re.sub(r"\W", "_", name): name for name in parameters}
    seen: set[Any] = set()
    weights = []
    for operation in adapter.operations(program):
        if _is_constexpr(operation):
            continue
        for name, variable in _inputs(operation):
            made_by = variable.op
            if made_by is None or variable in seen:
                continue
            compressed = _is_constexpr(made_by)
            if not compressed and made_by.op_type != "const":
                continue
            seen.add(variable)
            size = stored_bytes(variable)
            if size:
                layer = _layer(variable.name, names) or str(operation.name)
                weights.append(Weight(f"{operation.name}.{name}", layer, variable, size, compressed))
    return weights


def stored_bytes(variable: Any) -> int:
    """The bytes of a constant, or of all parts of a compressed one."""
    operation = variable.op
    if operation is None:
        return 0
    if operation.op_type != "const":
        return sum(stored_bytes(each) for _, each in _inputs(operation)) if _is_constexpr(operation) else 0
    dtype, shape = adapter.value_type(variable)
    bits = _BITS.search(dtype)
    if shape is None or None in shape or not (bits or dtype == "bool"):
        return 0
    return (prod(size or 0 for size in shape) * (int(bits[0]) if bits else 8) + 7) // 8


def by_layer(weights: Iterable[Weight]) -> Mapping[str, list[Weight]]:
    """The weights of each layer, in the order of the program."""
    layers: dict[str, list[Weight]] = {}
    for weight in weights:
        layers.setdefault(weight.layer, []).append(weight)
    return layers


def _is_constexpr(operation: Any) -> bool:
    return str(operation.op_type).startswith("constexpr_")


def _inputs(operation: Any) -> Iterator[tuple[str, Any]]:
    for name, value in operation.inputs.items():
        for variable in value if isinstance(value, (list, tuple)) else [value]:
            if variable is not None:
                yield name, variable


def _layer(variable: str, names: Mapping[str, str]) -> str:
    """The module whose parameter a constant is named after; "" where a pass made the constant."""
    words = variable.split("_")
    ends = range(1, len(words) + 1)
    runs = ("_".join(words[start:end]) for end in ends for start in range(end))
    fitting = [run for run in runs if run in names]
    if not fitting:
        return ""
    parameter = names[max(fitting, key=len)]
    return parameter.rpartition(".")[0] or parameter
