"""The report of one check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from convlint.model.findings import CaptureFailure, Disagreement, Finding, IgnoreComment, Suppression, Trial
from convlint.model.graph import Graph
from convlint.model.rule import SEVERITIES
from convlint.model.shown import Paged
from convlint.text import shown_path
from convlint.wording import in_python

if TYPE_CHECKING:
    from convlint.model.alternative import Alternative
    from convlint.model.compression import Compression
    from convlint.model.form import Form
    from convlint.model.parity import Parity
    from convlint.model.placement import Plan
    from convlint.model.repair import Repair

Convertible = Literal["yes", "no", "unknown"]
FrontendChoice = Literal["export", "torchscript", "auto"]


@dataclass(frozen=True, slots=True, repr=False)
class Report(Paged):
    """The result of one check. It has no truth value: "unknown" is neither yes nor no.

    ``repair`` has the changes with which a refused model would convert. ``plan`` is the forecast for the
    program that would ship: as converted, else as repaired; None where no such program is known. ``form``
    says which form was judged of a model that has more than one. ``alternatives`` are architectures that were
    measured, for a model that does not convert. ``asked`` lists the rules that were asked,
    each by code, name and category, then by older codes and names.
    """

    model: str
    target: str
    frontend: FrontendChoice
    convertible: Convertible
    findings: tuple[Finding, ...] = ()
    suppressed: tuple[Suppression, ...] = ()
    ignores: tuple[IgnoreComment, ...] = ()
    trial: Trial | None = None
    trials: tuple[Trial, ...] = ()
    graph: Graph | None = None
    form: Form | None = None
    capture_method: str = ""
    capture_failures: tuple[CaptureFailure, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    repair: Repair | None = None
    plan: Plan | None = None
    parity: Parity | None = None
    compression: Compression | None = None
    alternatives: tuple[Alternative, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    asked: tuple[tuple[str, ...], ...] = ()
    exit_code: int = 0

    def __bool__(self) -> bool:
        raise TypeError(
            "a convlint Report has no truth value, because a verdict may be unknown; "
            'compare report.convertible with "yes", "no" or "unknown"'
        )

    def __str__(self) -> str:
        """The verdict, a line for each finding, and the next step."""
        from convlint.model.remarks import help_line
        from convlint.model.verdict import verdict

        result = verdict(self)
        lines = [f"{self.model}, {self.target}: {result.headline}"]
        lines += [self.form.sentence] if self.form is not None else []
        for finding in sorted(self.findings, key=lambda finding: SEVERITIES.index(finding.severity)):
            site = finding.site
            place = f" {shown_path(site.path)}:{site.line}" if site is not None else ""
            lines.append(f"{finding.severity} {finding.rule.code}{place}: {finding.message}")
            lines += [f"  help: {help_line(each)}" for each in finding.replacements]
        lines += [each.sentence for each in self.alternatives]
        return in_python("\n".join([*lines, result.next_step]))

    @property
    def summary(self) -> str:
        """Model, target and verdict, with the number of findings."""
        from convlint.model.verdict import tally, verdict

        return f"{self.model} for {self.target}: {verdict(self).headline} ({tally(self)})"

    @property
    def fix_proof(self) -> str:
        """That the model converts after changes, and who says so; empty where that is not known."""
        if self.repair is None or not self.repair.converts:
            return ""
        release = self.trial.coremltools if self.trial is not None else ""
        return f"with {self.repair.extent}, coremltools {release} converts the model"

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON-ready data, with its ``schema_version``."""
        from convlint.model.as_dict import report_to_dict

        return report_to_dict(self)

    def errors(self) -> Iterator[Finding]:
        """The findings that stop a conversion."""
        return (finding for finding in self.findings if finding.severity == "error")
