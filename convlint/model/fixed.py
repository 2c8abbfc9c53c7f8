"""What a fix made of a model, and the proof that it is the same: plain data for callers and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from convlint.model.applied import Applied, LeftOut
from convlint.model.findings import Finding, Trial, TrialFailure
from convlint.model.parity import Parity


@dataclass(frozen=True, slots=True)
class Fixed:
    """What :func:`convlint.fix` made. ``converts`` is what coremltools said of ``program`` in a trial.

    ``module`` has the original's parameters under the same names; it is the original where nothing
    had to change, or nothing could be made. ``wrong`` are the errors that the rules find in
    ``program``, calls that convert and to other numbers than PyTorch's; ``parity`` is what running the
    converted program gave, None where that was not done. ``max_abs_error`` is None where nothing was
    compared.

    Where ``left_out`` is not None, module and program are the part of the model before an op whose sizes
    follow from data, and ``converts`` speaks of that part: it gives ``left_out.outputs``, and what
    ``left_out.calls`` names is left to the caller. ``proposed`` names what was not done for want of
    ``unsafe=True``; ``left_out`` is then what would be left out.
    """

    module: Any
    program: Any
    converts: Literal["yes", "no"]
    applied: tuple[Applied, ...] = ()
    remaining: tuple[TrialFailure, ...] = ()
    wrong: tuple[Finding, ...] = ()
    parity: Parity | None = None
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    checked: tuple[str, ...] = ()
    rolled_back: tuple[str, ...] = ()
    converted_before: bool = False
    target: str = ""
    trial: Trial | None = None
    notes: tuple[str, ...] = ()
    proposed: tuple[Applied, ...] = ()
    left_out: LeftOut | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def ships(self) -> bool:
        """Whether ``program`` converts, whole or in part, and as far as was looked to the same numbers."""
        differs = self.parity is not None and self.parity.status in ("differs", "overflows")
        loud = differs and self.parity is not None and self.parity.severity == "error"
        return self.converts == "yes" and not self.wrong and not loud

    def __bool__(self) -> bool:
        raise TypeError('a convlint Fixed has no truth value; compare fixed.converts with "yes" or "no"')
