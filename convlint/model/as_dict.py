"""The report as JSON types: everything that the terminal shows, under stable keys."""

from __future__ import annotations

from collections import Counter
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any

from convlint.model.alternative import alternatives_to_dict
from convlint.model.findings import Finding
from convlint.model.form import form_to_dict
from convlint.model.graph import Graph, OpCall
from convlint.model.plain import SCHEMA_VERSION, plain
from convlint.model.remarks import is_example, remark_of
from convlint.model.rule import Replacement, Rule
from convlint.model.verdict import unnamed_refusals, verdict

if TYPE_CHECKING:
    from convlint.model.report import Report


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
        "unforeseen_failures": plain(unnamed_refusals(report)),
        "disagreements": plain(report.disagreements),
        "form": form_to_dict(report.form),
        "capture_method": report.capture_method,
        "capture_failures": plain(report.capture_failures),
        "graph": None if report.graph is None else _graph(report.graph),
        "fix_proof": report.fix_proof,
        "repair": plain(report.repair),
        "forecast": _forecast(report),
        "parity": plain(report.parity),
        "compression": plain(report.compression),
        "alternatives": alternatives_to_dict(report.alternatives),
        "notes": plain(report.notes),
        "seconds": plain(report.seconds),
        "versions": plain(report.versions),
    }


def _forecast(report: Report) -> dict[str, Any] | None:
    """The forecast in short; ``convlint plan --format json`` has all of it."""
    plan = report.plan
    if plan is None:
        return None
    return {
        "program": "as converted" if report.repair is None else "after the changes",
        "sentence": plan.sentence,
        **{name: plain(getattr(plan, name)) for name in ("chip", "os", "level", "latency_ms", "share")},
        "islands": len(plan.islands),
        "blockers": plain(plan.blockers),
        "notes": plain(plan.notes),
    }


def finding_to_dict(finding: Finding) -> dict[str, Any]:
    """One finding with its calls, its replacements and the texts of its rule."""
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
    """One replacement: ``example`` says that its code is the rule's, ``edit`` changes the user's line."""
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
    """A tensor as the name of its node (its shape is under ``inputs``), anything else unchanged."""
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
