"""A small network with three calls that coremltools 9.0 refuses: the README shows its report."""

import torch
from torch import nn


class EdgeNet(nn.Module):
    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.across = nn.Conv2d(3, channels, 3, padding=1)
        self.down = nn.Conv2d(3, channels, 3, padding=1)
        self.head = nn.Linear(channels, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        dx, dy = self.across(image), self.down(image)
        edges = torch.hypot(dx, dy)
        edges = torch.lerp(edges, dx, 0.3)
        steps = torch.diff(edges, dim=-1)
        return self.head(steps.mean((2, 3)))
