"""The report as JSON: everything that the terminal shows, under keys that stay.

``schema_version`` grows when a key changes its meaning or goes; new keys may come at any time.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from convlint.errors import ConvlintError, RuleError
from convlint.model import SCHEMA_VERSION, Finding, Graph, OpCall, Replacement, Report, Rule
from convlint.outcome import Run
from convlint.output.remarks import is_example, remark_of
from convlint.output.verdict import unforeseen, verdict


def report_to_dict(report: Report) -> dict[str, Any]:
    """The report as plain JSON types."""
    result = verdict(report)
    return {
        "schema_version": SCHEMA_VERSION,
        "model": report.model,
        "target": report.target,
        "frontend": report.frontend,
        "convertible": report.convertible,
        "verdict": {"kind": result.kind, "headline": result.headline, "next_step": result.next_step},
        "exit_code": report.exit_code,
        "findings": [finding_to_dict(finding) for finding in report.findings],
        "suppressed": [
            {
                "kind": each.kind,
                "reason": each.reason,
                "site": plain(each.site),
                "finding": finding_to_dict(each.finding),
            }
            for each in report.suppressed
        ],
        "ignores": plain(report.ignores),
        "trial": plain(report.trial),
        "trials": plain(report.trials),
        "unforeseen_failures": plain(unforeseen(report)),
        "disagreements": plain(report.disagreements),
        "capture_method": report.capture_method,
        "capture_failures": plain(report.capture_failures),
        "graph": None if report.graph is None else _graph(report.graph),
        "fix_proof": report.fix_proof,
        "parity": plain(report.parity),
        "compression": plain(report.compression),
        "notes": plain(report.notes),
        "seconds": plain(report.seconds),
        "versions": plain(report.versions),
    }


def error_to_dict(error: ConvlintError) -> dict[str, Any]:
    """What stands in a report's place when there is none."""
    details: dict[str, Any] = {
        "type": type(error).__name__,
        "message": str(error),
        "exit_code": error.exit_code,
    }
    if isinstance(error, RuleError):
        details["problems"] = list(error.problems)
    return {"schema_version": SCHEMA_VERSION, "error": details}


def render_run(run: Run) -> str:
    """The document of a run: a report where one model was named, else a list of reports and errors."""
    entries = [
        outcome.report.to_dict() | {"kept": outcome.kept}
        if outcome.report is not None
        else {"model": outcome.model, **error_to_dict(outcome.error or ConvlintError("not checked"))}
        for outcome in run.outcomes
    ]
    if len(entries) == 1 and not run.several:
        return dumps(entries[0])
    more = {"unused_ignores": plain(run.unused_ignores), "stale_baseline": list(run.stale)}
    return dumps(reports_to_dict(entries, run.exit_code) | more)


def reports_to_dict(entries: Iterable[Mapping[str, Any]], exit_code: int) -> dict[str, Any]:
    """Several models in one document, each entry a report or an error with the model's name."""
    return {"schema_version": SCHEMA_VERSION, "exit_code": exit_code, "reports": list(entries)}


def dumps(document: Any) -> str:
    """The text of a JSON document, in ASCII, so that no terminal or locale can spoil it."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """``value`` in JSON's own types: what JSON has no word for becomes its text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return str(value)


def finding_to_dict(finding: Finding) -> dict[str, Any]:
    """One finding with its calls, replacements and what its rule says."""
    return {
        "code": finding.rule.code,
        "name": finding.rule.name,
        "category": finding.rule.category,
        "severity": finding.severity,
        "confidence": finding.rule.confidence,
        "message": finding.message,
        "op": finding.op,
        "site": plain(finding.site),
        "caller": plain(finding.caller),
        "module": finding.module,
        "trial": finding.trial,
        "replacements": [_replacement(each) for each in finding.replacements],
        "calls": [_call(call) for call in finding.calls],
        "rule": _rule(finding.rule),
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "code": rule.code,
        "name": rule.name,
        "title": rule.title,
        "severity": rule.severity,
        "why": rule.why,
        "sources": plain(rule.sources),
        "applies": plain(rule.applies),
    }


def _replacement(replacement: Replacement) -> dict[str, Any]:
    """One replacement: ``example`` where its code is the rule's, ``edit`` the change of the user's line."""
    names = ("title", "kind", "safety", "before", "after", "rtol", "proof")
    return {
        **{name: plain(getattr(replacement, name)) for name in names},
        "remark": remark_of(replacement),
        "example": is_example(replacement),
        "edit": plain(replacement.edit),
    }


def _call(call: OpCall) -> dict[str, Any]:
    return {
        "op": call.op,
        "node": call.name,
        "module": call.module,
        "module_type": call.module_type,
        "args": {name: _argument(value) for name, value in call.args.items()},
        "inputs": plain(call.inputs),
        "outputs": plain(call.outputs),
    }


def _argument(value: Any) -> Any:
    """A tensor as the name of its node, anything else as it is: its shape stands under ``inputs``."""
    if is_dataclass(value) and hasattr(value, "name"):
        return {"tensor": value.name}
    if isinstance(value, list | tuple):
        return [_argument(item) for item in value]
    return plain(value)


def _graph(graph: Graph) -> dict[str, Any]:
    return {
        "calls": len(graph.tensor_calls),
        "ops": dict(Counter(call.op for call in graph.tensor_calls)),
        "inputs": plain(graph.inputs),
        "outputs": plain(graph.outputs),
        "parameter_count": graph.parameter_count,
        "parameter_bytes": graph.parameter_bytes,
    }
