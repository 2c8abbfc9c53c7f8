"""``convlint fix``: load, fix, find the source changes, write them where asked, show it all."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from convlint.cli.requests import ModelCommand, command_fields, files_of
from convlint.destination import Place, checked_place, refuse_shared_paths
from convlint.files import remove, replace_file
from convlint.model import Site
from convlint.output.formats import TEXT_FORMATS, destinations, write_texts
from convlint.output.page import Plain
from convlint.repair.source.changes import OF_THE_MODEL, context_changes, source_changes
from convlint.repair.source.program_text import Unsayable, proved_text
from convlint.repair.source.proof import Original
from convlint.repair.source.script import SCRIPT, run_script, script_text
from convlint.repair.source.written import SourceChanges
from convlint.rules.rulebook import load_rulebook
from convlint.runs.fixed import Purpose, fixed_model, made_with
from convlint.runs.opening import in_full, opened
from convlint.runs.progress import Progress
from convlint.settings.jobs import Job
from convlint.settings.project import find_project
from convlint.settings.request import one_job
from convlint.text import shown_path

if TYPE_CHECKING:
    from convlint.model.fixed import Fixed
    from convlint.output.fix_report import Checked, Emitted


@dataclass(frozen=True)
class FixRequest(ModelCommand):
    """``convlint fix``. ``check_again`` has the arguments of ``convlint check`` for the same model."""

    unsafe: bool
    purpose: Purpose
    write: bool
    emit: str | None
    files: tuple[str, ...]
    check_again: tuple[str, ...]


def fix_request(namespace: argparse.Namespace) -> FixRequest:
    """The request of ``fix``."""
    words = [namespace.spec] if namespace.spec is not None else []
    for option in ("model", "input", "arg", "arg_expr", "converters", "rule_path", "target", "config"):
        setting = getattr(namespace, option)
        for value in setting if isinstance(setting, list) else [setting] if setting else []:
            words += [f"--{option.replace('_', '-')}", str(value)]
    words += ["--as-trained"] if namespace.as_trained else []
    return FixRequest(
        **command_fields(namespace),
        unsafe=namespace.unsafe,
        purpose=namespace.for_,
        write=namespace.write,
        emit=namespace.emit,
        files=files_of(namespace),
        check_again=tuple(words),
    )


def fix(request: FixRequest, out: TextIO) -> int:
    """Fix one model; exit code 0 where the fixed model converts, 1 where it does not."""
    job = one_job(request.models, find_project(file=request.config), "fix")
    place = checked_place("--emit", request.emit, SCRIPT) if request.emit is not None else None
    files = destinations(request.files, TEXT_FORMATS)
    if place is not None:
        refuse_shared_paths([place, *(file.place for file in files if file.place is not None)])
    folder, timeout = job.root or os.getcwd(), job.options.timeout
    with Progress(job.name, enabled=not request.quiet) as progress:
        job, notes = in_full(job, progress)
        with opened(job, progress, debug=request.debug) as source:
            module, inputs, fixed = fixed_model(source, job, request.unsafe, request.purpose, progress)
    fixed = replace(fixed, notes=(*notes, *fixed.notes))
    rules = load_rulebook([Path(path) for path in job.options.rule_paths])
    original = Original(
        module, job.spec, job.args, job.arg_exprs, folder, inputs, timeout, fixed.target or job.options.target
    )
    in_source = source_changes if request.write or place is None else context_changes
    changes = in_source(fixed, tuple(rules), original, made_with(), unsafe=request.unsafe)
    diff = changes.diff
    written, unwritten = changes.write() if request.write or place is not None else ([], [])
    emitted = _emitted(place, job, fixed, changes, original) if place is not None else None
    from convlint.output.fix_report import FixReport
    from convlint.output.fixed import fixed_to_dict, render_fixed

    report = FixReport(
        job.name,
        fixed,
        diff,
        tuple(dict.fromkeys(Site(edit.path, edit.line) for edit in changes.edits)),
        (*changes.refusals, *unwritten),
        tuple(written),
        _checked(request.check_again) if written and changes.edits else None,
        tuple(dict.fromkeys(Site(edit.path, edit.line) for edit in changes.helper_edits)),
        changes.place.path if changes.place is not None and changes.text else "",
        changes.context,
        emitted,
        tuple(site for edit in changes.edits if edit.path in written for site in changes.said[edit]),
    )
    from convlint.output.json import dumps
    from convlint.output.terminal import console_of

    def text(format_: str) -> str:
        if format_ == "json":
            return dumps(fixed_to_dict(report))
        written = StringIO()
        render_fixed(report, Plain(written))
        return written.getvalue()

    if request.format == "json":
        out.write(text("json"))
    else:
        render_fixed(report, console_of(out))
    write_texts(files, text)
    return report.exit_code


def _emitted(place: Place, job: Job, fixed: Fixed, changes: SourceChanges, original: Original) -> Emitted:
    """What became of the script that was asked for: it stays where it is only if it does its work."""
    from convlint.output.fix_report import Emitted

    shown = shown_path(place.path)
    if fixed.converts != "yes" or fixed.left_out is not None:
        return Emitted(shown, "the model does not convert as a whole")
    if fixed.form is not None and fixed.form.deployed and fixed.form.changes_program:
        return Emitted(
            shown,
            "it would convert the model as it is trained, and this is its deployed form: let the function"
            " that builds the model switch it, or give --as-trained",
        )
    if not fixed.ships:
        return Emitted(shown, "the program computes something else than the model")
    helpers, program = changes.place if changes.context is not None else None, None
    if _needs_program(fixed, changes):
        try:
            helpers, program = None, proved_text(fixed, original.module)
        except Unsayable as reason:
            return Emitted(shown, f"not every change has a form that works without convlint, and {reason}")
    sparse = [change.op.partition(" ")[2] for change in fixed.applied if change.kind == "dense"]
    text = script_text(place.real, original, made_with(), helpers, job.inputs, program, sparse)
    before = Path(place.real).read_bytes() if os.path.isfile(place.real) else None
    place.write(text)
    problem = run_script(place.real, max(600.0, original.timeout))
    if problem and before is None:
        remove(Path(place.real))
    elif problem and before is not None:
        replace_file(Path(place.real), before)
    return Emitted(shown, f"it was run and failed: {problem}" if problem else "", program is not None)


def _needs_program(fixed: Fixed, changes: SourceChanges) -> bool:
    """Whether neither lines nor the context of the helper file make all changes."""
    of_the_model = any(change.kind in OF_THE_MODEL and change.kind != "dense" for change in fixed.applied)
    return of_the_model or bool(changes.refusals or (changes.context is not None and changes.context.problem))


def _checked(words: Sequence[str]) -> Checked:
    """The result of ``convlint check`` on the files as they are now, in a fresh process."""
    from convlint.output.fix_report import Checked

    command = [sys.executable, "-m", "convlint", "check", "--format", "json", "--quiet", "--no-cache", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer = json.loads(done.stdout)
        reports = answer.get("reports", answer.get("models", [answer]))
        headline = str(reports[0]["verdict"]["headline"])
    except (ValueError, KeyError, IndexError, AttributeError, TypeError):
        lines = (done.stderr or done.stdout).strip().splitlines()
        headline = f"`convlint check` ended with exit code {done.returncode}" + (
            f": {lines[-1]}" if lines else ""
        )
    return Checked(done.returncode, headline)
