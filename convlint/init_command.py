"""``convlint init``: begin a configuration and a pre-commit hook for the models of a project.

The project's files are read and not run. What cannot be read from them, the shapes of the inputs
above all, is proposed and marked to be looked at.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from convlint.config import OWN_FILE, SHARED_FILE, find_project
from convlint.errors import UsageError
from convlint.files import write_atomically
from convlint.module_search import FoundModel, models_below
from convlint.text import count, shown_path, visible

HOOK_FILE = ".pre-commit-config.yaml"
_HOOK = """\
  - repo: local
    hooks:
      - id: convlint
        name: convlint
        entry: convlint check --changed
        language: system
        types: [python]
        require_serial: true
"""
_SHAPE = "1x3x224x224"


def init(options: argparse.Namespace, out: TextIO) -> int:
    """Look for models, show what would be written, and write it where the user says yes."""
    folder = Path.cwd()
    project = find_project(folder)
    if project.file is not None and os.path.dirname(project.file) == str(folder):
        raise UsageError(
            f"{shown_path(project.file)} holds a configuration already: add models to it by hand, or take it"
            " out first."
        )
    models = models_below(folder)
    if not models:
        raise UsageError(
            "no model was found here: no class in the Python files below this folder derives from nn.Module"
            " and has a forward. Run `convlint init` in the folder of the project."
        )
    shared = folder / SHARED_FILE
    file = shared if shared.is_file() else folder / OWN_FILE
    table = _configuration(models, "tool.convlint." if file == shared else "")
    hook = folder / HOOK_FILE
    out.write(
        f"{count(len(models), 'model')} found. {shown_path(str(file))} would get:\n\n{visible(table)}\n"
    )
    if hook.exists():
        out.write(f"{HOOK_FILE} is there already; its `repos` would take:\n\n{_HOOK}\n")
    else:
        out.write(f"{HOOK_FILE} would be:\n\nrepos:\n{_HOOK}\n")
    out.flush()
    if not (options.yes or _agreed()):
        out.write("Nothing was written.\n")
        return 0
    _write(file, table)
    if not hook.exists():
        write_atomically(hook, f"repos:\n{_HOOK}")
    out.write(
        f"Written. Look at the inputs in {shown_path(str(file))}, then run `convlint check` and"
        " `pre-commit install`.\n"
    )
    return 0


def _configuration(models: Sequence[FoundModel], prefix: str) -> str:
    lines = ['target = "iOS17"'] if not prefix else ["[tool.convlint]", 'target = "iOS17"']
    for model in models:
        lines += ["", f"[[{prefix}models]]", f"name = {json.dumps(model.name)}"]
        lines.append(f"spec = {json.dumps(model.spec, ensure_ascii=False)}")
        if model.needs:
            needs = ", ".join(f"{name} = ?" for name in model.needs)
            lines.append(f"# args = {{ {needs} }}  # its constructor needs these")
        shapes = [json.dumps(f"{name}={_SHAPE}") for name in model.takes]
        lines.append(f"inputs = [{', '.join(shapes)}]  # look at this: the shapes that forward takes")
    return "\n".join(lines) + "\n"


def _write(file: Path, table: str) -> None:
    """Add the table at the end of the file, whose own text stays as it is."""
    try:
        before = file.read_text(encoding="utf-8") if file.is_file() else ""
        gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
        write_atomically(file, f"{before}{gap}{table}")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot write {shown_path(str(file))}: {error}.") from error


def _agreed() -> bool:
    if not sys.stdin or not sys.stdin.isatty():
        return False
    sys.stderr.write("Write this? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
