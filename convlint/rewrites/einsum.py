"""``einsum`` as permutations and one matrix product for each pair of operands.

The converter of coremltools gives some equations intermediates of rank 6, or permutes by the wrong
rank; with all batch axes in one, all contracted axes in one, and all free axes in one, none is above 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from convlint.rewrites.table import NotApplicable, rewrite

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class _Term:
    """A tensor and the label of each of its axes."""

    tensor: torch.Tensor
    labels: tuple[str, ...]

    def size(self, label: str) -> int:
        return int(self.tensor.shape[self.labels.index(label)])

    def summed(self, labels: set[str]) -> _Term:
        axes = [axis for axis, label in enumerate(self.labels) if label in labels]
        if not axes:
            return self
        return _Term(self.tensor.sum(axes), tuple(label for label in self.labels if label not in labels))

    def without_ones(self, other: _Term) -> _Term:
        """Without the axes of size 1 that ``other`` has in full: they broadcast."""
        for label in self.labels:
            if label in other.labels and self.size(label) == 1 != other.size(label):
                axis = self.labels.index(label)
                left = tuple(one for one in self.labels if one != label)
                return _Term(self.tensor.squeeze(axis), left).without_ones(other)
        return self

    def grouped(self, *groups: list[str]) -> torch.Tensor:
        """The tensor with one axis for each group of labels."""
        order = [self.labels.index(label) for group in groups for label in group]
        sizes = [math.prod(self.size(label) for label in group) for group in groups]
        tensor = self.tensor if order == sorted(order) else self.tensor.permute(order)
        return tensor.reshape(sizes)


@rewrite("aten.einsum.default")
def einsum(equation: str, tensors: list[torch.Tensor], *, path: Any = None) -> torch.Tensor:
    """Matrix products of permuted operands."""
    terms, wanted = _terms(equation, tensors)
    whole = terms[0]
    for number, term in enumerate(terms[1:], 1):
        later = {label for other in terms[number + 1 :] for label in other.labels}
        whole = _product(whole, term, set(wanted) | later)
    whole = whole.summed(set(whole.labels) - set(wanted))
    order = [whole.labels.index(label) for label in wanted]
    return whole.tensor if order == sorted(order) else whole.tensor.permute(order).contiguous()


def _product(left: _Term, right: _Term, wanted: set[str]) -> _Term:
    left, right = left.without_ones(right), right.without_ones(left)
    left = left.summed(set(left.labels) - set(right.labels) - wanted)
    right = right.summed(set(right.labels) - set(left.labels) - wanted)
    shared = [label for label in left.labels if label in right.labels]
    batch = [label for label in shared if label in wanted]
    inner = [label for label in shared if label not in wanted]
    rows = [label for label in left.labels if label not in shared]
    columns = [label for label in right.labels if label not in shared]
    if inner:
        product = left.grouped(batch, rows, inner) @ right.grouped(batch, inner, columns)
    else:
        product = left.grouped(batch, rows, []) * right.grouped(batch, [], columns)
    labels = (*batch, *rows, *columns)
    sizes = [left.size(label) if label in left.labels else right.size(label) for label in labels]
    return _Term(product.reshape(sizes), labels)


def _terms(equation: str, tensors: list[torch.Tensor]) -> tuple[list[_Term], tuple[str, ...]]:
    """The operands with a label for every axis, and the labels of the result."""
    words, wanted = labelled(equation, [tensor.dim() for tensor in tensors])
    terms = [_Term(tensor, word) for tensor, word in zip(tensors, words, strict=True)]
    if any(len(set(term.labels)) < len(term.labels) for term in terms):
        raise NotApplicable("it takes a diagonal")
    return terms, wanted


def labelled(equation: str, ranks: list[int]) -> tuple[list[tuple[str, ...]], tuple[str, ...]]:
    """A label for every axis of operands of these ranks, and for every axis of the result."""
    operands, arrow, result = equation.replace(" ", "").partition("->")
    written = operands.split(",")
    if len(written) != len(ranks):
        raise NotApplicable("its equation has another number of operands")
    words = [tuple(_labels(word, rank)) for word, rank in zip(written, ranks, strict=True)]
    hidden = sorted({label for word in words for label in word if label.startswith("~")}, reverse=True)
    if not arrow:
        letters = [label for word in words for label in word if not label.startswith("~")]
        return words, (*hidden, *sorted(label for label in letters if letters.count(label) == 1))
    before, dots, after = result.partition("...")
    return words, (*before, *(hidden if dots else ()), *after)


def neighbours(words: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Runs of labels that stand side by side in every one of ``words`` that has any of them."""
    pairs = [pair for word in words for pair in pairwise(word)]
    runs: list[tuple[str, ...]] = []
    for label in dict.fromkeys(label for word in words for label in word):
        last = runs[-1][-1] if runs else ""
        holders = sum(last in word or label in word for word in words)
        if runs and pairs.count((last, label)) == holders:
            runs[-1] = (*runs[-1], label)
        else:
            runs.append((label,))
    return runs


def _labels(word: str, rank: int) -> Iterator[str]:
    """A label for each axis; those under an ellipsis are counted from its end, as they broadcast."""
    before, dots, after = word.partition("...")
    yield from before
    if dots:
        hidden = rank - len(before) - len(after)
        yield from (f"~{number:02}" for number in reversed(range(hidden)))
    yield from after
