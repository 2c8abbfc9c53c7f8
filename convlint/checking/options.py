"""How a model is checked: plain values, decided before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convlint.capture.limits import DEFAULT_TIMEOUT
from convlint.model import FrontendChoice, Severity, TrialLevel

if TYPE_CHECKING:
    from convlint.compression.settings import Setting
    from convlint.coreml.precision import Precision as TrialPrecision
    from convlint.interface.outputs import OutputSpec
    from convlint.model.parity import Precision


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
