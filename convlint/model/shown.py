"""What results have in common where Python shows them: one line at a prompt, a card in a notebook."""

from __future__ import annotations

from os import PathLike

from convlint.renderers import rendered
from convlint.text import one_line

LONGEST = 300
"""Letters of a representation. A report in full is a page."""


class Shown:
    """A result with a ``summary``, one line that says what came out."""

    __slots__ = ()

    @property
    def summary(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {one_line(self.summary, LONGEST)}>"

    def _repr_html_(self) -> str:
        """The card that notebooks show: https://ipython.readthedocs.io/en/stable/config/integrating.html"""
        return str(rendered("card", self))


class Paged(Shown):
    """A result that can be written as a page with a picture."""

    __slots__ = ()

    def html(self, path: str | PathLike[str]) -> None:
        """Write the page of ``--report page.html`` to ``path``: a new file, or one that convlint wrote.

        Raises :class:`~convlint.errors.UsageError` where something else is there.
        """
        rendered("page", self, path)
