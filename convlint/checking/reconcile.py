"""Compares rules and trial: what each says of the same op, and where they differ."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from convlint.model import Disagreement, Finding, OpCall, Trial, TrialFailure
from convlint.op_functions import operation_of
from convlint.rules.match import Environment, RawMatch, group_findings, match_graph, match_trial
from convlint.rules.rulebook import Rulebook

if TYPE_CHECKING:
    from convlint.capture.methods import Capture

BLOCKING = ("capture", "support", "interface")
"""Categories whose errors stop a conversion; errors of others change its result."""


def mark_trial(findings: Iterable[Finding], trial: Trial | None) -> tuple[Finding, ...]:
    """The findings, each with the trial's answer for its ops."""
    if trial is None or trial.status in ("timeout", "crashed"):
        return tuple(findings)
    # A trace has other names than the graph, so op and line identify a call there. It ends at its first
    # refusals, so a call that it does not name was not tried.
    traced = trial.frontend == "torchscript"
    refused = {failure.node for failure in trial.failures if failure.node}
    places = {_place(failure) for failure in trial.failures}
    passed_ops = set(map(operation_of, trial.passed))
    marked = []
    for finding in findings:
        said = ""
        # The frontend alone does not decide what only the passes refuse.
        if finding.calls and finding.rule.category in BLOCKING and finding.severity == "error":
            calls = finding.calls
            if traced:
                named = any(_place(call) in places for call in calls)
            else:
                named = any(call.name in refused for call in calls)
            passed = trial.status == "converted" or all(operation_of(call.op) in passed_ops for call in calls)
            said = "failed" if named else "converted" if passed else ""
            if traced and said == "converted" and finding.rule.category == "support":
                finding = replace(finding, severity="warning")  # a rule about the other frontend's converters
        marked.append(replace(finding, trial=said))
    return tuple(marked)


def findings_of_trial(
    findings: tuple[Finding, ...], trials: Iterable[Trial], rules: Rulebook, environment: Environment
) -> tuple[Finding, ...]:
    """Findings for the refusals of the trial that no error among ``findings`` covers."""
    errors = [finding for finding in findings if finding.severity == "error"]
    nodes = {call.name for finding in errors for call in finding.calls}
    places = {_place(finding) for finding in errors}
    places |= {_place(call) for finding in errors for call in finding.calls}
    interface = any(finding.rule.category == "interface" for finding in errors)
    uncovered = [
        failure
        for trial in trials
        for failure in trial.failures
        if not failure.follows
        and failure.node not in nodes
        and _place(failure) not in places
        and not (failure.stage in ("input", "output") and interface)
    ]
    findings_of_rules = group_findings(match_trial(rules, uncovered, environment))
    return tuple(replace(finding, trial="failed") for finding in findings_of_rules)


def is_taken_apart(match: RawMatch, trials: Iterable[Trial]) -> bool:
    """Whether a rule about all ops matched a call that the tracer takes apart, so that its parts count."""
    call = match.subject.thing
    if not isinstance(call, OpCall) or not any("*" in block.names for block in match.rule.matches):
        return False
    # A trace names the public function of an internal op, without its namespace: softmax for aten._softmax.
    name = operation_of(call.op).rpartition(".")[2].strip("_")
    traces = [trial.traced for trial in trials if trial.traced]
    return bool(traces) and not any(name in traced for traced in traces)


def _place(thing: Finding | OpCall | TrialFailure) -> tuple[str, str]:
    """The operation and its line, which identify a call both in a trace and in an exported graph."""
    return operation_of(thing.op), str(thing.site or "")


def disagreements(
    findings: tuple[Finding, ...],
    captured: Capture,
    trial: Trial | None,
    rules: Rulebook,
    environment: Environment,
) -> tuple[Disagreement, ...]:
    """The ops that a rule says fail and that converted, or the other way round.

    All rules are asked, also those that the user ignores: ignoring a rule does not make it wrong.
    """
    if trial is None or captured.graph is None or trial.status in ("timeout", "crashed"):
        return ()
    everything = group_findings(match_graph(rules, captured.graph, environment))
    errors = [f for f in everything if f.severity == "error" and f.rule.category in BLOCKING]
    predicted = {call.name for finding in errors for call in finding.calls}
    refused = {failure.node: failure for failure in trial.failures if failure.node and not failure.follows}
    # After an early end of the conversion, the remaining calls were never tried.
    tried_all = trial.status == "converted" or all(f.stage != "input" for f in trial.failures)
    differences = [
        Disagreement(failure.op, "converts", "failed", failure.site, failure.error)
        for node, failure in refused.items()
        if node not in predicted and failure.stage in ("frontend", "backend")
    ]
    if tried_all:
        differences += [
            Disagreement(
                finding.op, "fails", "converted", finding.site, f"{finding.rule.code} {finding.message}"
            )
            for finding in errors
            if finding.calls
            and not any(call.name in refused for call in finding.calls)
            and not any(failure.follows for failure in trial.failures)
        ]
    return tuple(dict.fromkeys(differences))


def compare_frontends(first: Trial, second: Trial) -> list[str]:
    """Notes on where the two frontends of coremltools differ about a model."""
    if second.status == "converted":
        return [
            f"the {first.frontend} frontend refuses the model, the {second.frontend} frontend converts it"
        ]
    notes = []
    for trial, other in ((first, second), (second, first)):
        # A trial may end at its first refusal; nothing is known about the ops after it.
        converted = set(map(operation_of, other.passed)) - _refused(other)
        only = sorted(operation for operation in _refused(trial) & converted if operation)
        if only:
            notes.append(f"refused by the {trial.frontend} frontend only: {', '.join(only)}")
    return notes


def _refused(trial: Trial) -> set[str]:
    return {operation_of(failure.op) for failure in trial.failures}


def export_trial(trials: tuple[Trial, ...]) -> Trial | None:
    """The trial through torch.export; None where there was none."""
    return next((trial for trial in trials if trial.frontend == "export"), None)


def deciding_trial(trials: tuple[Trial, ...]) -> Trial | None:
    """The trial that the verdict rests on: the one that converted, else the first."""
    return next((trial for trial in trials if trial.status == "converted"), trials[0] if trials else None)
