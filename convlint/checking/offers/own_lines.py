"""Replacements said on the user's own lines, where the line is written as the rule's example is.

What a rule proves, it proves of its example. On a line that is the same expression over other names the
change is the same change; elsewhere the code is an example, and says nothing of the line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from convlint.installed import is_library
from convlint.model import Finding, LineEdit, Replacement, Site
from convlint.repair.source.edit import edit_of
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
    module = own_module(site) if replacement.before.strip() else None
    edit = edit_of(module, site, "", replacement) if module is not None else None
    if module is None or edit is None:
        return None
    return changed_line(module, edit.path, [(edit.start, edit.end, edit.after)])


def own_module(site: Site) -> Module | None:
    """The user's file, parsed; None for a library's, and where the line is another one by now."""
    if is_library(site.path):
        return None
    module = _module(site.path, _changed(site.path))
    lines = module.source.text.splitlines() if module is not None else []
    if not 0 < site.line <= len(lines):
        return None
    if site.source.strip() and lines[site.line - 1].strip() != site.source.strip():
        return None
    return module


def changed_line(
    module: Module, path: str, changes: Sequence[tuple[int, int, str]], needs: str = ""
) -> LineEdit:
    """The edit that puts each text in place of the source from its start to its end, both in characters."""
    text = module.source.text
    start, end = min(first for first, _, _ in changes), max(last for _, last, _ in changes)
    after, position = "", start
    for first, last, new in sorted(changes):
        after += text[position:first] + new
        position = last
    return _line_edit(text, path, start, end, after, needs)


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


def _line_edit(text: str, path: str, start: int, end: int, after: str, needs: str) -> LineEdit:
    first = text.rfind("\n", 0, start) + 1
    line_end = text.find("\n", end)
    last = len(text) if line_end < 0 else line_end
    return LineEdit(
        path=path,
        line=text.count("\n", 0, start) + 1,
        column=start - first + 1,
        end_line=text.count("\n", 0, end) + 1,
        end_column=end - text.rfind("\n", 0, end),
        text=after,
        old=text[first:last].rstrip("\r"),
        new=(text[first:start] + after + text[end:last]).rstrip("\r"),
        needs=needs,
    )
