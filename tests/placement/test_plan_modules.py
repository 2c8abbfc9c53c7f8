"""The module and the line of each planned operation, also of those that passes of coremltools have made."""

from __future__ import annotations

from itertools import groupby

import torch
from torch import nn

import convlint


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(32)
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)
        self.linear = nn.Linear(32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        y, _ = self.attention(y, y, y, need_weights=False)
        return x + self.linear(y)


def test_a_chain_of_equal_blocks_comes_out_in_order() -> None:
    plan = convlint.plan(nn.Sequential(*[Block() for _ in range(6)]), torch.rand(1, 16, 32))
    blocks = [op.module.split(".")[0] for op in plan.ops]
    assert [block for block, _ in groupby(blocks)] == list("012345")
    # Each block has the same operations, moved transposes among them, each from the same line.
    kinds = [
        [(op.kind, str(op.site)) for op in ops] for _, ops in groupby(plan.ops, lambda op: op.module[:1])
    ]
    assert all(sorted(each) == sorted(kinds[1]) for each in kinds[1:-1])
    assert sum(kind == "transpose" for kind, _ in kinds[1]) > 3
