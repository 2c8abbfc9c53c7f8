"""Changes to the user's own source: found by the rules, written whole or not at all.

Only the matched expression is replaced, so the rest of the file keeps every space. Nothing is ever
written outside the project, and never half a file.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from convlint.destination import reason_of
from convlint.files import Changed, replace_file
from convlint.installed import is_library
from convlint.model import Replacement, Rule, Site
from convlint.repair.source.files import SourceFile, lines_of
from convlint.repair.source.match import Module, rewritten
from convlint.sandbox import stop_if_interrupted
from convlint.text import shown_path


@dataclass(frozen=True, slots=True)
class Edit:
    """One expression replaced: ``start`` and ``end`` are offsets in the text of ``source``.

    ``needs`` is the edit that must be made with it: the import of the helper that it calls.
    """

    path: str
    line: int
    start: int
    end: int
    before: str
    after: str
    rule: str
    title: str
    safety: str
    source: SourceFile = field(default_factory=lambda: SourceFile(b""))
    needs: Edit | None = None
    calls_helper: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is left as it is, and why."""

    site: Site
    reason: str


def find_edit(site: Site, rules: Iterable[Rule], project: str, *, unsafe: bool) -> Edit | Refusal:
    """The edit of the line at ``site`` by the first rule whose ``before`` stands there."""
    module = editable(site, project)
    if isinstance(module, Refusal):
        return module
    return edit_at(module, site, rules, unsafe=unsafe)


def edit_at(module: Module, site: Site, rules: Iterable[Rule], *, unsafe: bool) -> Edit | Refusal:
    """:func:`find_edit` in a text that may be edited."""
    source = module.source
    tried = held_back = False
    for rule in rules:
        for replacement in rule.replacements:
            if replacement.kind != "rewrite" or replacement.safety == "retrain":
                continue
            if replacement.safety == "unsafe" and not unsafe:
                held_back = True
                continue
            tried = True
            edit = edit_of(module, site, rule.code, replacement)
            if edit is None:
                continue
            try:
                source.encoded(edit.after)
            except UnicodeEncodeError:
                return Refusal(site, f"what is to be written has letters that {source.encoding} has not")
            return edit
    if held_back and not tried:
        return Refusal(site, "what the rule proposes may differ for some inputs: --unsafe allows it")
    if tried:
        return Refusal(site, "the line is not written as the rule's example is: change it by hand")
    return Refusal(site, "the change is one of the graph, and has no counterpart in source")


def editable(site: Site, project: str) -> Module | Refusal:
    """The file of ``site``, parsed, where its line may be edited and stands there as it was run."""
    reason = _untouchable(site, project)
    if reason:
        return Refusal(site, reason)
    try:
        source = SourceFile.read(site.path)
        text = source.text
    except (OSError, ValueError, LookupError) as error:
        return Refusal(site, f"the file cannot be read as it is encoded: {error}")
    lines = lines_of(text)
    if site.line > len(lines) or (site.source and lines[site.line - 1].strip() != site.source.strip()):
        return Refusal(site, "the file was changed since it was imported; run again")
    module = Module(source)
    try:
        module.names  # noqa: B018 - parses the file
    except SyntaxError as error:
        return Refusal(site, f"the file does not parse: {error.msg} in line {error.lineno}")
    except (ValueError, RecursionError) as error:
        return Refusal(site, f"the file does not parse: {error}")
    return module


def edit_of(module: Module, site: Site, rule: str, replacement: Replacement) -> Edit | None:
    """The edit of the line at ``site`` by one replacement of ``rule``; None where it does not fit."""
    change = rewritten(module, site.line, replacement)
    if change is None:
        return None
    return Edit(
        site.path,
        site.line,
        change.start,
        change.end,
        module.source.text[change.start : change.end],
        change.text,
        rule,
        replacement.title,
        replacement.safety,
        module.source,
    )


def apply_edits(edits: Iterable[Edit]) -> tuple[list[str], list[Refusal]]:
    """Write all edits, each file at once and whole: the paths that were written, and what was not.

    A file is written where it still holds what the edits were made for. One that was saved meanwhile, or
    that another run has written, is left alone, and so is one that cannot be written.
    """
    written: list[str] = []
    refused: list[Refusal] = []
    for path, mine in _by_path(edits).items():
        stop_if_interrupted()
        source = mine[0].source
        try:
            if any(edit.source != source for edit in mine):
                raise Changed(path)
            data = source.encoded(edited(source.text, mine))
            replace_file(Path(os.path.realpath(path)), data, source.data)
        except Changed:
            reason = "the file was changed while it was being fixed; nothing was written into it: run again"
            refused += [Refusal(Site(path, edit.line), reason) for edit in mine]
        except OSError as error:
            reason = f"the file cannot be written: {reason_of(error)}"
            refused += [Refusal(Site(path, edit.line), reason) for edit in mine]
        else:
            written.append(path)
    return written, refused


def edited_files(edits: Iterable[Edit]) -> dict[str, bytes]:
    """What each file would hold with its edits made, by path."""
    return {
        path: mine[0].source.encoded(edited(mine[0].source.text, mine))
        for path, mine in _by_path(edits).items()
    }


def _by_path(edits: Iterable[Edit]) -> dict[str, list[Edit]]:
    by_path: dict[str, list[Edit]] = {}
    for edit in edits:
        mine = by_path.setdefault(edit.path, [])
        mine.append(edit)
        if edit.needs is not None and edit.needs not in mine:
            mine.append(edit.needs)
    return by_path


def edited(text: str, edits: Iterable[Edit]) -> str:
    """``text`` with every edit made; of two that overlap, the later one in the file is left out."""
    out: list[str] = []
    last = 0
    for edit in sorted(set(edits), key=lambda edit: (edit.start, -edit.end)):
        if edit.start >= last:
            out += [text[last : edit.start], edit.after]
            last = edit.end
    return "".join([*out, text[last:]])


def diff_of(edits: Iterable[Edit]) -> str:
    """All edits as one unified diff, paths relative to the working directory where they lie in it."""
    parts: list[str] = []
    for path, mine in sorted(_by_path(edits).items()):
        text = mine[0].source.text
        shown = shown_path(path)
        parts += difflib.unified_diff(
            lines_of(text, ends=True),
            lines_of(edited(text, mine), ends=True),
            f"a/{shown}",
            f"b/{shown}",
        )
    return "".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def _untouchable(site: Site, project: str) -> str:
    path = Path(site.path)
    if not path.is_file():
        return "the line stands in no file"
    inside = path.resolve().is_relative_to(Path(project).resolve())
    if not inside or is_library(site.path):
        return IN_LIBRARY
    # A privileged user may write anyway; the mode still says that nobody should.
    if not os.access(path, os.W_OK) or not path.stat().st_mode & _WRITABLE:
        return "the file is read-only"
    folder = path.resolve().parent
    if not os.access(folder, os.W_OK) or not folder.stat().st_mode & _WRITABLE:
        return "the file lies in a folder that is read-only, where no new one can be made beside it"
    with path.open(encoding="utf-8", errors="replace") as file:
        head = "".join(line for _, line in zip(range(_HEAD), file, strict=False))
    if any(mark in head for mark in _GENERATED):
        return "the file says that it is generated: change what generates it"
    return ""


IN_LIBRARY = "the line stands in a library, not in the project"
UNASKED = "for a script alone, no line is edited"
_WRITABLE = 0o222
_GENERATED = ("@generated", "DO NOT EDIT", "Do not edit")
_HEAD = 10
"""Lines in which a generated file says that it is one."""
