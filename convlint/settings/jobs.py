"""What is to be checked: the models of the command line and the configuration, each with all that
decides its result.

A :class:`Job` is plain data, so that it can be a key of the cache and go to another process.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from convlint.compression.settings import Setting, parse_settings
from convlint.coreml.precision import Precision
from convlint.coreml.targets import normalise_target
from convlint.errors import UsageError
from convlint.interface.inputs import InputSpec, parse_inputs
from convlint.interface.outputs import OutputSpec, parse_outputs
from convlint.settings.project import NO_TRIAL, ModelSettings, Project, Settings


@dataclass(frozen=True, slots=True)
class Job:
    """One model to check. ``root`` is the folder of its paths, the working directory where None.

    ``depends`` are patterns of files that the model reads beside its own modules.
    """

    name: str
    spec: str
    args: Mapping[str, Any] = field(default_factory=dict)
    arg_exprs: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[InputSpec, ...] = ()
    settings: Settings = field(default_factory=Settings)
    root: str | None = None
    depends: tuple[str, ...] = ()
    rule_paths: tuple[str, ...] = ()
    coremltools: str | None = None
    why: str | None = None
    output: str | None = None
    parity: Literal["float16", "float32"] | None = None
    precision: Precision | None = None
    compress: tuple[Setting, ...] = ()
    checkpoint: str = ""
    outputs: tuple[OutputSpec, ...] = ()


def chip_of(options: argparse.Namespace, project: Project) -> tuple[str | None, str | None]:
    """The chip and the system to forecast for, of the command line, else of the configuration.

    The system that the configuration names is that of its chip, and says nothing of another one.
    """
    if options.chip is not None:
        return options.chip, options.os
    return project.chip, project.os if options.os is None else options.os


def jobs_of(options: argparse.Namespace, project: Project) -> list[Job]:
    """The jobs that the options name, or all that are configured."""
    inputs = parse_inputs(options.input or ())
    args, arg_exprs = _arguments(options)
    shared: dict[str, Any] = {
        "rule_paths": (*project.rule_paths, *(options.rule_path or ())),
        "coremltools": options.coremltools,
        "why": options.why,
        "output": options.output,
        "parity": getattr(options, "parity", None),
        "precision": getattr(options, "precision", None),
        "checkpoint": getattr(options, "checkpoint", None) or "",
        "outputs": parse_outputs(getattr(options, "output_type", None) or ()),
    }
    if options.spec is not None:
        if options.model or options.all:
            other = "--model" if options.model else "--all"
            raise UsageError(f"give either SPEC or {other}, not both.")
        settings = _settings(options, project.settings)
        compress = _compress(options, settings)
        job = Job(options.spec, options.spec, args, arg_exprs, inputs, settings, compress=compress, **shared)
        return [job]
    if options.model:
        models = [project.model(name) for name in dict.fromkeys(options.model)]
    else:
        models = list(project.models)
    if not models:
        raise UsageError(
            "nothing to check: give a model such as torchvision.models:resnet50 with its --input, or"
            " configure models in [[tool.convlint.models]] of pyproject.toml (`convlint init` begins it)."
        )
    one_only = {"--input": inputs, "--arg": args, "--arg-expr": arg_exprs, "--output": options.output}
    one_only |= {"--checkpoint": shared["checkpoint"], "--output-type": shared["outputs"]}
    given = [name for name, value in one_only.items() if value]
    if given and len(models) > 1:
        raise UsageError(f"{given[0]} is for one model, and {len(models)} are to be checked: name one.")
    return [
        replace(
            job_of(model, project),
            args={**model.args, **args},
            arg_exprs={**model.arg_exprs, **arg_exprs},
            inputs=inputs or model.inputs,
            settings=_settings(options, model.settings),
            compress=_compress(options, _settings(options, model.settings)),
            **{**shared, "outputs": shared["outputs"] or model.outputs},
        )
        for model in models
    ]


def job_of(model: ModelSettings, project: Project) -> Job:
    """A configured model as a job."""
    return Job(
        model.name,
        model.spec,
        model.args,
        model.arg_exprs,
        model.inputs,
        model.settings,
        project.root,
        model.depends,
        project.rule_paths,
        outputs=model.outputs,
    )


def _arguments(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    if not (options.arg or options.arg_expr):
        return {}, {}
    from convlint.usercode.arguments import parse_expressions, parse_literals

    return parse_literals(options.arg or ()), parse_expressions(options.arg_expr or ())


def _settings(options: argparse.Namespace, base: Settings) -> Settings:
    """The file's settings with what the command line says over them."""
    given: dict[str, Any] = {}
    if options.target is not None:
        given["target"] = normalise_target(options.target)
    if options.trial is not None:
        given["trial"] = None if options.trial == NO_TRIAL else options.trial
    if options.timeout is not None:
        if not 0 < options.timeout < math.inf:
            raise UsageError(f"--timeout must be a number of seconds above 0, not {options.timeout:g}.")
        given["timeout"] = options.timeout
    for name in ("select", "ignore"):
        words = getattr(options, name)
        if words is not None:
            given[name] = _words(name, words)
    if getattr(options, "converters", None):
        given["converters"] = tuple(options.converters)
    for name in ("frontend", "fail_on"):
        if getattr(options, name) is not None:
            given[name] = getattr(options, name)
    settings = base.over(given, "the command line")
    if options.output is not None and settings.trial != "full":
        raise UsageError("--output keeps what --trial full writes: give both.")
    if getattr(options, "parity", None) is not None and settings.trial is None:
        raise UsageError("--parity runs what a trial converted: leave --no-trial out.")
    return settings


def _compress(options: argparse.Namespace, settings: Settings) -> tuple[Setting, ...]:
    """What ``--compress`` asks for, where the target can read it."""
    asked = parse_settings(getattr(options, "compress", None) or (), settings.target)
    if settings.trial is None and (asked or getattr(options, "precision", None)):
        raise UsageError("--compress and --precision need what a trial converts: leave --no-trial out.")
    return asked


def without_trial(job: Job) -> Job:
    """The same job, judged by the rules alone."""
    return replace(job, settings=replace(job.settings, trial=None))


def _words(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    words = tuple(word.strip() for text in texts for word in text.split(",") if word.strip())
    if not words:
        raise UsageError(f"--{name} names no rule: give a code such as CL104, a name or a category.")
    return words
