"""The nouns of compression."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.model.parity import Errors


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one module. ``errors`` are those of the outputs with only this layer compressed."""

    name: str
    bytes_before: int
    bytes_after: int
    errors: Errors | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One setting. ``needs`` is the oldest target that reads the result, ``detail`` why there is no result.

    ``layers`` are the compressed layers, the most harmful first.
    """

    setting: str
    needs: str
    bytes: int = 0
    errors: Errors | None = None
    layers: tuple[Layer, ...] = ()
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Compression:
    """The results of all settings at one precision. ``plain`` is the model without compression.

    ``checkpoint`` names the file of the weights. It is empty for random weights: sizes and targets are then
    those of the trained model, but errors say little.
    """

    target: str
    precision: str
    checkpoint: str
    plain: Row
    rows: tuple[Row, ...] = ()
    seconds: float = 0.0
