"""A rule's page on a terminal: headings, paragraphs as wide as the terminal, and code with colours."""

from __future__ import annotations

from typing import ClassVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import CodeBlock, Heading, Markdown
from rich.syntax import Syntax

from convlint.text import visible


class _Left(Heading):
    """A heading at the left margin."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.text


class _Code(CodeBlock):
    """Code two columns in, without empty lines around it."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Syntax(str(self.text).rstrip(), self.lexer_name, theme=self.theme, padding=(0, 2))


class _Page(Markdown):
    elements: ClassVar = {**Markdown.elements, "heading_open": _Left, "fence": _Code}


def render_page(markdown: str, console: Console) -> None:
    """Write a page of Markdown; control characters of foreign rules are spelled out."""
    console.print(_Page(visible(markdown), code_theme="ansi_dark"))
