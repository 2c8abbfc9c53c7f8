"""A layer that no change makes convertible: Core ML has no eigenvalues. The page about reports shows it."""

import torch
from torch import nn


class Whitening(nn.Module):
    """Makes the channels of ``(batch, channels, height, width)`` uncorrelated."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, channels, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        features = self.embed(image).flatten(2)
        size = torch.hypot(features, torch.ones_like(features))
        covariance = size @ size.transpose(1, 2)
        values, vectors = torch.linalg.eigh(covariance)
        root = vectors @ torch.diag_embed(values.rsqrt()) @ vectors.transpose(1, 2)
        return root @ features
