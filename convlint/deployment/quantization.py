"""A fake quantization with the scales that it ended with, as Core ML can compute it."""

from __future__ import annotations

from typing import Any

import torch


class FixedFakeQuantize(torch.nn.Module):
    """Rounds to the grid of a fake quantization whose scales no longer move.

    The formula is that of ``torch.fake_quantize_per_channel_affine``, in plain operations: coremltools has no
    converter of that name, and a quantized weight folds to a constant.
    https://github.com/pytorch/pytorch/blob/v2.7.0/aten/src/ATen/native/quantized/FakeQuantPerTensorAffine.cpp
    """

    inverse: torch.Tensor
    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self, fake: Any) -> None:
        super().__init__()
        self.axis = int(fake.ch_axis) if fake.is_per_channel else None
        self.lowest, self.highest = (
            float(fake.activation_post_process.quant_min),
            float(fake.activation_post_process.quant_max),
        )
        scale = fake.scale.detach().clone()
        self.register_buffer("scale", scale)
        self.register_buffer("inverse", 1.0 / scale)
        self.register_buffer("zero_point", fake.zero_point.detach().to(scale.dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = [1] * x.dim()
        if self.axis is not None:
            shape[self.axis] = -1
        scale, inverse, zero = (each.reshape(shape) for each in (self.scale, self.inverse, self.zero_point))
        steps = torch.round(x * inverse + zero).clamp(self.lowest, self.highest)
        return (steps - zero) * scale


def fixed(fake: Any) -> torch.nn.Module:
    """What a fake quantization computes once nothing is observed any more. It has to have values."""
    if not bool(fake.fake_quant_enabled[0]):
        return torch.nn.Identity()
    return FixedFakeQuantize(fake)


def without_observing(module: torch.nn.Module) -> torch.nn.Module:
    """``module`` with its fake quantizations at the scales that they have, in place."""
    from torch.ao.quantization import disable_observer

    return module.apply(disable_observer)
