"""Judges by rules and trials together: findings, a verdict, an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from convlint.capture.size_limits import FLEXIBLE_KINDS
from convlint.checking.reconcile import (
    BLOCKING,
    deciding_trial,
    export_trial,
    findings_of_trial,
    is_taken_apart,
    mark_trial,
)
from convlint.model import SEVERITIES, CaptureFailure, Convertible, Finding, Frontend, Severity, Trial
from convlint.rules.match import Environment, group_findings, match_environment, match_failures, match_graph
from convlint.rules.rulebook import Rulebook

FROZEN = "frozen-by-trace"
"""The kind of capture failure for a value that a trace freezes."""

if TYPE_CHECKING:
    from convlint.capture.methods import Capture
    from convlint.model.parity import Parity


def judge(
    captured: Capture, rules: Rulebook, environment: Environment, trials: tuple[Trial, ...]
) -> tuple[Finding, ...]:
    """The findings of the rules, each with the trials' answer, and findings for what only trials refused."""
    # Notes about versions belong in `convlint doctor`, not in every report.
    matches = [m for m in match_environment(rules, environment) if m.rule.severity != "note"]
    matches += match_failures(rules, failures_to_report(captured, environment.frontend, trials), environment)
    if captured.graph is not None:
        # Without an export the ops are those of a trace, and meet the converters of that frontend.
        traced = captured.frontend == "torchscript"
        where = replace(environment, frontend="torchscript") if traced else environment
        fired = match_graph(rules, captured.graph, where)
        matches += [match for match in fired if not (traced and is_taken_apart(match, trials))]
    findings = tuple(f for f in group_findings(matches) if not _by_own_converter(f, environment))
    findings = mark_trial(findings, export_trial(trials) or deciding_trial(trials))
    if any(trial.status == "converted" for trial in trials):
        findings = tuple(finding for finding in findings if not is_settled(finding))
    else:
        findings += findings_of_trial(findings, trials[:1], rules, environment)
    if any(trial.status == "converted" and trial.frontend != environment.frontend for trial in trials):
        # The other frontend converts, so what this one refuses is no longer an error. TorchScript may be the
        # only one that was tried, where torch.export gives no program.
        findings = tuple(
            replace(finding, severity="warning")
            if finding.severity == "error" and finding.rule.category in BLOCKING and not _is_frozen(finding)
            else finding
            for finding in findings
        )
    lines = {str(finding.site) for finding in findings if _is_frozen(finding)}
    return tuple(
        finding
        for finding in findings  # the value that the trace freezes is the same line, reported once
        if _is_frozen(finding) or finding.rule.category != "capture" or str(finding.site) not in lines
    )


def is_settled(finding: Finding) -> bool:
    """Whether a rule was not sure that an op converts, which a conversion of the model has answered."""
    return finding.rule.severity == finding.severity == "warning" and finding.rule.category == "support"


def _frozen(captured: Capture, frontend: Frontend, trials: Iterable[Trial]) -> Iterator[CaptureFailure]:
    """The values that depend on an input in PyTorch, but are constants in a converting trace."""
    provisos = list(captured.reads) if frontend == "torchscript" else []
    converted = [trial for trial in trials if trial.status == "converted"]
    provisos += [each for trial in converted for each in trial.provisos if each.kind == "frozen"]
    for each in dict.fromkeys(provisos):
        yield CaptureFailure(
            "torch.jit.trace", FROZEN, "TracerWarning", each.text, each.site, each.caller, each.module
        )


def _is_frozen(finding: Finding) -> bool:
    return finding.subject.kind == "capture" and finding.subject.name == FROZEN


def _by_own_converter(finding: Finding, environment: Environment) -> bool:
    """Whether a rule about coremltools' converter does not apply, because the user has replaced it."""
    return (
        finding.rule.category == "support"
        and bool(finding.op)
        and environment.supported.is_own(finding.op, environment.frontend)
    )


def verdict(captured: Capture, findings: tuple[Finding, ...], trials: tuple[Trial, ...]) -> Convertible:
    """Whether the model converts, by a trial, else by the rules."""
    if any(trial.status == "converted" for trial in trials):
        return "yes"
    if any(trial.status == "failed" for trial in trials):
        return "no"
    if trials:
        return "unknown"
    return static_verdict(findings, exported=captured.program is not None)


def exit_code(
    captured: Capture,
    findings: tuple[Finding, ...],
    convertible: Convertible,
    compared: Parity | None,
    fail_on: Severity,
) -> int:
    """The exit code: 3 without a graph, 1 for findings at or above ``fail_on``, else 0."""
    worst = SEVERITIES.index(fail_on)
    if captured.graph is None:
        return 3
    if any(SEVERITIES.index(finding.severity) <= worst for finding in findings):
        return 1
    wrong = compared is not None and compared.status in ("differs", "overflows")
    if compared is not None and wrong and SEVERITIES.index(compared.severity) <= worst:
        return 1
    return 1 if convertible == "no" else 0


def with_rule_severity(compared: Parity | None, findings: tuple[Finding, ...]) -> Parity | None:
    """``compared`` with the severity of the rule that names the differing call, where one does."""
    first = compared.first_divergence if compared is not None else None
    if compared is None or first is None:
        return compared
    naming = [
        finding.severity
        for finding in findings
        if finding.rule.category == "numeric"
        and finding.site == first.site
        and first.op in (finding.op, *(call.op for call in finding.calls))
    ]
    if not naming:
        return compared
    return replace(compared, severity=min(naming, key=SEVERITIES.index))


def static_verdict(findings: Iterable[Finding], *, exported: bool) -> Convertible:
    """The verdict of the rules alone; ``exported`` says whether torch.export gave a program."""
    if any(finding.severity == "error" and finding.rule.category in BLOCKING for finding in findings):
        return "no"
    return "yes" if exported else "unknown"


def failures_to_report(
    captured: Capture, frontend: Frontend, trials: Iterable[Trial] = ()
) -> Iterator[CaptureFailure]:
    """The capture failures worth a finding: odd outputs, frozen values, and what stopped an export.

    What torch.export refuses does not matter to the TorchScript frontend.
    """
    seen = set()
    for failure in captured.failures:
        key = (failure.kind, failure.site)
        if failure.kind in FLEXIBLE_KINDS:
            yield failure
            continue
        if not failure.method.startswith("torch.export") or key in seen:
            continue
        seen.add(key)
        if failure.kind == "unsupported-output" or (
            captured.program is None and failure.kind != "fake-tensor" and frontend == "export"
        ):
            yield failure
    yield from _frozen(captured, frontend, trials)
