"""Ops that leave nothing in the converted program, because coremltools folds them into constants.

An op of known values is computed at conversion, unless its MIL operation cannot be (``scatter``,
``one_hot``, ``conv`` ...); what depends on an op that stays, stays too. Some ops only read the shape or
dtype of a tensor, and are known even where its values are not. Measured with coremltools 9.0 by
``tests/coreml/test_remains.py``, which converts each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from convlint.model import OpCall, TensorArg
from convlint.op_functions import function_of

STAYS = (
    "adaptive_*pool*", "avg_pool*", "conv*", "fft_*", "grid_sampler*", "gru", "index_put", "lstm",
    "max_pool*", "one_hot", "rand*", "normal*", "bernoulli", "multinomial", "stft", "upsample_*",
)  # fmt: skip
"""Patterns of functions that are never computed at conversion."""

STAYS_BELOW_IOS18 = ("slice_scatter", "select_scatter")
"""Writes into a part of a tensor: a scatter below iOS18, from iOS18 on an op that can be computed."""

_OF_SHAPE = frozenset({"zeros_like", "new_zeros", "new_full", "new_ones", "new_empty", "empty_like"})
"""Functions that read only the shape and dtype of their argument."""

_OF_DTYPE: Mapping[str, str] = MappingProxyType({"type_as": "other"})
"""Functions that read only the dtype of the named argument."""


def folded_calls(calls: Iterable[OpCall], *, ios18: bool) -> frozenset[str]:
    """The names of the calls that leave nothing in the program."""
    stays = STAYS if ios18 else (*STAYS, *STAYS_BELOW_IOS18)
    folded: set[str] = set()
    for call in calls:
        if _is_known(call, folded) and not _any(function_of(call.op), stays):
            folded.add(call.name)
    return frozenset(folded)


def _is_known(call: OpCall, known: set[str]) -> bool:
    function = function_of(call.op)
    if function in _OF_SHAPE:
        return all(isinstance(size, int) for out in call.outputs if out is not None for size in out.shape)
    skipped = _OF_DTYPE.get(function)
    values = (value for name, value in call.args.items() if name != skipped)
    return all(_has_value(tensor, known) for value in values for tensor in _tensors(value))


def _has_value(tensor: TensorArg | str, known: set[str]) -> bool:
    if isinstance(tensor, str):
        return False  # a size that the input decides
    return tensor.origin in ("parameter", "buffer", "constant") or tensor.call in known


def _tensors(value: Any) -> Iterator[TensorArg | str]:
    if isinstance(value, tuple):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, TensorArg) or (isinstance(value, str) and value.startswith("symbolic ")):
        yield value


def _any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
