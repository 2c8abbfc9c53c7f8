"""Replacements said on the user's own lines, where the line is written as the rule's example is.

What a rule proves, it proves of its example. On a line that is the same expression over other names the
change is the same change; elsewhere the code is an example, and says nothing of the line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from convlint.installed import is_library
from convlint.model import Finding, LineEdit, Replacement, Site
from convlint.repair.source.edit import Edit, edit_of
from convlint.repair.source.files import SourceFile
from convlint.repair.source.match import Module


def on_own_lines(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings with the change on their own line wherever that can be said."""
    return tuple(map(_said, findings))


def _said(finding: Finding) -> Finding:
    if finding.site is None or not any(each.general for each in finding.replacements):
        return finding
    replacements = tuple(
        replace(each, edit=line_edit(finding.site, each)) if each.general else each
        for each in finding.replacements
    )
    said = {each.title for each in replacements if each.edit is not None}
    # Beside the user's own line an example of the same change says nothing.
    shown = (each for each in replacements if each.edit is not None or each.title not in said)
    return replace(finding, replacements=tuple(shown))


def line_edit(site: Site, replacement: Replacement) -> LineEdit | None:
    """What the line at ``site`` becomes; None where it is written otherwise, or is not the user's."""
    if is_library(site.path) or not replacement.before.strip():
        return None
    module = _module(site.path, _changed(site.path))
    if module is None:
        return None
    text = module.source.text
    lines = text.splitlines()
    if not 0 < site.line <= len(lines):
        return None
    if site.source.strip() and lines[site.line - 1].strip() != site.source.strip():
        return None
    edit = edit_of(module, site, "", replacement)
    return _line_edit(text, edit) if edit is not None else None


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=32)
def _module(path: str, changed: int) -> Module | None:
    """The file, parsed; None where it is no Python that can be read."""
    try:
        module = Module(SourceFile.read(path))
        module.names  # noqa: B018 - parses the file
    except (OSError, LookupError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return module


def _line_edit(text: str, edit: Edit) -> LineEdit:
    first = text.rfind("\n", 0, edit.start) + 1
    end = text.find("\n", edit.end)
    last = len(text) if end < 0 else end
    return LineEdit(
        path=edit.path,
        line=text.count("\n", 0, edit.start) + 1,
        column=edit.start - first + 1,
        end_line=text.count("\n", 0, edit.end) + 1,
        end_column=edit.end - text.rfind("\n", 0, edit.end),
        text=edit.after,
        old=text[first:last].rstrip("\r"),
        new=(text[first : edit.start] + edit.after + text[edit.end : last]).rstrip("\r"),
    )
