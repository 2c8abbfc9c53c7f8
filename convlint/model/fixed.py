"""The result of a fix, with the proof that the model computes the same: data for callers and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from convlint.model.applied import Applied, EditedCell, LeftOut
from convlint.model.findings import Finding, Trial, TrialFailure
from convlint.model.form import Form
from convlint.model.parity import Parity
from convlint.model.shown import Shown
from convlint.model.verdict import what_differs
from convlint.text import count


@dataclass(frozen=True, slots=True, repr=False)
class Fixed(Shown):
    """The result of :func:`convlint.fix`. ``converts`` says whether a trial converted ``program``.

    ``module`` has the original's parameters under the same names; it is the original where nothing had to
    or could be changed. ``wrong`` are the errors that the rules find in ``program``: calls that convert, but
    compute other numbers than PyTorch. ``parity`` is the result of running the converted program, None where
    it was not run. ``max_abs_error`` is None where nothing was compared.

    Where ``left_out`` is not None, module and program are the part of the model before an op whose sizes
    depend on data, and ``converts`` is about that part: it returns ``left_out.outputs``, and the caller has
    to compute ``left_out.calls``. ``proposed`` names changes that need ``unsafe=True``; ``left_out`` is then
    what they would leave out. ``cells`` are the cells of a notebook that define the model, with the changes
    made in them that a line can say.
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
    cells: tuple[EditedCell, ...] = ()
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

    @property
    def headline(self) -> str:
        """Whether the fixed model converts, and computes the same, in one sentence."""
        changes = count(sum(change.calls for change in self.applied), "change")
        after = "as it is" if self.converted_before and not self.applied else f"after {changes}"
        if self.converts == "yes" and not self.ships:
            wrong = f"{count(len(self.wrong), 'error')} left" if self.wrong else ""
            differs = what_differs(self.parity) if self.parity is not None and not wrong else ""
            return f"Converts {after}, but computes something else than PyTorch: {wrong or differs}."
        if self.converts == "yes" and self.left_out is not None:
            left = count(sum(call.calls for call in self.left_out.calls), "call")
            return f"Converts in part, {after}: {left} of the model are left to you."
        if self.converts == "yes":
            return f"Converts {after}."
        if self.proposed:
            return "Does not convert as a whole; unsafe=True makes the changes that are proposed."
        return f"Does not convert: {count(len(self.remaining), 'refusal')} left after {changes}."

    @property
    def summary(self) -> str:
        """Target and verdict."""
        return f"for {self.target}: {self.headline}"

    def __bool__(self) -> bool:
        raise TypeError('a convlint Fixed has no truth value; compare fixed.converts with "yes" or "no"')
