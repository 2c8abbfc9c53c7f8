"""A page of hanging paragraphs on a rich console.

rich wraps a text back to the left margin, and a report needs its second lines under its first.
Where the console is no terminal nothing is wrapped, so that a pipe sees each message as one line.
"""

from __future__ import annotations

import textwrap
from itertools import accumulate
from typing import TYPE_CHECKING

from rich.text import Text

from convlint.text import visible

if TYPE_CHECKING:
    from rich.console import Console

Span = str | tuple[str, str]
"""Some text, or some text with its style."""

_ASCII = str.maketrans({"│": "|", "→": "->", "✓": "ok", "✗": "x", "·": "-", "×": "x", "…": "..."})


class Page:
    """Writes paragraphs to ``console``. All text is foreign text: no markup, control characters shown."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._width = console.width if console.is_terminal else None
        self._ascii = not console.encoding.lower().startswith("utf")

    def put(self, *spans: Span, indent: int = 0, hang: int = 0) -> None:
        """One paragraph, ``indent`` from the margin, its further lines ``hang`` deeper."""
        text = Text()
        for span in spans:
            words, style = (span, "") if isinstance(span, str) else span
            words = visible(words).expandtabs(4)
            text.append(words.translate(_ASCII) if self._ascii else words, style)
        further = False
        for paragraph in text.split("\n", allow_blank=True):
            for line in self._wrap(paragraph, indent, hang):
                margin = " " * (indent + hang if further else indent)
                line.rstrip()
                self._console.print(Text(margin) + line, soft_wrap=True, highlight=False)
                further = True

    def gap(self) -> None:
        """An empty line."""
        self._console.print()

    def _wrap(self, text: Text, indent: int, hang: int) -> list[Text]:
        if self._width is None:
            return [text]
        pieces = textwrap.wrap(
            text.plain,
            max(self._width - indent, hang + 12),
            subsequent_indent=" " * hang,
            drop_whitespace=False,
            replace_whitespace=False,
            break_on_hyphens=False,
        )
        lengths = [len(piece) - (hang if number else 0) for number, piece in enumerate(pieces)]
        lines = list(text.divide(list(accumulate(lengths))[:-1])) or [text]
        return [lines[0], *(_without_leading_space(line) for line in lines[1:])]


def _without_leading_space(line: Text) -> Text:
    return line[len(line.plain) - len(line.plain.lstrip(" ")) :]
