"""Compression of a converted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def quantize_activations(model: Any, config: Any, ranges: Mapping[str, Mapping[str, float]]) -> Any:
    """``linear_quantize_activations`` with ranges that were found elsewhere, as only macOS can predict."""
    from coremltools.optimize.coreml import _post_training_quantization as quantization

    original = quantization._get_activation_calibration_stats
    quantization._get_activation_calibration_stats = lambda *args: {k: dict(v) for k, v in ranges.items()}
    try:
        return quantization.linear_quantize_activations(model, config, [])
    finally:
        quantization._get_activation_calibration_stats = original
