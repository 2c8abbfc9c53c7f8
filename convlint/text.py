"""Shows foreign text safely: paths, messages and source lines of the user or a library."""

from __future__ import annotations

import os
import unicodedata

from convlint.cells import name_of_cell


def shown_path(path: str) -> str:
    """The path for messages, relative to the working directory where it lies inside; the name of a cell."""
    if cell := name_of_cell(path):
        return cell
    try:
        inside = os.path.relpath(path)
    except (ValueError, OSError):  # another drive, or a working directory that was deleted
        return named(path)
    return named(path if inside == os.pardir or inside.startswith(os.pardir + os.sep) else inside)


def package_path(path: str) -> str:
    """The path for messages; that of a library starts at its package."""
    shown = shown_path(path)
    for folder in ("site-packages", "dist-packages"):
        shown = shown.rpartition(f"{os.sep}{folder}{os.sep}")[2]
    return shown


def named(text: str) -> str:
    """A name as one line: a program that reads the output could take a second line for a command."""
    if text.isascii() and text.isprintable():
        return text
    return visible(text).replace("\n", "\u240a").replace("\t", "\u2409")


def significant(number: float, digits: int) -> str:
    """A number rounded to ``digits`` significant digits, without an exponent: ``"180"`` for 183.2 and 2."""
    from decimal import Decimal  # imported here, because a cached check does not need it

    return format(Decimal(f"{number:.{digits}g}"), "f")


def quantity(number: float) -> str:
    """A large number in three digits: ``"28.3 M"``."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:  # what rounds up to the next letter has it
            return f"{number / size:.3g} {letter}"
    return f"{number:g}"


def visible(text: str) -> str:
    """``text`` with every control character spelled out, so that it cannot steer a terminal.

    Newlines and tabs stay. Marks that reorder text and halves of surrogate pairs are spelled out too, so
    that the shown text is the real one, and can be encoded.
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
    """The first ``limit`` letters of a text, such as an error message, in one line.

    Use this for text that is stored and compared, and :func:`one_line` for text that is shown.
    """
    return " ".join(str(text).split())[:limit]


def one_line(text: str, limit: int = 400) -> str:
    """``text`` as one visible line, cut with an ellipsis beyond ``limit`` letters."""
    line = visible(single_line(text))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "\u2026"


def count(number: int, noun: str, plural: str = "") -> str:
    """``count(2, "error") == "2 errors"``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
