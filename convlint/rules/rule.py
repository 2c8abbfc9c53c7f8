"""The strict loader of one rule file: every mistake with its key and what is allowed, all at once.

A rule that is silently misread is worse than none, so nothing is guessed: an unknown key, a word
outside its vocabulary, a condition outside the language or an example without its mark refuses
the file. ``rules/README.md`` describes the format for those who write rules.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlint.errors import RuleError
from convlint.model import OFFERS, SEVERITIES, Confidence, Rule, Severity
from convlint.rules.parts import read_applies, read_examples, read_matches, read_message, read_replacements
from convlint.rules.words import CODE
from convlint.toml_table import Problems, Table

LONGEST_TITLE = 90
"""Letters of a title: code scanning and lists show it in one line."""

LARGEST_FILE = 200_000
"""No rule file is longer than this many bytes."""


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of rule: its folder, the first digit of its codes, and what a finding of it says."""

    name: str
    digit: int
    says: str


CATEGORIES: Mapping[str, Category] = {
    category.name: category
    for category in (
        Category("capture", 0, "torch cannot export it"),
        Category("support", 1, "coremltools cannot convert it"),
        Category("ane", 2, "converts, but leaves or wastes the Neural Engine"),
        Category("numeric", 3, "converts, but the answer changes"),
        Category("interface", 4, "inputs, outputs, dynamic shapes, names or states"),
        Category("environment", 5, "versions that do not work together"),
    )
}
"""The one table of categories: folder, code and meaning."""

SEVERITY_MEANING: Mapping[Severity, str] = {
    "error": "will not convert, or converts to another function",
    "warning": "converts, at a price",
    "note": "worth knowing",
}
CONFIDENCE_MEANING: Mapping[Confidence, str] = {
    "measured": "run here, with the versions named in the sources",
    "documented": "stated by the maker of the software or the chip",
    "reported": "told by users; not reproduced here",
}

KEYS = (
    "code",
    "name",
    "severity",
    "title",
    "aliases",
    "offer",
    "message",
    "why",
    "confidence",
    "differs",
    "sources",
    "applies",
    "match",
    "bad",
    "good",
    "replace",
)
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def category_of(code: str) -> Category | None:
    """The category that the first digit of a code names."""
    digit = code.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")[:1]
    return next((category for category in CATEGORIES.values() if str(category.digit) == digit), None)


def load_rule(path: Path, shown: str = "") -> Rule:
    """The rule in the file ``path``; a :class:`RuleError` with all its problems, under the name ``shown``."""
    shown = shown or str(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise RuleError([f"{shown}: longer than {LARGEST_FILE} bytes, which is no rule file"])
        return parse_rule(path.read_bytes(), shown)
    except OSError as error:
        raise RuleError([f"{shown}: cannot be read: {error.strerror or error}"]) from None


def parse_rule(content: bytes, path: str) -> Rule:
    """The rule in ``content``; file name and folder of ``path`` must repeat its code, name and category."""
    problems = Problems(path)
    data = _toml(content, problems)
    rule = _read(Table(data, "", KEYS, problems), path) if data is not None else None
    if problems.messages or rule is None:
        raise RuleError(problems.messages)
    return rule


def _toml(content: bytes, problems: Problems) -> dict[str, Any] | None:
    try:
        return tomllib.loads(content.decode("utf-8").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        problems.add(
            "", f"not UTF-8: byte 0x{content[error.start]:02x} in line {line}; save the file as UTF-8"
        )
    except tomllib.TOMLDecodeError as error:
        problems.add("", f"not TOML: {error}")
    except (RecursionError, ValueError, OverflowError) as error:
        problems.add("", f"not TOML that can be read: {type(error).__name__}")
    return None


def _read(table: Table, path: str) -> Rule:
    code = table.text("code")
    name = table.text("name")
    category = _identity(table, code, name, Path(path))
    matches = read_matches(table)
    bad = read_examples(table, "bad", code, matches)
    return Rule(
        code=code,
        name=name,
        category=category,
        severity=table.choice("severity", SEVERITIES) or "error",
        message=read_message(table, matches),
        why=table.text("why").strip(),
        confidence=table.choice("confidence", tuple(CONFIDENCE_MEANING)) or "reported",
        sources=_sources(table),
        applies=read_applies(table),
        matches=matches,
        bad=bad,
        good=read_examples(table, "good", code, matches),
        replacements=read_replacements(table, bad, matches),
        path=path,
        differs=table.choice("differs", ("float32", "float16"), None) or "",
        title=_title(table),
        aliases=_aliases(table),
        offer=table.choice("offer", OFFERS, None),
    )


def _identity(table: Table, code: str, name: str, path: Path) -> str:
    """Check code, name, file name and folder against each other; the name of the category."""
    if code and not CODE.fullmatch(code):
        table.problem(
            "code", f"{code!r} is not a code; letters and three or four digits are needed, as in CL104"
        )
        return ""
    if name and not _NAME.fullmatch(name):
        table.problem("name", f"{name!r} is not a name; small letters, digits and single hyphens are needed")
    if code and name and path.name != f"{code}-{name}.toml":
        table.problem("code", f"the file must be named {code}-{name}.toml, not {path.name}")
    category = category_of(code) if code else None
    if code and category is None:
        digits = ", ".join(f"{each.digit} {each.name}" for each in CATEGORIES.values())
        table.problem("code", f"{code} is in no category; the first digit says it: {digits}")
    if category is None:
        return ""
    folder = path.parent.name
    if folder != category.name and (code.startswith("CL") or folder in CATEGORIES):
        table.problem("code", f"{code} belongs into the folder {category.name}/, not {folder or '.'}/")
    return category.name


def _title(table: Table) -> str:
    """The rule in a few words that hold of every finding of it: lists and services show it."""
    own = not table.text("code").startswith("CL")
    title = table.text("title", table.text("name").replace("-", " ")) if own else table.text("title")
    if "{" in title or "}" in title:
        table.problem("title", "has a brace; a title is plain words, and the message is the template")
    elif "\n" in title or len(title) > LONGEST_TITLE:
        table.problem("title", f"one line of at most {LONGEST_TITLE} letters is needed")
    return title


def _aliases(table: Table) -> tuple[str, ...]:
    aliases = table.texts("aliases", ())
    for number, alias in enumerate(aliases, 1):
        if not CODE.fullmatch(alias) and not _NAME.fullmatch(alias):
            table.problem(f"aliases[{number}]", f"{alias!r} is neither a code nor a name")
    return aliases


def _sources(table: Table) -> tuple[str, ...]:
    sources = table.texts("sources")
    if not sources and table.data.get("sources") == []:
        table.problem("sources", "must name at least one source")
    return sources
