"""``convlint fix``: load, fix, find the source changes, write them where asked, show it all."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from convlint.coreml.targets import normalise_target
from convlint.errors import UsageError
from convlint.interface.inputs import make_tensors, parse_inputs
from convlint.model import Site
from convlint.repair.source.edit import Edit, Refusal, apply_edits, diff_of, find_edit
from convlint.repair.source.proof import Original, proved
from convlint.rules.match import for_op
from convlint.rules.rulebook import load_rulebook
from convlint.runs.progress import Progress, silence_libraries
from convlint.settings.project import find_project
from convlint.usercode.arguments import parse_expressions, parse_literals

if TYPE_CHECKING:
    from convlint.model import Rule
    from convlint.model.fixed import Fixed
    from convlint.output.fixed import Checked


def fix(options: argparse.Namespace, out: TextIO) -> int:
    """Fix one model; exit code 0 where the fixed model converts, 1 where it does not."""
    project = find_project(file=options.config)
    args = parse_literals(options.arg or ())
    exprs = parse_expressions(options.arg_expr or ())
    inputs = parse_inputs(options.input or ())
    root, spec, settings = None, options.spec, project.settings
    if spec is None:
        if options.model is None:
            raise UsageError("name the model to fix: SPEC, or --model NAME of a configured one.")
        model = project.model(options.model)
        root, spec, settings = project.root, model.spec, model.settings
        args, exprs = {**model.args, **args}, {**model.arg_exprs, **exprs}
        inputs = inputs or model.inputs
    target = settings.target if options.target is None else normalise_target(options.target)
    converters, timeout = options.converters or settings.converters, settings.timeout
    if not inputs:
        raise UsageError(f"no input is given for {spec}. Write one --input for each tensor: 1x3x224x224.")
    from convlint.usercode.spec import load_model

    with Progress(spec, enabled=not options.quiet) as progress:
        progress("importing")
        loaded = load_model(spec, args, exprs, root=root, timeout=timeout)
        if not options.debug:
            silence_libraries()
        from convlint.capture.build import build_on_cpu
        from convlint.capture.flexible import dynamic_shapes
        from convlint.capture.methods import Source
        from convlint.checking.offers.image_fold import fold_notes
        from convlint.repair.fix import fix_module
        from convlint.usercode.converters import own_converters

        progress("building")
        module = build_on_cpu(loaded.build)
        given = make_tensors(inputs)
        with own_converters(converters, root, timeout):
            fixed = fix_module(
                module,
                given,
                target,
                unsafe=options.unsafe,
                for_=options.for_,
                dynamic_shapes=dynamic_shapes(module, *given, inputs),
                timeout=timeout,
                progress=progress,
            )
            folds = fold_notes(Source(None, module, lambda: given, inputs), fixed.program, timeout)
        fixed = replace(fixed, notes=(*fixed.notes, *folds))
    rules = load_rulebook([Path(path) for path in (*project.rule_paths, *(options.rule_path or ()))])
    found, refusals = source_changes(fixed, tuple(rules), root or os.getcwd(), unsafe=options.unsafe)
    original = Original(module, spec, args, exprs, root or os.getcwd(), given, timeout)
    edits, wrong = proved(found, original)
    refusals += [Refusal(Site(edit.path, edit.line), reason) for edit, reason in wrong.items()]
    diff = diff_of(edits)
    written, unwritten = apply_edits(edits) if options.write else ([], [])
    refusals += unwritten
    from convlint.output.fixed import FixReport, fixed_to_dict, render_fixed

    report = FixReport(
        options.spec or options.model,
        fixed,
        diff,
        tuple(dict.fromkeys(Site(edit.path, edit.line) for edit in edits)),
        tuple(refusals),
        tuple(written),
        _checked(options) if written else None,
    )
    if options.format == "json":
        from convlint.output.json import dumps

        out.write(dumps(fixed_to_dict(report)))
    else:
        from rich.console import Console

        render_fixed(report, Console(file=out, highlight=False))
    return report.exit_code


def _checked(options: argparse.Namespace) -> Checked:
    """What ``convlint check`` says of the model as its files stand now, in a fresh process."""
    from convlint.output.fixed import Checked

    command = [sys.executable, "-m", "convlint", "check", "--format", "json", "--quiet", "--no-cache"]
    if options.spec is not None:
        command.append(options.spec)
    for flag, values in (
        ("--model", [options.model] if options.spec is None else []),
        ("--input", options.input),
        ("--arg", options.arg),
        ("--arg-expr", options.arg_expr),
        ("--converters", options.converters),
        ("--rule-path", options.rule_path),
        ("--target", [options.target] if options.target else []),
        ("--config", [options.config] if options.config else []),
    ):
        for value in values or ():
            command += [flag, str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        told = json.loads(done.stdout)
        reports = told.get("reports", told.get("models", [told]))
        headline = str(reports[0]["verdict"]["headline"])
    except (ValueError, KeyError, IndexError, AttributeError, TypeError):
        lines = (done.stderr or done.stdout).strip().splitlines()
        headline = f"`convlint check` ended with exit code {done.returncode}" + (
            f": {lines[-1]}" if lines else ""
        )
    return Checked(done.returncode, headline)


def source_changes(
    fixed: Fixed, rules: Sequence[Rule], project: str, *, unsafe: bool
) -> tuple[list[Edit], list[Refusal]]:
    """The edits of the user's lines that say in source what was changed, and the lines without one."""
    edits: dict[Edit, None] = {}
    refusals: dict[tuple[str, int], Refusal] = {}
    for change in fixed.applied:
        mine = [for_op(rule, change.op) for rule in rules if _about(rule, change.op)]
        site = change.caller or change.site
        if site is None or change.kind in ("record", "split", "state"):
            continue  # said of the model, not of how a line is written
        found = find_edit(site, mine, project, unsafe=unsafe)
        if isinstance(found, Edit):
            edits[found] = None
        else:
            refusals[site.path, site.line] = found
    lines = {(edit.path, edit.line) for edit in edits}
    return list(edits), [refusal for place, refusal in refusals.items() if place not in lines]


def _about(rule: Rule, op: str) -> bool:
    named = (name for match in rule.matches if match.subject == "op" for name in match.names if name != "*")
    return any(fnmatchcase(op, name) for name in named)
