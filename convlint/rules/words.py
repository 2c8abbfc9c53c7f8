"""The words by which a user names rules: in ``--select``, in the configuration, in a comment."""

from __future__ import annotations

import re

CODE = re.compile(r"[A-Z]{2,8}[0-9]{3,4}")
"""A whole code: letters, and three or four digits, the first of which is the category."""

_BEGINNING = re.compile(r"[A-Z]{2,8}[0-9]{0,2}")


def answers(word: str, code: str, name: str, category: str, *aliases: str) -> bool:
    """Whether a rule is meant by ``word``: its code or name, an older one, a beginning, or its category.

    A whole code means that rule alone: CL110 is no beginning of CL1101. Two digits are the beginning of codes
    of three, one is the whole category.
    """
    if not word:
        return False
    if word.lower() in (name, category):
        return True
    upper = word.upper()
    known = [code, *(alias for alias in aliases if CODE.fullmatch(alias))]
    if CODE.fullmatch(upper):
        return upper in known
    if _BEGINNING.fullmatch(upper) and len(word) > 1:
        whole = len(upper.rstrip("0123456789")) + 3
        long = len(upper) < whole - 1  # CL and CL1 speak of all lengths
        return any(each.startswith(upper) for each in known if long or len(each) == whole)
    return word.lower() in aliases
