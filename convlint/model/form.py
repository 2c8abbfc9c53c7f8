"""The form of a model that was judged: as it is trained, or as it is shipped. The words stand here alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from convlint.model.plain import plain
from convlint.text import count

Kind = Literal[
    "switch",
    "adapter",
    "weight-norm",
    "spectral-norm",
    "parametrization",
    "pruning",
    "observer",
    "fake-quantization",
    "wrapper",
    "checkpointing",
    "lightning",
]
"""What a step towards the deployed form is about."""

SAME_PROGRAM: tuple[Kind, ...] = ("wrapper", "checkpointing", "lightning")
"""Kinds that belong to training and leave nothing in a program either way."""


@dataclass(frozen=True, slots=True)
class Step:
    """One convention that the model follows.

    ``how`` names the class and what is called on it, ``number`` counts the modules that it changed.
    """

    kind: Kind
    how: str
    number: int

    @property
    def words(self) -> str:
        """``21 blocks reparameterized (MobileOneBlock.reparameterize)``."""
        number, how = self.number, self.how
        return {
            "switch": f"{count(number, 'block')} reparameterized ({how})",
            "adapter": f"{count(number, 'adapter')} merged ({how})",
            "weight-norm": f"{count(number, 'weight norm')} folded ({how})",
            "spectral-norm": f"{count(number, 'spectral norm')} folded ({how})",
            "parametrization": f"{count(number, 'parametrization')} folded ({how})",
            "pruning": f"{count(number, 'pruned weight')} made permanent ({how})",
            "observer": f"{count(number, 'observer')} taken out ({how})",
            "fake-quantization": f"{count(number, 'fake quantization')} with fixed scales ({how})",
            "wrapper": f"without {how}",
            "checkpointing": "without gradient checkpointing",
            "lightning": "the forward of a Lightning module, without its training steps",
        }[self.kind]


@dataclass(frozen=True, slots=True)
class Kept:
    """A convention that the model seems to follow and that was left alone, with the reason."""

    kind: Kind
    how: str
    why: str


@dataclass(frozen=True, slots=True)
class Form:
    """Which form of a model was judged, for a model that has more than one.

    ``steps`` are what the deployed form takes; ``deployed`` says whether they were taken. ``error`` is the
    largest difference between the outputs of both forms, relative to the largest value; None where they were
    not compared, and ``uncompared`` says why. ``kept`` are steps that were tried and taken back. ``dropped``
    counts outputs that the deployed form no longer gives.
    """

    deployed: bool
    steps: tuple[Step, ...] = ()
    kept: tuple[Kept, ...] = ()
    error: float | None = None
    uncompared: str = ""
    dropped: int = 0

    @property
    def changes_program(self) -> bool:
        """Whether the other form would be another program."""
        return any(step.kind not in SAME_PROGRAM for step in self.steps)

    @property
    def sentence(self) -> str:
        """The one sentence that every report has about the form."""
        steps = "; ".join(step.words for step in self.steps)
        told = []
        if not self.deployed:
            told.append("Judged as trained, as asked" + (f"; the deployed form: {steps}" if steps else ""))
        elif steps:
            told.append(f"Judged in its deployed form: {steps}")
            if self.changes_program:
                told.append("--as-trained for the other")
                if self.dropped:
                    told.append(f"{count(self.dropped, 'output')} of training left out")
                if self.uncompared:
                    told.append(f"the two were not compared: {self.uncompared}")
        if self.kept:
            kept = ", ".join(f"{each.how} ({each.why})" for each in self.kept)
            told.append(f"left as trained: {kept}" if told else f"Judged as trained: {kept}")
        return "; ".join(told) + "."


def form_to_dict(form: Form | None) -> dict[str, Any] | None:
    """Which form was judged as plain JSON types, with the sentence; None for a model that has only one."""
    return None if form is None else {"sentence": form.sentence, **plain(form)}
