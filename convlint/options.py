"""How a model is checked: plain values, decided before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convlint.model import FrontendChoice, Severity, TrialLevel

if TYPE_CHECKING:
    from convlint.compression.settings import Setting
    from convlint.outputs import OutputSpec
    from convlint.parity.result import Precision
    from convlint.precision import Precision as TrialPrecision

DEFAULT_TIMEOUT = 120.0
REAL_WEIGHTS_ROOM = 4 << 30
"""Bytes of real weights that a fallback may allocate; more would not fit beside the conversion."""
SECOND_DOOR_ROOM = 2 << 30
"""Bytes of weights up to which ``auto`` traces the model for the second door."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to check. ``target`` and ``frontend`` as in coremltools; ``trial`` None for the rules alone."""

    target: str = "iOS17"
    frontend: FrontendChoice = "auto"
    trial: TrialLevel | None = "passes"
    timeout: float = DEFAULT_TIMEOUT
    output: str | None = None
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    rule_paths: tuple[str, ...] = ()
    coremltools: str | None = None
    why: str | None = None
    fail_on: Severity = "error"
    project: str | None = None
    parity: Precision | None = None
    precision: TrialPrecision | None = None
    compress: tuple[Setting, ...] = ()
    checkpoint: str = ""
    outputs: tuple[OutputSpec, ...] = ()
