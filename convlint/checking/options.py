"""How a model is checked: plain values, decided before torch is imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from convlint.capture.limits import DEFAULT_TIMEOUT
from convlint.coreml.precision import PRECISIONS
from convlint.errors import UsageError
from convlint.model import FrontendChoice, Severity, TrialLevel
from convlint.model.parity import Precision

if TYPE_CHECKING:
    from convlint.compression.settings import Setting
    from convlint.coreml.precision import Precision as TrialPrecision
    from convlint.interface.outputs import OutputSpec


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

    def __post_init__(self) -> None:
        """Refuse a word that is unknown before any work: types hold no caller of the Python functions."""
        for name, words in _WORDS.items():
            value = getattr(self, name)
            if value not in words:
                known = ", ".join(word for word in words if word is not None)
                raise UsageError(f"{name} {value!r} is unknown; it is one of {known}.")


_WORDS: dict[str, tuple[str | None, ...]] = {
    "frontend": get_args(FrontendChoice),
    "trial": (*get_args(TrialLevel), None),
    "parity": (*get_args(Precision), None),
    "precision": (*PRECISIONS, None),
}
