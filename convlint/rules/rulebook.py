"""The rulebook: all rules that are there, found by code or name and selected by the user's words.

Shipped rules lie in the package; a user's own lie in the folders that ``rule-paths`` names. The
mistakes of all files are told at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from convlint.errors import RuleError, UsageError
from convlint.model import Rule
from convlint.nearest import did_you_mean
from convlint.rules.rule import CATEGORIES, load_rule
from convlint.rules.words import answers

_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Rules in the order of their codes. An older code or name may stand for several."""

    rules: tuple[Rule, ...]
    _known: Mapping[str, Rule] = field(init=False, repr=False, compare=False)
    _older: Mapping[str, tuple[Rule, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known = {rule.code: rule for rule in self.rules} | {rule.name: rule for rule in self.rules}
        object.__setattr__(self, "_known", known)
        older: dict[str, tuple[Rule, ...]] = {}
        for rule in self.rules:
            for alias in rule.aliases:
                older[alias] = (*older.get(alias, ()), rule)
        object.__setattr__(self, "_older", older)

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def __contains__(self, word: str) -> bool:
        return any(each in known for each in (word, word.upper()) for known in (self._known, self._older))

    def find(self, word: str) -> Rule:
        """The rule of this code or name; a :class:`UsageError` with the nearest where there is none."""
        found = self.find_all(word)
        if len(found) > 1:
            codes = ", ".join(rule.code for rule in found)
            raise UsageError(f"{word} has become {len(found)} rules: {codes}. Name one of them.")
        return found[0]

    def find_all(self, word: str) -> tuple[Rule, ...]:
        """The rule of this code or name, or all rules that an older code or name has become."""
        spelled = (word, word.upper(), word.lower())
        rule = next((self._known[each] for each in spelled if each in self._known), None)
        found: tuple[Rule, ...] = (rule,) if rule is not None else ()
        found = found or next((self._older[each] for each in spelled if each in self._older), ())
        if not found:
            raise UsageError(
                f"there is no rule {word!r}.{did_you_mean(word, self._known)} `convlint rules` lists all."
            )
        return found

    def select(self, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Rulebook:
        """The rules that ``select`` names (all, where it names none) without those that ``ignore`` names.

        A word is a code (CL104), the beginning of one (CL1), a name (hypot) or a category (ane).
        """
        chosen = self._codes(select) if select else {rule.code for rule in self.rules}
        chosen -= self._codes(ignore)
        return Rulebook(tuple(rule for rule in self.rules if rule.code in chosen))

    def _codes(self, words: Iterable[str]) -> set[str]:
        found: set[str] = set()
        problems = []
        for word in words:
            codes = {
                rule.code
                for rule in self.rules
                if answers(word.strip(), rule.code, rule.name, rule.category, *rule.aliases)
            }
            if not codes and word.strip().lower() not in CATEGORIES:
                near = did_you_mean(word, (*self._known, *CATEGORIES))
                problems.append(
                    f"{word!r} selects no rule: it is no code, beginning of a code, name or category.{near}"
                )
            found |= codes
        if problems:
            raise UsageError(" ".join(problems))
        return found


def shipped_folder() -> Path:
    """Where the shipped rules lie: inside the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "_rules"
    return installed if installed.is_dir() else _PACKAGE.parent / "rules"


def load_rulebook(rule_paths: Sequence[Path] = (), shipped: Path | None = None) -> Rulebook:
    """The shipped rules and those under ``rule_paths`` (folders, or single files).

    ``shipped`` replaces the folder of the shipped rules. Every mistake of every file is in one RuleError.
    """
    problems: list[str] = []
    rules: list[Rule] = []
    for root, is_shipped in [(shipped or shipped_folder(), True), *((path, False) for path in rule_paths)]:
        files = _files(root)
        if not files:
            what = "no rule files lie here" if root.exists() else "there is no such file or folder"
            problems.append(f"{root}: {what}{'; is convlint installed whole?' if is_shipped else ''}")
        for file in files:
            try:
                rules.append(_load(file, _shown(file, root, is_shipped), file.stat().st_mtime_ns))
            except RuleError as error:
                problems += error.problems
    problems += _duplicates(rules)
    if problems:
        raise RuleError(problems)
    return Rulebook(tuple(sorted(rules, key=lambda rule: rule.code)))


@lru_cache(maxsize=1024)
def _load(file: Path, shown: str, changed: int) -> Rule:
    """One rule, read again only where the file has changed: a process may check many models."""
    return load_rule(file, shown)


def _files(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    return sorted(path for path in root.rglob("*.toml") if path.is_file())


def _shown(file: Path, root: Path, is_shipped: bool) -> str:
    """Shipped rules are named from ``rules/`` on, wherever the package lies; others as the user wrote."""
    return f"rules/{file.relative_to(root).as_posix()}" if is_shipped else str(file)


def _duplicates(rules: Iterable[Rule]) -> list[str]:
    problems = []
    seen: dict[str, Rule] = {}
    for rule in rules:
        for what, word in (("code", rule.code), ("name", rule.name)):
            other = seen.setdefault(word, rule)
            if other is not rule:
                problems.append(f"{rule.path}: {what}: {word} is already the {what} of {other.path}")
    for rule in rules:
        problems += [
            f"{rule.path}: aliases: {alias} is the code or name of {seen[alias].path}"
            for alias in rule.aliases
            if alias in seen
        ]
    return problems
