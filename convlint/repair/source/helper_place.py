"""Where the helper file goes, and how the files that use it import it.

In a package it is a module of the package, imported by ``from . import coreml_ops``: beside the edited file,
or in the innermost folder that holds all of them. Elsewhere it lies in the folder that Python imports the
user's modules from: that of the spec's file, or the project's for a spec that names a module.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from convlint.destination import reason_of
from convlint.files import Changed, beside, remove, replace_file
from convlint.repair.source.helper_file import FILE, Helpers, read_helpers
from convlint.repair.source.helper_line import MODULE
from convlint.text import shown_path

_WRITABLE = 0o222


@dataclass(frozen=True, slots=True)
class HelperPlace:
    """A helper file at ``path``; ``package`` is the folder above the package that it is in, or empty."""

    path: str
    package: str = ""

    def statement(self, file: str) -> str:
        """How ``file`` imports the helpers."""
        if not self.package:
            return f"import {MODULE}"
        up = Path(os.path.relpath(Path(file).resolve().parent, Path(self.path).parent)).parts
        return f"from {'.' * (len(up) + 1)} import {MODULE}"

    def problem(self, project: str) -> str:
        """Why no helper file can be written here; empty where one can."""
        path, folder = Path(self.path), Path(self.path).parent
        shown = shown_path(self.path)
        if not path.resolve().is_relative_to(Path(project).resolve()):
            return f"{shown} would lie outside of the project"
        if not os.access(folder, os.W_OK) or not folder.stat().st_mode & _WRITABLE:
            return f"{shown} cannot be written: its folder is read-only"
        if path.is_symlink() or (path.exists() and not path.is_file()):
            return f"{shown} is no ordinary file, so it is left as it is"
        if not path.exists():
            return ""
        if not os.access(path, os.W_OK) or not path.stat().st_mode & _WRITABLE:
            return f"{shown} is read-only"
        if self.existing() is None:
            return f"{shown} was not written by convlint, or was changed since, so it is left as it is"
        return ""

    def read(self) -> bytes | None:
        """What stands there now; None for nothing."""
        try:
            return Path(self.path).read_bytes()
        except OSError:
            return None

    def existing(self) -> Helpers | None:
        """What the helper file that stands there holds; None where nothing, or something else, does."""
        data = self.read()
        try:
            return read_helpers(data.decode().replace("\r\n", "\n")) if data is not None else None
        except UnicodeDecodeError:
            return None

    def write(self, data: bytes, before: bytes | None) -> str:
        """Write the file, which held ``before``: why it was not written, empty where it was."""
        try:
            if before is not None:
                replace_file(Path(self.path), data, before)
                return ""
            temporary = beside(Path(self.path), ".tmp")
            try:
                temporary.write_bytes(data)
                os.link(temporary, self.path)  # unlike a rename, it never replaces what came meanwhile
            finally:
                remove(temporary)
        except (Changed, FileExistsError):
            return f"{shown_path(self.path)} was changed meanwhile: run again"
        except OSError as error:
            return f"{shown_path(self.path)} cannot be written: {reason_of(error)}"
        return ""


def place_of_helpers(files: Sequence[str], spec: str, root: str) -> HelperPlace:
    """The place of the helper file for edits of ``files``, or for the spec where there are none."""
    where = spec.rpartition(":")[0]
    named = os.path.join(root, os.path.expanduser(where)) if where.endswith(".py") else ""
    folders = [Path(file).resolve().parent for file in (files or [named] if files or named else [])]
    tops = {_above_package(folder) for folder in folders}
    packaged = folders and all(_above_package(folder) != folder for folder in folders) and len(tops) == 1
    if packaged:
        common = Path(os.path.commonpath(folders))
        top = tops.pop()
        if common != top:
            return HelperPlace(str(common / FILE), str(top))
    start = _above_package(Path(named).resolve().parent) if named else Path(root).resolve()
    return HelperPlace(str(start / FILE))


def _above_package(folder: Path) -> Path:
    """The folder from which a package is imported; a folder outside of packages itself."""
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        folder = folder.parent
    return folder
