"""The words by which a user names rules: in ``--select``, in the configuration, in a comment."""

from __future__ import annotations


def answers(word: str, code: str, name: str, category: str) -> bool:
    """Whether a rule is meant by ``word``: its code, the beginning of one, its name or its category."""
    if not word:
        return False
    is_code = len(word) > 1 and word[:2].isalpha() and code.startswith(word.upper())
    return is_code or word.lower() in (name, category)
