"""A page of hanging paragraphs, on a rich console or straight into a stream.

rich wraps text back to the left margin, but a report needs its second lines under its first. A stream
that is not a terminal gets each message as one line without colours, and rich is not even imported:
that would take longer than reading a cached result.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, TextIO

from convlint.output.hyperlinks import follows_links, link_to
from convlint.text import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

Span = str | tuple[str, str]
"""Some text, or some text with its style."""

_ASCII = str.maketrans({"│": "|", "→": "->", "✓": "ok", "✗": "x", "·": "-", "×": "x", "…": "..."})


class Plain:
    """A stream that is not a terminal."""

    def __init__(self, file: TextIO) -> None:
        self.file = file

    @property
    def encoding(self) -> str:
        return getattr(self.file, "encoding", None) or "utf-8"


class Page:
    """Writes paragraphs. All text counts as foreign: no markup, and control characters are spelled out."""

    def __init__(self, console: Console | Plain) -> None:
        self._plain = console if isinstance(console, Plain) else None
        self._console = None if isinstance(console, Plain) else console
        self._width = self._console.width if self._console and self._console.is_terminal else None
        self._ascii = not console.encoding.lower().startswith("utf")
        self._links = self._width is not None and follows_links()

    def put(self, *spans: Span, indent: int = 0, hang: int = 0, code: bool = False) -> None:
        """Write one paragraph, its first line at ``indent``, others ``hang`` deeper; ``code`` never wraps."""
        pieces = [(span, "") if isinstance(span, str) else span for span in spans]
        pieces = [(self._shown(words), style) for words, style in pieces]
        if self._plain is not None:
            lines = "".join(words for words, _ in pieces).split("\n")
            for number, line in enumerate(lines):
                margin = " " * (indent + hang if number else indent)
                self._plain.file.write(f"{margin}{line}".rstrip() + "\n" if line.strip() else f"{margin}\n")
            return
        self._put_rich(pieces, indent, hang, code)

    def link(self, style: str, path: str, line: int) -> str:
        """``style`` with a link to a line of a file, where the terminal supports links."""
        return f"{style} link {link_to(path, line)}" if self._links else style

    def gap(self) -> None:
        """An empty line."""
        if self._plain is not None:
            self._plain.file.write("\n")
        elif self._console is not None:
            self._console.print()

    def _shown(self, words: str) -> str:
        words = visible(words).expandtabs(4)
        return words.translate(_ASCII) if self._ascii else words

    def _put_rich(self, pieces: list[tuple[str, str]], indent: int, hang: int, code: bool) -> None:
        from rich.text import Text

        assert self._console is not None
        text = Text()
        for words, style in pieces:
            text.append(words, style)
        further = False
        for paragraph in text.split("\n", allow_blank=True):
            for line in [paragraph] if code else self._wrap(paragraph, indent, hang):
                margin = " " * (indent + hang if further else indent)
                line.rstrip()
                self._console.print(Text(margin) + line, soft_wrap=True, highlight=False)
                further = True

    def _wrap(self, text: Text, indent: int, hang: int) -> list[Text]:
        if self._width is None:
            return [text]
        import textwrap

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
