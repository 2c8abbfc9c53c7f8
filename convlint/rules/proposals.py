"""What a rule proposes for the ops that it fired on: code of another function is never shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from convlint.model import Replacement, Rule
from convlint.rules.subjects import Looked
from convlint.rules.where.language import holds


def replacements_for(rule: Rule, subjects: Sequence[Looked]) -> tuple[Replacement, ...]:
    """The rule's replacements that hold of one of ``subjects``, each once.

    Of an op that only the words are true of, the title stays and the code goes.
    """
    proposed: dict[Replacement, None] = {}
    for replacement in rule.replacements:
        names = [looked.word for looked in subjects if _holds_of(replacement, looked)]
        whole = replace(replacement, op=(), words=(), where=())
        if any(_has_code_for(replacement, name) for name in names):
            proposed[whole] = None
        elif whole not in proposed and any(_is_any(name, replacement.words) for name in names):
            proposed[_words_of(whole)] = None
    return tuple(proposed)


def for_op(rule: Rule, op: str) -> Rule:
    """The rule with those of its replacements whose code is of this op."""
    replacements = tuple(each for each in rule.replacements if _has_code_for(each, op))
    return replace(rule, replacements=replacements)


def _words_of(replacement: Replacement) -> Replacement:
    kind = "advice" if replacement.kind == "rewrite" else replacement.kind
    return replace(replacement, kind=kind, before="", after="", rtol=None, general=False)


def _has_code_for(replacement: Replacement, name: str) -> bool:
    return not replacement.op or _is_any(name, replacement.op)


def _holds_of(replacement: Replacement, looked: Looked) -> bool:
    return all(holds(condition, looked.namespace, looked.functions) for condition in replacement.where)


def _is_any(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
