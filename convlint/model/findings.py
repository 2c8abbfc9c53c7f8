"""The results of a check: findings of rules, failures of capture and trial, and suppressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from convlint.model.graph import OpCall, Port, Site
from convlint.model.rule import Replacement, Rule, Severity, SubjectKind
from convlint.model.shown import Shown
from convlint.text import shown_path

Frontend = Literal["export", "torchscript"]
TrialLevel = Literal["frontend", "passes", "full"]
TrialStatus = Literal["converted", "failed", "timeout", "crashed"]


@dataclass(frozen=True, slots=True)
class CaptureFailure:
    """The failure of one way of capturing, with the user's line where the exception names one.

    ``kind`` is one of the words that capture rules match on.
    """

    method: str
    kind: str
    error_type: str
    message: str
    site: Site | None = None
    caller: Site | None = None
    module: str = ""


@dataclass(frozen=True, slots=True)
class TrialFailure:
    """One thing that coremltools refused.

    ``stage``: "input", "output", "frontend", "passes", "backend" or "process". ``follows`` names an earlier
    failed node whose stand-in this one consumed: this failure may be a consequence, not a cause.
    """

    op: str
    error: str
    error_type: str = ""
    site: Site | None = None
    caller: Site | None = None
    module: str = ""
    node: str = ""
    stage: str = "frontend"
    follows: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a rule: an op call, a port, a failure, the model, or a part of the environment.

    ``name`` is the name of the op, port or part; ``thing`` is the call, port or failure itself.
    """

    kind: SubjectKind
    name: str = ""
    thing: OpCall | Port | CaptureFailure | TrialFailure | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Finding(Shown):
    """One rule at one source line, with all the op calls of that line.

    ``subject`` is what the rule looked at, the first of several on the line. ``trial`` is the result of the
    trial for the same ops: "failed", "converted", or "" without one.
    """

    rule: Rule
    severity: Severity
    message: str
    op: str
    site: Site | None
    calls: tuple[OpCall, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    caller: Site | None = None
    module: str = ""
    trial: str = ""
    subject: Subject = Subject("model")

    @property
    def summary(self) -> str:
        """``"error CL104 hypot at net.py:14: aten.hypot.default has no converter"``."""
        site = self.site or self.caller
        place = f" at {shown_path(site.path)}:{site.line}" if site is not None else ""
        return f"{self.severity} {self.rule.code} {self.rule.name}{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Suppression:
    """A finding that somebody silenced: ``kind`` says where, ``reason`` why."""

    finding: Finding
    kind: Literal["comment", "module", "baseline"]
    reason: str = ""
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class IgnoreComment:
    """A comment ``# convlint: ignore[...]`` on a line that this check traced.

    ``unused`` are those of its ``words`` that silenced nothing although their rules were asked.
    """

    site: Site
    words: tuple[str, ...]
    reason: str = ""
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proviso:
    """A difference between the model that a trial converted and the user's, as part of a sentence.

    ``kind``: "frozen" for something that depends on an input in PyTorch and is constant in the program,
    "outputs" and "inputs" for those that had to be nested differently.
    """

    kind: Literal["frozen", "outputs", "inputs"]
    text: str
    site: Site | None = None
    caller: Site | None = None
    module: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A real coremltools conversion of the untrained model, through one frontend.

    ``passed`` are the operations, without overload, that a failed trial converted at least once; ``traced``
    are all operations of a trace, whose tracer takes some calls of Python apart. ``provisos`` say how the
    converted model differs from the user's. ``operations`` are those of the converted program, where somebody
    reads them; no report keeps them.
    """

    status: TrialStatus
    failures: tuple[TrialFailure, ...] = ()
    seconds: float = 0.0
    level: TrialLevel = "passes"
    frontend: Frontend = "export"
    coremltools: str = ""
    detail: str = ""
    output: str = ""
    mil_ops: Mapping[str, int] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    traced: tuple[str, ...] = ()
    provisos: tuple[Proviso, ...] = ()
    operations: tuple[Any, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A contradiction between the rules and coremltools, about one op or the whole model."""

    op: str
    static: str
    trial: str
    site: Site | None = None
    detail: str = ""
