"""Equal values in another order are no wrong conversion; an order that is wrong is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import convlint
from convlint.numerics.reference import Call
from convlint.numerics.reordering import is_reordered
from convlint.usercode.sites import NOWHERE


class Gathered(nn.Module):
    """As a detector takes its best boxes: by scores, many of which are equal."""

    def forward(self, x: Tensor) -> Tensor:
        _, best = torch.round(x[:, :, 0]).topk(5, dim=1)
        return x.gather(1, best[:, :, None].expand(-1, -1, 4))


class Sorted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.round(x[:, :, 0]).sort(dim=1, descending=True)[1]


@pytest.mark.parametrize(("model", "op"), [(Gathered(), "topk"), (Sorted(), "sort")])
def test_equal_values_may_come_in_another_order(model: nn.Module, op: str) -> None:
    torch.manual_seed(0)
    parity = convlint.parity(model, (torch.randn(1, 64, 4),))
    assert parity.status == "equal"
    (remark,) = parity.remarks
    assert f"aten.{op}.default at test_reordering.py:" in remark
    assert remark.endswith(
        "puts values that are equal, but for rounding, into another order: compared in PyTorch's"
    )


def call_of(target: object, name: str, values: Tensor, *rest: object) -> Call:
    result = target(values, *rest)  # type: ignore[operator]
    whole = result if isinstance(result, tuple) else (result,)
    return Call(
        target, name, NOWHERE, "", (values, *rest), {}, frozenset(), {"r": [r.numpy() for r in whole]}
    )


VALUES = torch.tensor([[3.0, 1.0, 3.0 + 1e-7, 2.0]])
ATEN = torch.ops.aten


@pytest.mark.parametrize(
    ("call", "indices", "excused"),
    [
        (call_of(ATEN.topk.default, "aten.topk.default", VALUES, 2), [[2, 0]], True),
        (call_of(ATEN.topk.default, "aten.topk.default", VALUES, 2), [[0, 2]], True),
        (call_of(ATEN.topk.default, "aten.topk.default", VALUES, 2), [[0, 3]], False),
        (call_of(ATEN.topk.default, "aten.topk.default", VALUES, 2), [[0, 9]], False),
        (call_of(ATEN.argmax.default, "aten.argmax.default", VALUES, 1), [2], True),
        (call_of(ATEN.argmax.default, "aten.argmax.default", VALUES, 1), [3], False),
        (call_of(ATEN.argmax.default, "aten.argmax.default", VALUES), 2, True),
        (call_of(ATEN.max.dim, "aten.max.dim", VALUES, 1), [2], True),
        (call_of(ATEN.max.dim, "aten.max.dim", VALUES, 1, True), [[1]], False),
        (call_of(ATEN.argsort.default, "aten.argsort.default", VALUES, 1), [[1, 3, 0, 2]], True),
        (call_of(ATEN.argsort.default, "aten.argsort.default", VALUES, 1), [[3, 1, 0, 2]], False),
    ],
)
def test_only_places_of_the_same_values_are_excused(call: Call, indices: object, excused: bool) -> None:
    assert is_reordered(call, np.asarray(indices), 1e-5) is excused
