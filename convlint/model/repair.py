"""The changes with which a refused model would convert, as a check finds them."""

from __future__ import annotations

from dataclasses import dataclass

from convlint.installed import is_library
from convlint.model.applied import Applied
from convlint.model.findings import TrialFailure
from convlint.model.graph import Site
from convlint.text import count


@dataclass(frozen=True, slots=True)
class Repair:
    """The changes that a search found for a program that coremltools refuses, and what it says then.

    ``converts`` says whether a trial converted the changed program; ``remaining`` is what it refused.
    Numbers were not compared: ``convlint fix`` does that.
    """

    converts: bool
    applied: tuple[Applied, ...] = ()
    remaining: tuple[TrialFailure, ...] = ()

    @property
    def sites(self) -> tuple[Site, ...]:
        """The lines that are changed, of the project where a call of it leads to one in a library."""
        places = (change.caller or change.site for change in self.applied)
        return tuple(dict.fromkeys(site for site in places if site is not None))

    @property
    def helping(self) -> Repair:
        """The changes without those whose line is refused all the same."""
        left = {failure.site for failure in self.remaining} - {None}
        kept = tuple(change for change in self.applied if change.site not in left)
        return Repair(self.converts, kept, self.remaining)

    @property
    def in_libraries(self) -> bool:
        """Whether no line of it is one that can be edited."""
        return all(is_library(site.path) for site in self.sites)

    @property
    def extent(self) -> str:
        """``"3 changes at 2 lines"``."""
        where = f" at {count(len(self.sites), 'line')}" if self.sites else ""
        return f"{count(len(self.applied), 'change')}{where}"
