"""A rule, as its file under ``rules/`` defines it, and the replacements that it offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Severity = Literal["error", "warning", "note"]
Safety = Literal["safe", "unsafe", "retrain"]
Confidence = Literal["measured", "documented", "reported"]
Differs = Literal["", "float32", "float16"]
SubjectKind = Literal["op", "capture", "input", "output", "model", "environment", "trial"]
Offer = Literal["fold-std", "fold-normalisation"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")
OFFERS: tuple[Offer, ...] = get_args(Offer)
"""The offers that a rule can have computed for each reported model, beside its own replacements."""


@dataclass(frozen=True, slots=True)
class Example:
    """A model in a rule file that the rule must (bad) or must not (good) report.

    ``inputs`` and ``outputs`` are specs as on the command line (``1x3x8x8:float32``, ``y:image``);
    ``lines`` are the 1-based lines of ``code`` marked ``# <- CODE``.
    """

    code: str
    inputs: tuple[str, ...]
    lines: tuple[int, ...] = ()
    title: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LineEdit:
    """A replacement as an edit of the user's own lines: ``old`` and ``new`` are whole lines of source.

    ``text`` replaces the source from ``line`` and ``column`` to ``end_line`` and ``end_column``; both columns
    start at 1 and count characters. ``needs`` names a file that ``convlint fix --write`` writes besides, and
    without which the new lines do not run.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str
    old: str
    new: str
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Replacement:
    """Other code that coremltools converts.

    ``kind``: "rewrite" (the rule's before and after), "decomposition" (PyTorch's own),
    "upgrade" (a newer coremltools), "converter" (the user's own, to be filled in), "helper" (a call of a
    function that ``convlint fix`` writes), "advice" (words only). ``proof`` says what was run to prove it on
    this model; empty where nothing was.

    In a rule, ``op`` names the ops that the code is for (patterns; empty for all ops of the rule), ``words``
    those for which only the title is true, and ``where`` the conditions on the matched op. In a finding all
    three have been applied. ``general``: it holds for all sizes and ranks, and for anything in place of the
    names in ``before``. ``edit`` is the change on the line of the finding, where it can be made there: code
    without it is an example of the rule, and claims nothing about the user's line.
    """

    title: str
    kind: str = "rewrite"
    safety: Safety = "safe"
    before: str = ""
    after: str = ""
    rtol: float | None = None
    proof: str = ""
    op: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    where: tuple[Any, ...] = ()
    general: bool = False
    edit: LineEdit | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """When a rule fires: ``subject`` is what it looks at, ``names`` are patterns in the style of the shell
    for the subject's name, ``where`` are conditions that must all hold."""

    subject: SubjectKind
    names: tuple[str, ...]
    where: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One file under ``rules/``. ``message`` may name the subject's fields in braces; ``title`` has none.

    ``differs``: at this precision the converted bad examples compute something else, as running them shows.
    ``aliases`` are older codes and names that users may still use. ``offer`` names what is computed and
    proved for the model itself; None where the replacements are enough.
    """

    code: str
    name: str
    category: str
    severity: Severity
    message: str
    why: str
    confidence: Confidence
    sources: tuple[str, ...]
    applies: Mapping[str, str]
    matches: tuple[Match, ...]
    bad: tuple[Example, ...] = ()
    good: tuple[Example, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    path: str = ""
    differs: Differs = ""
    title: str = ""
    aliases: tuple[str, ...] = ()
    offer: Offer | None = None
