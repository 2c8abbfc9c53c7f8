"""How foreign text is shown: paths, messages and source lines that the user or a library wrote."""

from __future__ import annotations

import os
import unicodedata


def shown_path(path: str) -> str:
    """The path relative to the working directory when it lies inside it, else as it is; to be read alone."""
    try:
        inside = os.path.relpath(path)
    except (ValueError, OSError):  # another drive, or a working directory that was deleted
        return named(path)
    return named(path if inside == os.pardir or inside.startswith(os.pardir + os.sep) else inside)


def named(text: str) -> str:
    """A name in one line, whatever it holds: a line that it began could be a command to who reads it."""
    if text.isascii() and text.isprintable():
        return text
    return visible(text).replace("\n", "\u240a").replace("\t", "\u2409")


def significant(number: float, digits: int) -> str:
    """A number rounded to so many digits that count, never with an exponent: ``"180"`` for 183.2 and 2."""
    from decimal import Decimal  # here alone: a warm check has no use for it

    return format(Decimal(f"{number:.{digits}g}"), "f")


def visible(text: str) -> str:
    """``text`` with every control character spelled out, so that it cannot steer a terminal.

    Newlines and tabs stay. Marks that reorder text and halves of surrogate pairs are spelled out
    too: what is shown is what is there, and can be encoded.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(letter if _harmless(letter) else _spelled_out(letter) for letter in text)


def _harmless(letter: str) -> bool:
    if letter in "\n\t":
        return True
    code = ord(letter)
    is_no_letter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF  # for ever, and none in XML
    return not is_no_letter and unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _spelled_out(letter: str) -> str:
    code = ord(letter)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def single_line(text: object, limit: int | None = None) -> str:
    """The text of an error, say, as a library wrote it but in one line: its first ``limit`` letters.

    This is for what is stored and compared; what is shown goes through :func:`one_line`.
    """
    return " ".join(str(text).split())[:limit]


def one_line(text: str, limit: int = 400) -> str:
    """``text`` as one visible line, cut with an ellipsis beyond ``limit`` letters."""
    line = visible(single_line(text))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "\u2026"


def count(number: int, noun: str, plural: str = "") -> str:
    """``count(2, "error") == "2 errors"``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
