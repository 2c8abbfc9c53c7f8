"""GitLab code quality: the findings of a merge request.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

from convlint.model.remarks import help_line
from convlint.model.run import Run
from convlint.model.verdict import verdict, wrong_numbers
from convlint.output.json import dumps
from convlint.output.places import Shown, shown_findings
from convlint.text import visible

_SEVERITIES = {"error": "critical", "warning": "minor", "note": "info"}
_NO_FILE = "pyproject.toml"
"""The file for findings without one, which GitLab requires: the configuration at least names the model."""


def render_gitlab(run: Run) -> str:
    """Every finding, and every model that could not be checked, with a fingerprint of its own."""
    issues = [
        {
            "description": visible(f"{shown.model}: {shown.finding.message}"),
            "check_name": f"{shown.finding.rule.code} {shown.finding.rule.name}",
            "fingerprint": shown.fingerprint,
            "severity": _SEVERITIES[shown.finding.severity],
            "location": {"path": shown.path or _NO_FILE, "lines": {"begin": shown.line}},
            **_content(shown),
        }
        for shown in shown_findings(run)
    ]
    issues += [
        {
            "description": visible(f"{outcome.model}: {verdict(outcome.report).headline}"),
            "check_name": "convlint parity",
            "fingerprint": f"parity:{outcome.model}",
            "severity": "major",
            "location": {"path": _NO_FILE, "lines": {"begin": 1}},
        }
        for outcome in run.outcomes
        if outcome.report is not None and wrong_numbers(outcome.report)
    ]
    issues += [
        {
            "description": visible(f"{outcome.model}: {outcome.error}"),
            "check_name": "convlint",
            "fingerprint": f"error:{outcome.model}",
            "severity": "blocker",
            "location": {"path": _NO_FILE, "lines": {"begin": 1}},
        }
        for outcome in run.outcomes
        if outcome.error is not None
    ]
    return dumps(issues)


def _content(shown: Shown) -> dict[str, dict[str, str]]:
    """The replacements as text, which services show under the finding."""
    helps = [f"* {help_line(each)}" for each in shown.finding.replacements]
    return {"content": {"body": visible("\n".join(helps))}} if helps else {}
