"""The nouns of compression."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.model.parity import Errors


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one module. ``errors`` is what compressing this layer alone does to the outputs."""

    name: str
    bytes_before: int
    bytes_after: int
    errors: Errors | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One setting. ``needs`` is the oldest target that reads the result, ``detail`` why there is none.

    ``layers`` are the compressed ones, those that hurt the outputs most first.
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
    """What each setting makes of the model at one precision. ``plain`` is the model without compression.

    ``checkpoint`` names the file of the weights, empty where they are random: then sizes and targets are
    those of the trained model, and errors say little.
    """

    target: str
    precision: str
    checkpoint: str
    plain: Row
    rows: tuple[Row, ...] = ()
    seconds: float = 0.0
