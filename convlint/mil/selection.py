"""Ops that choose: topk, argsort, non_zero, non_maximum_suppression, classify."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor


def topk(
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "",
) -> tuple[Tensor, Tensor] | Tensor:
    """The largest or smallest values, sorted, ties in the order of indices; Core ML promises neither."""
    count = x.shape[axis] if k == -1 else k
    values, indices = torch.sort(x, dim=axis, descending=not ascending, stable=True)
    values, indices = values.narrow(axis, 0, count), indices.narrow(axis, 0, count)
    return (values, indices) if return_indices else values


def argsort(x: Tensor, axis: int = -1, ascending: bool = False) -> Tensor:
    return x.argsort(dim=axis, descending=not ascending, stable=True)


def non_zero(x: Tensor) -> Tensor:
    return x.nonzero()


def _overlap(boxes: Tensor) -> Tensor:
    """Intersection over union of all pairs; boxes are (x, y, width, height) around their centre."""
    centre, size = boxes[:, :2], boxes[:, 2:]
    low, high = centre - size / 2, centre + size / 2
    sides = torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)
    shared = sides.clamp(min=0).prod(-1)
    area = size.prod(-1)
    union = area[:, None] + area - shared
    return torch.where(union > 0, shared / union, 0)


def _suppressed(
    boxes: Tensor, scores: Tensor, iou: float, score_threshold: float | None, limit: int, per_class: bool
) -> list[int]:
    """The indices of the remaining boxes, best first. ``scores`` is (boxes, classes)."""
    best, kind = scores.max(-1)
    overlap = _overlap(boxes).double()
    chosen: list[int] = []
    for index in best.argsort(descending=True, stable=True).tolist():
        if len(chosen) == limit:
            break
        if score_threshold is not None and best[index] < score_threshold:
            break
        rivals = [other for other in chosen if not per_class or kind[other] == kind[index]]
        if not rivals or not bool((overlap[index, rivals] > iou).any()):
            chosen.append(index)
    return chosen


def non_maximum_suppression(
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    max_boxes: int,
    score_threshold: float | None = None,
    per_class_suppression: bool = False,
) -> tuple[Tensor, ...]:
    """Greedy suppression; rows up to ``max_boxes`` are filled with zeros, and indices with -1.

    From iOS17 on there is no score threshold, the boxes stand last, and no count is returned.
    """
    modern = score_threshold is None
    if modern:
        # An overlap equal to the threshold is treated as in PyTorch, which compares with the number as
        # written, not with its nearest float32:
        # https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/test/test_torch_ops.py
        iou_threshold = float(str(np.float32(iou_threshold)))
        boxes, scores = boxes.transpose(1, 2), scores.transpose(1, 2)
    batch, classes = scores.shape[0], scores.shape[2]
    out_boxes = torch.zeros(batch, max_boxes, 4)
    out_scores = torch.zeros(batch, max_boxes, classes)
    out_indices = torch.full((batch, max_boxes), -1)
    counts = torch.zeros(batch, dtype=torch.long)
    for row in range(batch):
        chosen = _suppressed(
            boxes[row], scores[row], iou_threshold, score_threshold, max_boxes, per_class_suppression
        )
        counts[row] = len(chosen)
        out_boxes[row, : len(chosen)] = boxes[row, chosen]
        out_scores[row, : len(chosen)] = scores[row, chosen]
        out_indices[row, : len(chosen)] = torch.tensor(chosen, dtype=torch.long)
    if modern:
        return out_boxes.transpose(1, 2), out_scores.transpose(1, 2), out_indices
    return out_boxes, out_scores, out_indices, counts


def classify(probabilities: Tensor, classes: list[Any]) -> tuple[Any, dict[Any, float]]:
    """The label of the largest probability, and all labels with their probabilities."""
    flat = probabilities.flatten()
    return classes[int(flat.argmax())], dict(zip(classes, flat.tolist(), strict=True))


OPERATIONS: dict[str, Callable[..., Any]] = {
    "argsort": argsort,
    "classify": classify,
    "non_maximum_suppression": non_maximum_suppression,
    "non_zero": non_zero,
    "topk": topk,
}
