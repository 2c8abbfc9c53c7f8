"""Calls that convert, and to other numbers: what the rules say of a program while it is changed."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from convlint.capture.walk import graph_of_program
from convlint.coreml.supported import installed_snapshot, with_foreign
from convlint.model import Finding
from convlint.rewrites.table import corrections_of
from convlint.rules.match import Environment, RawMatch, group_findings, match_graph
from convlint.rules.rulebook import load_rulebook

AskRules = Callable[[Any], tuple[RawMatch, ...]]
"""The matches of a program's calls whose conversion gives other numbers."""


def ask_rules(target: str, rule_paths: Sequence[str] = ()) -> AskRules:
    """What asks the rules of category ``numeric`` about a program, for the installed releases.

    Asked for are errors, and warnings that running has shown and that a correction answers.
    """
    whole = load_rulebook([Path(path) for path in rule_paths])
    rules = whole.select(("numeric",), ())
    environment = _environment(target)

    def ask(program: Any) -> tuple[RawMatch, ...]:
        return tuple(filter(_is_wrong, match_graph(rules, graph_of_program(program), environment)))

    return ask


def errors_of(matches: Sequence[RawMatch]) -> tuple[Finding, ...]:
    """The findings among the matches that are errors."""
    return tuple(finding for finding in group_findings(matches) if finding.severity == "error")


def _is_wrong(match: RawMatch) -> bool:
    if match.rule.severity == "error":
        return True
    corrected = bool(corrections_of(getattr(match.subject.thing, "op", "")))
    return match.rule.severity == "warning" and match.rule.differs == "float32" and corrected


def _environment(target: str) -> Environment:
    supported = with_foreign(installed_snapshot())
    versions = {name: importlib.metadata.version(name) for name in ("torch", "numpy")}
    return Environment(
        coremltools=supported.version,
        torch=versions["torch"],
        supported=supported,
        numpy=versions["numpy"],
        python=platform.python_version(),
        frontend="export",
        target=target,
    )
