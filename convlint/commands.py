"""What each command does with its parsed options: gather, run, write to the stream it is given."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TextIO

from convlint.config import NO_TRIAL, Project, Settings, find_project
from convlint.errors import ConvlintError, UsageError
from convlint.inputs import InputSpec, parse_inputs
from convlint.progress import Progress, silence_libraries
from convlint.targets import normalise_target
from convlint.text import count, visible
from convlint.versions import parse_release

if TYPE_CHECKING:
    from convlint.model import Report
    from convlint.spec import LoadedModel


@dataclass(frozen=True, slots=True)
class _Job:
    """One model to check."""

    name: str
    spec: str
    args: Mapping[str, Any]
    arg_exprs: Mapping[str, str]
    inputs: tuple[InputSpec, ...]
    settings: Settings
    root: str | None


def check(options: argparse.Namespace, out: TextIO) -> int:
    """Check one model, or every configured one; the exit code is the worst of all."""
    project = find_project()
    if options.coremltools is not None:
        parse_release(options.coremltools)
    jobs = _jobs(options, project)
    if options.diff_coremltools:
        return _compare_releases(jobs, options, project, out)
    several = options.spec is None and len(options.model or ()) != 1
    entries: list[dict[str, Any]] = []
    verdicts: list[str] = []
    worst = 0
    for job in jobs:
        try:
            report = _check_one(job, options, project)
        except ConvlintError as error:
            if not several:
                raise
            entries.append(_failed(job, error))
            verdicts.append("failed")
            worst = max(worst, error.exit_code)
            continue
        worst = max(worst, report.exit_code)
        verdicts.append(report.convertible)
        if options.format == "json":
            entries.append(report.to_dict())
        else:
            _show(report, options, out, gap=len(verdicts) > 1)
    if options.format == "json":
        from convlint.output.json import dumps, reports_to_dict

        out.write(dumps(reports_to_dict(entries, worst) if several else entries[0]))
    elif options.format == "terminal" and len(jobs) > 1 and not options.quiet:
        out.write(f"\n{_tally(verdicts)}\n")
    return worst


def _compare_releases(
    jobs: Sequence[_Job], options: argparse.Namespace, project: Project, out: TextIO
) -> int:
    """Say for each model what another coremltools would change; exit code 1 where something breaks."""
    from convlint.output.json import dumps, reports_to_dict
    from convlint.output.upgrade import upgrade_text, upgrade_to_dict
    from convlint.upgrade import compare

    releases = [parse_release(text).text for text in options.diff_coremltools]
    if options.coremltools is not None or options.trial not in (None, NO_TRIAL):
        raise UsageError(
            "--diff-coremltools compares by the rules alone: leave --coremltools and --trial out."
        )
    entries = []
    worst = 0
    for job in jobs:
        alone = replace(job, settings=replace(job.settings, trial=None))
        reports = [
            _check_one(alone, argparse.Namespace(**{**vars(options), "coremltools": release}), project)
            for release in releases
        ]
        upgrade = compare(*reports)
        codes = [report.exit_code for report in reports if report.exit_code == 3]
        worst = max(worst, upgrade.exit_code(job.settings.fail_on), *codes)
        if options.format == "json":
            entries.append(upgrade_to_dict(upgrade))
        else:
            out.write(("\n" if job is not jobs[0] else "") + upgrade_text(upgrade))
    if options.format == "json":
        out.write(dumps(reports_to_dict(entries, worst) if len(jobs) > 1 else entries[0]))
    return worst


def _jobs(options: argparse.Namespace, project: Project) -> list[_Job]:
    from convlint.arguments import parse_expressions, parse_literals

    inputs = parse_inputs(options.input or ())
    args = parse_literals(options.arg or ())
    arg_exprs = parse_expressions(options.arg_expr or ())
    if options.spec is not None:
        if options.model:
            raise UsageError("give either SPEC or --model, not both.")
        settings = _settings(options, project.settings)
        return [_Job(options.spec, options.spec, args, arg_exprs, inputs, settings, None)]
    if options.model:
        models = [project.model(name) for name in dict.fromkeys(options.model)]
    else:
        models = list(project.models)
    if not models:
        raise UsageError(
            "nothing to check: give a model such as torchvision.models:resnet50 with its --input, or"
            " configure models in [[tool.convlint.models]] of pyproject.toml."
        )
    one_only = {"--input": inputs, "--arg": args, "--arg-expr": arg_exprs, "--output": options.output}
    given = [name for name, value in one_only.items() if value]
    if given and len(models) > 1:
        raise UsageError(f"{given[0]} is for one model, and {len(models)} are to be checked: name one.")
    return [
        _Job(
            model.name,
            model.spec,
            {**model.args, **args},
            {**model.arg_exprs, **arg_exprs},
            inputs or model.inputs,
            _settings(options, model.settings),
            project.root,
        )
        for model in models
    ]


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
    for name in ("frontend", "fail_on"):
        if getattr(options, name) is not None:
            given[name] = getattr(options, name)
    settings = replace(base, **given)
    if options.output is not None and settings.trial != "full":
        raise UsageError("--output keeps what --trial full writes: give both.")
    if options.parity is not None and settings.trial is None:
        raise UsageError("--parity runs what a trial converted: leave --no-trial out.")
    return settings


def _words(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    words = tuple(word.strip() for text in texts for word in text.split(",") if word.strip())
    if not words:
        raise UsageError(f"--{name} names no rule: give a code such as CL104, a name or a category.")
    return words


def _check_one(job: _Job, options: argparse.Namespace, project: Project) -> Report:
    from convlint.spec import load_model

    settings = job.settings
    with Progress(job.name, enabled=not options.quiet) as progress:
        progress("importing")
        loaded = load_model(job.spec, job.args, job.arg_exprs, root=job.root, timeout=settings.timeout)
        if not job.inputs:
            raise UsageError(_no_input(job, loaded))
        if not options.debug:
            silence_libraries()
        from convlint.check import Options, check_model

        return check_model(
            job.name,
            loaded.build,
            job.inputs,
            Options(
                target=settings.target,
                frontend=settings.frontend,
                trial=settings.trial,
                timeout=settings.timeout,
                output=options.output,
                select=settings.select,
                ignore=settings.ignore,
                rule_paths=(*project.rule_paths, *(options.rule_path or ())),
                coremltools=options.coremltools,
                why=options.why,
                fail_on=settings.fail_on,
                project=job.root or os.getcwd(),
                parity=options.parity,
            ),
            progress,
        )


def _no_input(job: _Job, loaded: LoadedModel) -> str:
    takes = f" Its forward takes {', '.join(loaded.parameters)}." if loaded.parameters else ""
    return (
        f"no input is given for {job.name}.{takes} Write one --input for each tensor, for example"
        " --input 1x3x224x224 or --input input_ids=1x64:int64."
    )


def _show(report: Report, options: argparse.Namespace, out: TextIO, *, gap: bool) -> None:
    if options.format == "concise":
        from convlint.output.concise import render_concise
        from convlint.output.verdict import verdict

        out.write(render_concise(report))
        if not options.quiet:
            out.flush()
            result = verdict(report)
            _tell(f"{report.model}: {result.headline} {result.next_step}")
        return
    from rich.console import Console

    from convlint.output.terminal import render

    if gap:
        out.write("\n")
    render(report, Console(file=out, highlight=False), quiet=options.quiet)


def _failed(job: _Job, error: ConvlintError) -> dict[str, Any]:
    from convlint.output.json import error_to_dict

    _tell(f"convlint: error: {job.name}: {error}")
    return {"model": job.name, **error_to_dict(error)}


def _tally(verdicts: Sequence[str]) -> str:
    words = {"yes": "converts", "no": "does not convert", "unknown": "unknown", "failed": "not checked"}
    parts = [f"{verdicts.count(word)} {text}" for word, text in words.items() if word in verdicts]
    return f"{count(len(verdicts), 'model')}: {', '.join(parts)}"


def _tell(text: str) -> None:
    sys.stderr.write(f"{visible(text)}\n")
