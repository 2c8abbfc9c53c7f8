"""What ``convlint fix`` reports: a fix, and its effect on the source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlint.model import Site
    from convlint.model.fixed import Fixed
    from convlint.repair.source.edit import Refusal
    from convlint.repair.source.written import Context


@dataclass(frozen=True, slots=True)
class Checked:
    """The result of ``convlint check`` on the files on disk after the fix."""

    exit_code: int
    headline: str


@dataclass(frozen=True, slots=True)
class Emitted:
    """The script that was asked for, and why it is not there; ``problem`` is empty where it is.

    ``written_out``: it holds the program, since no line and no context makes all changes.
    """

    path: str
    problem: str = ""
    written_out: bool = False


@dataclass(frozen=True, slots=True)
class FixReport:
    """A fix, and its effect on the source.

    ``edits`` are the proved edits, ``written`` the files that were written, ``refusals`` the places without
    an edit. ``checked`` is None where no edit was written. ``handed`` are those of ``edits`` that call a
    function of the helper file ``helper_file``; ``context`` names the lines that its context covers. ``said``
    are the lines whose calls are changed by what was written: those of a layer are not where it is made.
    """

    name: str
    fixed: Fixed
    diff: str = ""
    edits: tuple[Site, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    written: tuple[str, ...] = ()
    checked: Checked | None = None
    handed: tuple[Site, ...] = ()
    helper_file: str = ""
    context: Context | None = None
    emitted: Emitted | None = None
    said: tuple[Site, ...] = ()

    @property
    def covered(self) -> tuple[Site, ...]:
        """The places that the context of the helper file is proved to cover."""
        return self.context.sites if self.context is not None and not self.context.problem else ()

    @property
    def in_source(self) -> tuple[Site, ...]:
        """The places that are fixed in the files on disk."""
        return tuple(site for site in self.edits if site.path in self.written)

    @property
    def in_memory(self) -> tuple[Site, ...]:
        """The places that are fixed in the module and the program only, and are refused no more."""
        refused = [failure.site for failure in self.fixed.remaining if failure.site is not None]
        done = {(site.path, site.line) for site in (*self.in_source, *self.said, *refused)}
        places = (change.caller or change.site for change in self.fixed.applied)
        sites = {(site.path, site.line): site for site in places if site is not None}
        return tuple(site for place, site in sites.items() if place not in done)

    @property
    def exit_code(self) -> int:
        """The exit code of ``check`` on the written files, else 0 where the fixed model ships.

        A script that was asked for and could not be made is a failure.
        """
        if self.emitted is not None:
            return 1 if self.emitted.problem else 0
        if self.checked is not None:
            return self.checked.exit_code
        return 0 if self.fixed.ships else 1
