"""A small network for handwritten digits, as somebody might write it who has never converted a model.

Three of its lines are beyond coremltools, and nothing but a conversion would say so.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class DigitNet(nn.Module):
    """Pixels and the strength of their edges through two convolutions; ten scores."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, width, 3, padding=1)
        self.body = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.gate = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.head = nn.Linear(2 * width * 4 * 4, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        steps = F.pad(image, (0, 1))
        edges = torch.diff(steps, dim=-1)
        x = torch.relu(self.stem(torch.cat((image, edges), dim=1)))
        y, gate = self.body(x), self.gate(x)
        y = torch.addcmul(y, gate, gate, value=0.5)
        small = (y > -1) & (y < 1)
        y = torch.where(small, y, torch.tanh(y))
        return self.head(y.flatten(1))
