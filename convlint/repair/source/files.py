"""Files of Python as they were read, and their lines and offsets."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from convlint.cells import is_cell, text_of_cell


@dataclass(frozen=True)
class SourceFile:
    """A file of Python as it was read: its bytes, and what they say in the encoding that it declares.

    Line ends, a byte order mark and the encoding stay: ``encoded`` of the same text gives the same bytes.
    """

    data: bytes = field(repr=False)

    @classmethod
    def read(cls, path: str) -> SourceFile:
        """The file, or the cell of that name; a ``ValueError`` where it is in no encoding that it names."""
        if is_cell(path):
            return cls(text_of_cell(path).encode())
        found = cls(Path(path).read_bytes())
        if found.encoded(found.text) != found.data:
            raise ValueError("its encoding does not bring its bytes back")
        return found

    @cached_property
    def encoding(self) -> str:
        try:
            return tokenize.detect_encoding(io.BytesIO(self.data).readline)[0]
        except SyntaxError as error:
            raise ValueError(str(error)) from error

    @cached_property
    def text(self) -> str:
        return self.data.decode(self.encoding)

    def encoded(self, text: str) -> bytes:
        """The bytes of another text in the same encoding (``utf-8-sig`` writes its mark again)."""
        return text.encode(self.encoding)


_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def lines_of(text: str, *, ends: bool = False) -> list[str]:
    """The lines as Python counts them; ``str.splitlines`` knows more ends, form feeds among them."""
    lines = [line for line in _LINE.findall(text) if line]
    return lines if ends else [line.rstrip("\r\n") for line in lines]


def span_of(text: str, node: ast.expr | ast.stmt) -> tuple[int, int]:
    """Offsets of a node in the text; the columns of ast count bytes."""
    lines = lines_of(text, ends=True)

    def offset(line: int, column: int) -> int:
        before = sum(len(one) for one in lines[: line - 1])
        return before + len(lines[line - 1].encode()[:column].decode())

    return offset(node.lineno, node.col_offset), offset(node.end_lineno or 0, node.end_col_offset or 0)
