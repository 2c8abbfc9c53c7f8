"""The result of a fix, with the proof that the model computes the same: data for callers and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from convlint.model.applied import Applied, LeftOut
from convlint.model.findings import Finding, Trial, TrialFailure
from convlint.model.form import Form
from convlint.model.parity import Parity


@dataclass(frozen=True, slots=True)
class Fixed:
    """The result of :func:`convlint.fix`. ``converts`` says whether a trial converted ``program``.

    ``module`` has the original's parameters under the same names; it is the original where nothing had to
    or could be changed. ``wrong`` are the errors that the rules find in ``program``: calls that convert, but
    compute other numbers than PyTorch. ``parity`` is the result of running the converted program, None where
    it was not run. ``max_abs_error`` is None where nothing was compared.

    Where ``left_out`` is not None, module and program are the part of the model before an op whose sizes
    depend on data, and ``converts`` is about that part: it returns ``left_out.outputs``, and the caller has
    to compute ``left_out.calls``. ``proposed`` names changes that need ``unsafe=True``; ``left_out`` is then
    what they would leave out.
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
    form: Form | None = None

    def in_form(self, form: Form | None) -> Fixed:
        """The same for a model of which this form was fixed, said among the notes."""
        return self if form is None else replace(self, form=form, notes=(form.sentence, *self.notes))

    @property
    def ships(self) -> bool:
        """Whether ``program`` converts, whole or in part, and computes the same as far as was checked."""
        differs = self.parity is not None and self.parity.status in ("differs", "overflows")
        loud = differs and self.parity is not None and self.parity.severity == "error"
        return self.converts == "yes" and not self.wrong and not loud

    def __bool__(self) -> bool:
        raise TypeError('a convlint Fixed has no truth value; compare fixed.converts with "yes" or "no"')
