"""The report as JSON: everything that the terminal shows, under stable keys.

``schema_version`` grows when a key changes its meaning or is removed; new keys may be added at any time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from convlint.errors import ConvlintError, FileError
from convlint.model.plain import SCHEMA_VERSION, plain
from convlint.model.run import Run
from convlint.output.places import inside


def error_to_dict(error: ConvlintError) -> dict[str, Any]:
    """The error in place of a report."""
    details: dict[str, Any] = {
        "type": type(error).__name__,
        "message": str(error),
        "exit_code": error.exit_code,
    }
    if isinstance(error, FileError):
        details["problems"] = list(error.problems)
    return {"schema_version": SCHEMA_VERSION, "error": details}


def render_run(run: Run) -> str:
    """The document of a run: a report where one model was named, else a list of reports and errors."""
    entries = [
        _inside(run.base, outcome.report.to_dict() | {"kept": outcome.kept})
        if outcome.report is not None
        else {"model": outcome.model, **error_to_dict(outcome.error or ConvlintError("not checked"))}
        for outcome in run.outcomes
    ]
    if len(entries) == 1 and not run.several:
        return dumps(entries[0])
    more = {"unused_ignores": _inside(run.base, plain(run.unused_ignores)), "stale_baseline": list(run.stale)}
    return dumps(reports_to_dict(entries, run.exit_code) | more)


def _inside(base: str, value: Any) -> Any:
    """A document whose lines of source are in files named from ``base``, where they lie below it."""
    if isinstance(value, dict):
        made = {key: _inside(base, item) for key, item in value.items()}
        path = made.get("path")
        if isinstance(path, str) and "line" in made and os.path.isabs(path):
            made["path"] = inside(base, path) or path
        return made
    return [_inside(base, item) for item in value] if isinstance(value, list) else value


def reports_to_dict(entries: Iterable[Mapping[str, Any]], exit_code: int) -> dict[str, Any]:
    """Several models in one document, each entry a report or an error with the model's name."""
    return {"schema_version": SCHEMA_VERSION, "exit_code": exit_code, "reports": list(entries)}


def dumps(document: Any) -> str:
    """The text of a JSON document, in ASCII, so that no terminal or locale can spoil it."""
    return json.dumps(document, indent=2, allow_nan=False) + "\n"
