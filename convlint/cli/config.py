"""``convlint config``: every setting and where it comes from, and whether all of it can be used."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from convlint.cli.check import cache_of
from convlint.cli.requests import CheckRequest
from convlint.errors import ConvlintError, SettingsError
from convlint.settings.jobs import Job
from convlint.settings.project import Project, find_project
from convlint.settings.request import jobs_of
from convlint.text import count, shown_path

if TYPE_CHECKING:
    from convlint.checking.options import Options
    from convlint.rules.rulebook import Rulebook


def show_settings(request: CheckRequest, out: TextIO) -> int:
    """Show the settings that a check would have."""
    from convlint.output.json import dumps
    from convlint.output.settings import settings_text, settings_to_dict

    project = find_project(file=request.config)
    jobs = jobs_of(request.models, project)
    cache = cache_of(request.storage, project)
    folder = str(cache.folder) if cache is not None else None
    if request.format == "json":
        out.write(dumps(settings_to_dict(project, jobs, folder)))
    else:
        out.write(settings_text(project, jobs, folder))
    return 0


def check_settings(request: CheckRequest, out: TextIO) -> int:
    """Look for mistakes in all that the configuration names, without running a model; every one is told."""
    project = find_project(file=request.config)
    jobs = jobs_of(request.models, project)
    rulebook, problems = _rules_of(project)
    problems += [*_of_baseline(project), *(problem for job in jobs for problem in _of_job(job, rulebook))]
    if problems:
        raise SettingsError(list(dict.fromkeys(problems)))
    file = shown_path(project.file) if project.file else "no configuration file"
    if request.format == "json":
        from convlint.model.plain import SCHEMA_VERSION
        from convlint.output.json import dumps

        models = [job.name for job in jobs]
        out.write(dumps({"schema_version": SCHEMA_VERSION, "file": project.file, "models": models}))
    else:
        out.write(f"{file}: {count(len(jobs), 'model')}, no mistakes. No model was run.\n")
    return 0


def _rules_of(project: Project) -> tuple[Rulebook, list[str]]:
    """The rules, and what is wrong with those of the project, without which the others are taken."""
    from convlint.rules.rulebook import load_rulebook

    try:
        return load_rulebook([Path(path) for path in project.rule_paths]), []
    except ConvlintError as error:
        return load_rulebook([]), _told(error)


def _of_baseline(project: Project) -> list[str]:
    """What is wrong with the file of known findings."""
    from convlint.checking.baseline import read_baseline

    try:
        if project.baseline is not None:
            read_baseline(project.baseline)
    except ConvlintError as error:
        return _told(error)
    return []


def _of_job(job: Job, rulebook: Rulebook) -> list[str]:
    """What is wrong with one model: files that are not there, rules and devices that do not exist."""
    problems = []
    root, options = job.root or os.getcwd(), job.options
    file, colon, _ = job.spec.rpartition(":")
    named = [("spec", file)] if colon and file.endswith(".py") else []
    named += [("converters", each) for each in options.converters if each.endswith(".py")]
    named += [("checkpoint", options.checkpoint)] if options.checkpoint else []
    for key, path in named:
        if not os.path.isfile(os.path.join(root, path)):
            problems.append(f"{job.name}: {key}: there is no file {shown_path(os.path.join(root, path))}")
    words = (options.select, options.ignore, *options.per_module_ignores.values())
    checks: list[Callable[[], object]] = [partial(rulebook.select, each) for each in words]
    checks.append(partial(_device_of, options))
    for check in checks:
        try:
            check()
        except ConvlintError as error:
            problems += [f"{job.name}: {each}" for each in _told(error)]
    return problems


def _device_of(options: Options) -> None:
    """Raise where no chip or system is as the options name it."""
    if (options.chip, options.os) != (None, None):
        from convlint.checking.shipping import device_of

        device_of(options)


def _told(error: ConvlintError) -> list[str]:
    """The sentences of an error."""
    return list(getattr(error, "problems", ())) or [str(error)]
