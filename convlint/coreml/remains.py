"""Which ops leave nothing in the converted program: coremltools computes them once and keeps the numbers.

An op of values that are known is computed at conversion, unless the MIL operation behind it cannot be
(``scatter``, ``one_hot``, ``conv`` ...); whatever is made of one that stays, stays too. Some ops only ask a
tensor for its shape or dtype, and are known though their argument is not. Measured with coremltools 9.0 by
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
"""Functions that are never computed at conversion, as patterns."""

STAYS_BELOW_IOS18 = ("slice_scatter", "select_scatter")
"""Writes into a part: a scatter for older targets, and from iOS18 on an op that is computed."""

_OF_SHAPE = frozenset({"zeros_like", "new_zeros", "new_full", "new_ones", "new_empty", "empty_like"})
"""Ask their argument for its shape and dtype alone."""

_OF_DTYPE: Mapping[str, str] = MappingProxyType({"type_as": "other"})
"""Ask one argument for its dtype alone."""


def folded_calls(calls: Iterable[OpCall], *, ios18: bool) -> frozenset[str]:
    """The names of the calls of which nothing is left in the program."""
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
