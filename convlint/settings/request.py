"""The request of a command: its models, its settings, and the jobs that the configuration makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from convlint.checking.options import Options
from convlint.errors import UsageError
from convlint.interface.inputs import InputSpec
from convlint.settings.jobs import Job
from convlint.settings.project import Project


@dataclass(frozen=True)
class Request:
    """The models that a command looks at, and the settings that override the configuration.

    ``spec`` is a model outside of the configuration, ``models`` are names in it; without both, all its
    models are meant. ``overrides`` are fields of :class:`Options`; ``rule_paths`` follow the configured
    ones, and ``compress`` is parsed once the target is known. ``chip`` and ``os`` are what to forecast for.
    """

    spec: str | None = None
    models: tuple[str, ...] = ()
    every: bool = False
    inputs: tuple[InputSpec, ...] = ()
    args: Mapping[str, Any] = field(default_factory=dict)
    arg_exprs: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    rule_paths: tuple[str, ...] = ()
    compress: tuple[str, ...] = ()
    chip: str | None = None
    os: str | None = None

    @property
    def several(self) -> bool:
        """Whether the request could name several models, even where it comes to one."""
        return self.spec is None and len(self.models) != 1


_OF_ONE: Mapping[str, Callable[[Request], Any]] = {
    "--input": lambda request: request.inputs,
    "--arg": lambda request: request.args,
    "--arg-expr": lambda request: request.arg_exprs,
    "--save-package": lambda request: request.overrides.get("output"),
    "--checkpoint": lambda request: request.overrides.get("checkpoint"),
    "--output-type": lambda request: request.overrides.get("outputs"),
}
"""Settings that only make sense for one model."""


def jobs_of(request: Request, project: Project) -> list[Job]:
    """The requested jobs, or all configured ones."""
    if request.spec is not None:
        if request.models or request.every:
            other = "--model" if request.models else "--all"
            raise UsageError(f"give either SPEC or {other}, not both.")
        return [_with(Job(request.spec, request.spec, options=project.options), request, project)]
    jobs = [project.model(name) for name in dict.fromkeys(request.models)] or list(project.models)
    if not jobs:
        raise UsageError(
            "no model is named: give one such as torchvision.models:resnet50 with its --input, or"
            " configure models in [[tool.convlint.models]] of pyproject.toml (`convlint init` starts one)."
        )
    for option, value in _OF_ONE.items():
        if value(request) and len(jobs) > 1:
            raise UsageError(f"{option} is for one model, and {len(jobs)} are to be checked: name one.")
    return [_with(job, request, project) for job in jobs]


def one_job(request: Request, project: Project, command: str) -> Job:
    """The one model that ``command`` looks at."""
    jobs = jobs_of(request, project)
    if len(jobs) > 1:
        raise UsageError(
            f"{command} looks at one model, and {len(jobs)} are configured: name one by --model NAME."
        )
    return jobs[0]


def _device_names(request: Request, project: Project) -> tuple[str | None, str | None]:
    """The chip and the system to forecast for: from the command line, else from the configuration.

    The configured system belongs to the configured chip, and does not count for another one.
    """
    if request.chip is not None:
        return request.chip, request.os
    return project.chip, project.os if request.os is None else request.os


def _with(job: Job, request: Request, project: Project) -> Job:
    """``job`` with the overrides of the request."""
    return replace(
        job,
        args={**job.args, **request.args},
        arg_exprs={**job.arg_exprs, **request.arg_exprs},
        inputs=request.inputs or job.inputs,
        options=_options(job.options, request, project),
    )


def _options(configured: Options, request: Request, project: Project) -> Options:
    options = configured.over(request.overrides, "the command line")
    chip, system = _device_names(request, project)
    options = replace(options, chip=chip, os=system)
    options = replace(options, rule_paths=(*options.rule_paths, *request.rule_paths))
    if request.compress:
        from convlint.compression.settings import parse_settings

        options = replace(options, compress=parse_settings(request.compress, options.target))
    if options.output is not None and options.trial != "full":
        level = "none" if options.trial is None else options.trial
        raise UsageError(f"--save-package writes what a full conversion makes: leave --trial {level} out.")
    if options.trial is None and options.parity is not None:
        raise UsageError("--parity runs what a trial converted: leave --trial none out.")
    if options.trial is None and (options.compress or options.precision is not None):
        raise UsageError("sizes and errors are those of what a trial converts: leave --trial none out.")
    return options
