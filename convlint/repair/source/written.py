"""What becomes of a fix in the user's project: the edits, the helper file, and what is left."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field, replace

from convlint.model import Site
from convlint.repair.source.edit import Edit, Refusal, apply_edits, diff_of
from convlint.repair.source.files import lines_of
from convlint.repair.source.helper_file import Helpers
from convlint.repair.source.helper_place import HelperPlace
from convlint.text import shown_path


@dataclass(frozen=True, slots=True)
class Context:
    """The lines that the context of the helper file covers, and whether that was proved."""

    sites: tuple[Site, ...]
    problem: str = ""


@dataclass(slots=True)
class SourceChanges:
    """The edits that proved themselves, the lines without one, and the helper file that both need."""

    edits: list[Edit] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    place: HelperPlace | None = None
    helpers: Helpers = field(default_factory=Helpers)
    text: str = ""
    before: bytes | None = None
    context: Context | None = None
    said: dict[Edit, tuple[Site, ...]] = field(default_factory=dict)

    @property
    def helper_edits(self) -> list[Edit]:
        """The edits that call a helper."""
        return [edit for edit in self.edits if edit.calls_helper]

    @property
    def diff(self) -> str:
        """All edits, and the helper file, as one unified diff."""
        return diff_of(self.edits) + self._new_file()

    def write(self) -> tuple[list[str], list[Refusal]]:
        """Write the helper file, then the edits: the paths that were written, and what was not."""
        edits = self.edits
        unwritten: list[Refusal] = []
        written: list[str] = []
        if self.place is not None and self.text and self.text.encode() != self.before:
            problem = self.place.write(self.text.encode(), self.before)
            if problem:
                unwritten = [Refusal(Site(edit.path, edit.line), problem) for edit in self.helper_edits]
                edits = [edit for edit in edits if not edit.calls_helper]
                if self.context is not None:
                    self.context = replace(self.context, problem=problem)
            else:
                written = [self.place.path]
        files, refused = apply_edits(edits)
        return [*files, *written], [*unwritten, *refused]

    def _new_file(self) -> str:
        if not self.text or self.place is None or self.text.encode() == self.before:
            return ""
        shown = shown_path(self.place.path)
        old = (self.before or b"").decode()
        head = (f"a/{shown}" if self.before is not None else "/dev/null", f"b/{shown}")
        return "".join(difflib.unified_diff(lines_of(old, ends=True), lines_of(self.text, ends=True), *head))
