"""The settings that a check would use, each with where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from convlint.checking.options import Options
from convlint.settings.jobs import Job
from convlint.settings.keys import NO_TRIAL
from convlint.settings.project import SETTING_FIELDS, Project
from convlint.text import shown_path

DEFAULT = "default"


def settings_text(project: Project, jobs: Sequence[Job], cache: str | None) -> str:
    """TOML with the settings of all layers together, and the origin of each value behind it."""
    lines = [f"# {shown_path(project.file)}" if project.file else "# no configuration file"]
    for value, name, origin in _of_project(project, cache):
        lines.append(_line(name, value, origin))
    for job in jobs:
        lines += ["", "[[models]]", _line("name", job.name), _line("spec", job.spec)]
        settings = {"args": dict(job.args), "arg-exprs": dict(job.arg_exprs), "depends": list(job.depends)}
        settings["inputs"] = [str(spec) for spec in job.inputs]
        settings["outputs"] = [str(spec) for spec in job.options.outputs]
        lines += [_line(name, value) for name, value in settings.items() if value]
        lines += [_line(name, value, origin) for value, name, origin in _of_options(job.options)]
    return "\n".join(lines) + "\n"


def settings_to_dict(project: Project, jobs: Sequence[Job], cache: str | None) -> dict[str, Any]:
    """The same for programs: every setting as its value and its origin."""
    return {
        "file": project.file,
        "project": {
            name: {"value": value, "origin": origin} for value, name, origin in _of_project(project, cache)
        },
        "models": [
            {
                "name": job.name,
                "spec": job.spec,
                "args": {name: repr(value) for name, value in job.args.items()},
                "arg-exprs": dict(job.arg_exprs),
                "inputs": [str(spec) for spec in job.inputs],
                "outputs": [str(spec) for spec in job.options.outputs],
                "depends": list(job.depends),
                "settings": {
                    name: {"value": value, "origin": origin}
                    for value, name, origin in _of_options(job.options)
                },
            }
            for job in jobs
        ],
    }


def _of_project(project: Project, cache: str | None) -> Iterator[tuple[Any, str, str]]:
    origins = project.origins
    shown = shown_path(project.file) if project.file else DEFAULT
    yield list(project.rule_paths), "rule-paths", shown if project.rule_paths else DEFAULT
    yield project.cache, "cache", origins.get("cache", DEFAULT)
    yield cache or "", "cache-dir", origins.get("cache_dir", DEFAULT)
    for name in ("baseline", "chip", "os"):
        yield getattr(project, name) or "", name, origins.get(name, DEFAULT)


def _of_options(options: Options) -> Iterator[tuple[Any, str, str]]:
    for name in SETTING_FIELDS:
        value = getattr(options, name)
        if name == "trial" and value is None:
            value = NO_TRIAL
        if isinstance(value, Mapping):
            value = {pattern: list(rules) for pattern, rules in value.items()}
        plain = list(value) if isinstance(value, tuple) else value
        yield plain, name.replace("_", "-"), options.origins.get(name, DEFAULT)


def _line(name: str, value: Any, origin: str = "") -> str:
    return f"{name} = {_toml(value)}" + (f"  # {origin}" if origin else "")


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + " }"
            if value
            else "{}"
        )
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)  # dates and times
