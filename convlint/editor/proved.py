"""The changes that ``convlint fix --write`` would write, as the files would be with them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convlint.repair.source.changes import source_changes
from convlint.repair.source.edit import edited_files
from convlint.repair.source.proof import Original
from convlint.rules.rulebook import load_rulebook
from convlint.runs.fixed import fixed_model, made_with
from convlint.runs.opening import in_full, opened
from convlint.settings.jobs import Job
from convlint.text import count


def proved_files(job: Job, progress: Callable[[str], None]) -> dict[str, Any]:
    """Every file with its proved edits, by path, and one sentence about what is left; nothing is written."""
    job, _ = in_full(job, progress)
    with opened(job, progress) as source:
        module, inputs, fixed = fixed_model(source, job, False, "", progress)
    progress("proving the edits")
    rules = load_rulebook([Path(path) for path in job.options.rule_paths])
    original = Original(
        module,
        job.spec,
        job.args,
        job.arg_exprs,
        job.root or os.getcwd(),
        inputs,
        job.options.timeout,
        fixed.target or job.options.target,
    )
    changes = source_changes(fixed, tuple(rules), original, made_with(), unsafe=False)
    edited = edited_files(changes.edits)
    files = {os.path.realpath(path): data.decode("utf-8") for path, data in edited.items()}
    if changes.place is not None and changes.text:
        files[os.path.realpath(changes.place.path)] = changes.text
    left = [f"{refusal.site}: {refusal.reason}" for refusal in changes.refusals]
    said = f"{count(len(changes.edits), 'line')} changed, and compared with the model"
    said += f"; {count(len(left), 'line')} left: {left[0]}" if left else ""
    return {"files": files, "said": f"{job.name}: {said}."}
