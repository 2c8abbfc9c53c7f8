"""``convlint init``: start a configuration and a pre-commit hook for the models of a project.

The project's files are read, not run. What they do not say, above all the shapes of the inputs, is
guessed and marked for the user to check.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from convlint.destination import FileKind, Place, checked_place, reason_of
from convlint.errors import UsageError
from convlint.files import Changed, replace_file
from convlint.settings.project import OWN_FILE, SHARED_FILE, find_project
from convlint.text import count, shown_path, visible
from convlint.usercode.module_search import FoundModel, models_below

HOOK_FILE = ".pre-commit-config.yaml"
_HOOK = """\
  - repo: local
    hooks:
      - id: convlint
        name: convlint
        entry: convlint check --format concise --changed
        language: system
        types: [python]
        require_serial: true
"""
_SHAPE = "1x3x224x224"


def init(out: TextIO, *, yes: bool) -> int:
    """Look for models, show what would be written, and write it where the user says yes."""
    folder = Path.cwd()
    project = find_project(folder)
    if project.file is not None and os.path.dirname(project.file) == str(folder):
        raise UsageError(
            f"{shown_path(project.file)} already holds a configuration: add models to it by hand, or remove"
            " it first."
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
    place = checked_place("init", str(file), FileKind("a configuration", _is_text))
    before = Path(place.real).read_bytes() if os.path.exists(place.real) else None
    new_hook = not os.path.lexists(hook)
    if new_hook:
        checked_place("init", str(hook), FileKind("a configuration of pre-commit", _is_text))
    out.write(
        f"{count(len(models), 'model')} found. {shown_path(str(file))} would get:\n\n{visible(table)}\n"
    )
    if not new_hook:
        out.write(f"{HOOK_FILE} exists; add this to its `repos`:\n\n{_HOOK}\n")
    else:
        out.write(f"{HOOK_FILE} would be:\n\nrepos:\n{_HOOK}\n")
    out.flush()
    if not (yes or _agreed()):
        out.write("Nothing was written.\n")
        return 0
    _add(place, before, table)
    if new_hook and not os.path.lexists(hook):
        replace_file(hook, f"repos:\n{_HOOK}".encode())
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


def _is_text(head: bytes) -> bool:
    return b"\0" not in head


def _add(place: Place, before: bytes | None, table: str) -> None:
    """Append the table to the file, and leave its bytes, mode and links as they are."""
    old = before or b""
    newline = "\r\n" if b"\r\n" in old else "\n"
    gap = "" if not old else "\n" if old.endswith(b"\n") else "\n\n"
    added = f"{gap}{table}".replace("\n", newline).encode()
    try:
        replace_file(Path(place.real), old + added, before)
    except Changed:
        raise UsageError(f"{shown_path(place.path)} was changed meanwhile; run init again.") from None
    except OSError as error:
        raise UsageError(f"cannot write {shown_path(place.path)}: {reason_of(error)}.") from error


def _agreed() -> bool:
    if not sys.stdin or not sys.stdin.isatty():
        return False
    sys.stderr.write("Write this? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
