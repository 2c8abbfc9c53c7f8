"""The rule behind an error that somebody has in front of them: of coremltools, torch, Core ML or Xcode.

Three things tell it: an op that the text names, a text that is known (``data/error_messages.toml``), and what
the examples of rules end with (``data/seen_errors.json``).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log
from pathlib import Path

from convlint.coreml.supported import known_versions, snapshot
from convlint.model import Rule
from convlint.rules.rulebook import Rulebook

DATA = Path(__file__).parent / "data"

_OP = re.compile(
    r"convert function for op '(?P<a>[\w.:]+)'|fx node [\w.]+, kind (?P<b>[\w.:]+)"
    r"|(?:torch\.ops\.)?aten(?:::|\.)(?P<c>\w+)|operator (?:'|\")?(?P<d>\w+::\w+)",
)
_OF_THE_EXAMPLE = re.compile(r"'[^']*'|\"[^\"]*\"|%\w+|\b\w+_\d+\b|\b\d+(?:\.\d+)?\b|0x[0-9a-f]+")
_WORD = re.compile(r"[A-Za-z_][A-Za-z_]+")
_ENOUGH = 0.55
"""Share of the information of a text that one which was seen has to cover."""


@dataclass(frozen=True, slots=True)
class Known:
    """A text that is known. ``rules`` are codes; ``says`` is what it means, ``do`` the next step."""

    text: str
    pattern: str
    by: str
    says: str
    do: str
    rules: tuple[str, ...] = ()
    source: str = ""

    def matches(self, text: str) -> bool:
        return re.search(self.pattern, text, re.IGNORECASE | re.DOTALL) is not None


@dataclass(frozen=True, slots=True)
class Explained:
    """One explanation: what is known of the text, or the rules that speak of it and how that was found."""

    how: str
    rules: tuple[Rule, ...] = ()
    known: Known | None = None


@lru_cache
def known_texts() -> tuple[Known, ...]:
    """``data/error_messages.toml``."""
    with (DATA / "error_messages.toml").open("rb") as file:
        rows = tomllib.load(file)["message"]
    return tuple(Known(**row | {"rules": tuple(row.get("rules", ()))}) for row in rows)


@lru_cache
def seen_errors() -> Mapping[str, tuple[str, ...]]:
    """``data/seen_errors.json``: the errors of each rule's examples, by its code."""
    document = json.loads((DATA / "seen_errors.json").read_text(encoding="utf-8"))
    return {code: tuple(texts) for code, texts in document["errors"].items()}


def general(text: str) -> str:
    """A text in one line, without the names and numbers of one model; an op that it names stays."""
    pieces = []
    at = 0
    for match in _OP.finditer(text):
        pieces += [_OF_THE_EXAMPLE.sub("…", text[at : match.start()]), match.group(0)]
        at = match.end()
    pieces.append(_OF_THE_EXAMPLE.sub("…", text[at:]))
    return " ".join("".join(pieces).split())


def ops_in(text: str) -> tuple[str, ...]:
    """The ops that a text names, without namespace and overload."""
    names = (next(group for group in match.groups() if group) for match in _OP.finditer(text))
    bare = (name.rpartition("::")[2].removeprefix("aten.").partition(".")[0] for name in names)
    return tuple(dict.fromkeys(name for name in bare if name))


def explain(text: str, rulebook: Rulebook) -> tuple[Explained, ...]:
    """What is known of ``text``: rules about ops that it names, then texts that are known; else empty."""
    found: list[Explained] = []
    for op in ops_in(text):
        found.append(Explained(f"the text names {op}: {releases_with(op)}", _of_op(op, text, rulebook)))
    found += [
        Explained("a known text", tuple(rulebook.find(code) for code in known.rules), known)
        for known in known_texts()
        if known.matches(text)
    ]
    if not found:
        rules = tuple(_alike(text, rulebook))
        if rules:
            found.append(Explained("examples of these rules end with such a text", rules))
    return tuple(found)


def releases_with(op: str) -> str:
    """Which releases of coremltools have a converter under the name of an op, in words."""
    known = known_versions()
    having = [version for version in known if snapshot(version).converts(f"aten.{op}.default")]
    if not having:
        return f"coremltools {', '.join(known[:-1])} and {known[-1]} have no converter of that name"
    verb = "has" if len(having) == 1 else "have"
    return f"coremltools {' and '.join(having)} {verb} a converter of that name"


def _of_op(op: str, text: str, rulebook: Rulebook) -> tuple[Rule, ...]:
    """The rules that name ``op`` as refused; only those whose examples end with this text, if some do."""
    named = tuple(
        rule
        for rule in rulebook
        if rule.severity == "error"
        and rule.category in ("support", "capture")
        and any(
            name.partition(".")[2].partition(".")[0] == op
            for match in rule.matches
            if match.subject == "op"
            for name in match.names
        )
    )
    said = general(text)
    same = tuple(rule for rule in named if any(seen in said for seen in seen_errors().get(rule.code, ())))
    return same or named


def _alike(text: str, rulebook: Rulebook) -> Iterator[Rule]:
    """The rules whose examples end with a text that shares what is particular about this one."""
    words = _words(text)
    weights = _weights()
    whole = sum(weights.get(word, 0.0) for word in words)
    if not whole:
        return
    scored: dict[str, float] = {}
    for code, texts in seen_errors().items():
        for seen in texts:
            shared = sum(weights[word] for word in _words(seen) & words)
            either = sum(weights.get(word, 0.0) for word in _words(seen) | words)
            scored[code] = max(scored.get(code, 0.0), shared / either)
    best = max(scored.values(), default=0.0)
    if best >= _ENOUGH:
        near = sorted(
            (code for code, score in scored.items() if score >= 0.9 * best), key=lambda c: -scored[c]
        )
        yield from (rulebook.find(code) for code in near[:4] if code in rulebook)


@lru_cache
def _weights() -> Mapping[str, float]:
    """How much each word of the texts that were seen tells: little where many rules have it."""
    found: Counter[str] = Counter()
    for texts in seen_errors().values():
        found.update(set().union(*map(_words, texts)) if texts else ())
    rules = len(seen_errors())
    return {word: log(1 + rules / times) for word, times in found.items()}


def _words(text: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _WORD.findall(general(text)))
