"""The result of a run over several models: plain data for the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from convlint.errors import ConvlintError
from convlint.model.findings import IgnoreComment
from convlint.model.report import Report

if TYPE_CHECKING:
    from convlint.model.placement import Plan


@dataclass(frozen=True, slots=True)
class Outcome:
    """One model of a run: its report, or the error in its place.

    ``root`` is the folder that a path in the spec starts from, None for the working directory.
    ``kept`` says that the report came from the cache. ``plan`` says where the model would run, where an
    output asked for that.
    """

    model: str
    spec: str
    root: str | None = None
    report: Report | None = None
    error: ConvlintError | None = None
    kept: bool = False
    plan: Plan | None = None

    @property
    def exit_code(self) -> int:
        if self.report is not None:
            return self.report.exit_code
        return self.error.exit_code if self.error is not None else 0


@dataclass(frozen=True, slots=True)
class Run:
    """All outcomes of one command. ``base`` is the folder that the paths of its outputs start from.

    ``several`` says that the command could name several models, even where it came to one.
    """

    outcomes: tuple[Outcome, ...]
    base: str
    several: bool = False
    unused_ignores: tuple[IgnoreComment, ...] = ()
    stale: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The worst exit code of all; stale entries of a baseline count as findings."""
        return max([outcome.exit_code for outcome in self.outcomes] + [int(bool(self.stale))])
