"""Whether a model built from edited source still computes the same, asked before anything is written.

A fresh Python imports the user's modules with the edited texts in the place of the files, builds the
model, gives it the weights of the original and runs it on the same inputs.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from convlint.repair.source.edit import Edit, edited_files
from convlint.supervision import prefix_of
from convlint.text import one_line


@dataclass(frozen=True, slots=True)
class Original:
    """The model that was fixed, and how it was built. ``inputs`` are its arguments."""

    module: Any
    spec: str
    args: Mapping[str, Any]
    arg_exprs: Mapping[str, str]
    root: str
    inputs: tuple[tuple[Any, ...], dict[str, Any]]
    timeout: float


def proved(edits: Sequence[Edit], original: Original) -> tuple[list[Edit], dict[Edit, str]]:
    """The edits after which the model computes the same, and why the others are no good."""
    if not edits:
        return [], {}
    problem = _problem(edits, original)
    if not problem:
        return list(edits), {}
    if len(edits) == 1:
        return [], {edits[0]: problem}
    alone = {edit: _problem([edit], original) for edit in edits}
    good = [edit for edit, text in alone.items() if not text]
    bad = {edit: text for edit, text in alone.items() if text}
    together = _problem(good, original) if bad and good else ""
    if together or not bad:
        return [], dict.fromkeys(edits, together or problem)
    return good, bad


def _problem(edits: Sequence[Edit], original: Original) -> str:
    """How the edited model differs from the original; empty where it does not."""
    import torch

    from convlint.numerics.comparison import module_difference, outputs_of
    from convlint.numerics.tolerance import FIXED

    with tempfile.TemporaryDirectory(prefix=prefix_of(os.getpid())) as folder:
        job = os.path.join(folder, "job.pt")
        torch.save(
            {
                "texts": {os.path.realpath(path): data for path, data in edited_files(edits).items()},
                "spec": original.spec,
                "args": dict(original.args),
                "arg_exprs": dict(original.arg_exprs),
                "root": original.root,
                "inputs": original.inputs,
                "state": original.module.state_dict(),
                "timeout": original.timeout,
            },
            job,
        )
        command = [
            sys.executable,
            "-X",
            f"pycache_prefix={folder}",
            "-m",
            "convlint.repair.source.proof",
            job,
        ]
        try:
            done = subprocess.run(command, capture_output=True, timeout=2 * original.timeout, check=False)
        except subprocess.TimeoutExpired:
            return "the edited model did not end in time"
        result = os.path.join(folder, "outputs.pt")
        if done.returncode or not os.path.exists(result):
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            died = f"its process ended with exit code {done.returncode}"
            return (
                f"the edited model does not run: {one_line(said[-1]) if done.returncode and said else died}"
            )
        edited = torch.load(result, weights_only=True)
    problem = module_difference(edited, outputs_of(original.module, original.inputs, 0)).beyond(FIXED)
    return f"the edited model gives other values: {problem}" if problem else ""


def _run(path: str) -> None:
    """The fresh Python: import with the edited texts, build, run, save the outputs."""
    from importlib.machinery import SourceFileLoader

    import torch

    from convlint.numerics.comparison import outputs_of
    from convlint.usercode.spec import load_model

    job = torch.load(path, weights_only=False)  # written by this very program a moment ago
    texts: dict[str, bytes] = job["texts"]
    read = SourceFileLoader.get_data

    def get_data(self: SourceFileLoader, name: str) -> bytes:
        text = texts.get(os.path.realpath(name))
        return read(self, name) if text is None else text

    vars_of_class: Any = SourceFileLoader
    vars_of_class.get_data = get_data
    loaded = load_model(job["spec"], job["args"], job["arg_exprs"], root=job["root"], timeout=job["timeout"])
    module = loaded.build()
    module.load_state_dict(job["state"])
    outputs = outputs_of(module, job["inputs"], 0)
    torch.save(outputs, os.path.join(os.path.dirname(path), "outputs.pt"))


if __name__ == "__main__":
    _run(sys.argv[1])
