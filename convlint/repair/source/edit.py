"""Changes to the user's own source: a rule's ``before``, found on a line, made to say its ``after``.

The names in ``before`` that belong to the example (``x``, ``mask``) stand for whatever the user wrote
there; all else must be the same call. Only the matched expression is replaced, so that the rest of the
file keeps every space. Nothing is ever written outside the project, and never half a file.
"""

from __future__ import annotations

import ast
import difflib
import io
import os
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from convlint.destination import reason_of
from convlint.files import Changed, replace_file
from convlint.model import Replacement, Rule, Site
from convlint.sandbox import stop_if_interrupted
from convlint.text import shown_path

_MODULES = {"torch": "torch", "F": "torch.nn.functional", "nn": "torch.nn", "math": "math"}
"""Names that a rule's example has, and what they are."""


@dataclass(frozen=True)
class SourceFile:
    """A file of Python as it was read: its bytes, and what they say in the encoding that it declares.

    Line ends, a byte order mark and the encoding stay: ``encoded`` of the same text gives the same bytes.
    """

    data: bytes = field(repr=False)

    @classmethod
    def read(cls, path: str) -> SourceFile:
        """The file; a ``ValueError`` where it is in no encoding that it names."""
        found = cls(Path(path).read_bytes())
        if found.encoded(found.text) != found.data:
            raise ValueError("its encoding does not bring its bytes back")
        return found

    @cached_property
    def encoding(self) -> str:
        try:
            return tokenize.detect_encoding(io.BytesIO(self.data).readline)[0]
        except SyntaxError as error:
            raise ValueError(str(error)) from error

    @cached_property
    def text(self) -> str:
        return self.data.decode(self.encoding)

    def encoded(self, text: str) -> bytes:
        """The bytes of another text in the same encoding (``utf-8-sig`` writes its mark again)."""
        return text.encode(self.encoding)


@dataclass(frozen=True, slots=True)
class Edit:
    """One expression replaced: ``start`` and ``end`` are offsets in the text of ``source``."""

    path: str
    line: int
    start: int
    end: int
    before: str
    after: str
    rule: str
    title: str
    safety: str
    source: SourceFile = SourceFile(b"")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that is left as it is, and why."""

    site: Site
    reason: str


def find_edit(site: Site, rules: Iterable[Rule], project: str, *, unsafe: bool) -> Edit | Refusal:
    """The edit of the line at ``site`` by the first rule whose ``before`` stands there."""
    reason = _untouchable(site, project)
    if reason:
        return Refusal(site, reason)
    try:
        source = SourceFile.read(site.path)
        text = source.text
    except (OSError, ValueError, LookupError) as error:
        return Refusal(site, f"the file cannot be read as it is encoded: {error}")
    lines = _lines(text)
    if site.line > len(lines) or (site.source and lines[site.line - 1].strip() != site.source.strip()):
        return Refusal(site, "the file was changed since it was imported; run again")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        return Refusal(site, f"the file does not parse: {error.msg} in line {error.lineno}")
    except (ValueError, RecursionError) as error:
        return Refusal(site, f"the file does not parse: {error}")
    names = imported_names(tree)
    tried = held_back = False
    for rule in rules:
        for replacement in rule.replacements:
            if replacement.kind != "rewrite" or replacement.safety == "retrain":
                continue
            if replacement.safety == "unsafe" and not unsafe:
                held_back = True
                continue
            tried = True
            edit = edit_of(source, tree, site, rule.code, replacement, names)
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
        by_path.setdefault(edit.path, []).append(edit)
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
            _lines(text, ends=True),
            _lines(edited(text, mine), ends=True),
            f"a/{shown}",
            f"b/{shown}",
        )
    return "".join(part if part.endswith("\n") else f"{part}\n" for part in parts)


def _untouchable(site: Site, project: str) -> str:
    path = Path(site.path)
    if not path.is_file():
        return "the line stands in no file"
    inside = path.resolve().is_relative_to(Path(project).resolve())
    if not inside or any(part in ("site-packages", "dist-packages") for part in path.parts):
        return "the line stands in a library, not in the project"
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


_WRITABLE = 0o222
_GENERATED = ("@generated", "DO NOT EDIT", "Do not edit")
_HEAD = 10
"""Lines in which a generated file says that it is one."""


def edit_of(
    source: SourceFile,
    tree: ast.Module,
    site: Site,
    rule: str,
    replacement: Replacement,
    names: dict[str, str],
) -> Edit | None:
    """The edit of the line at ``site`` by one replacement of ``rule``; None where it does not fit."""
    text = source.text
    try:
        before = ast.parse(replacement.before.strip(), mode="eval").body
        after = ast.parse(replacement.after.strip(), mode="eval").body
    except SyntaxError:
        return None  # several statements: for a person to make
    for node in _expressions(tree, site.line):
        bound: dict[str, ast.expr] = {}
        if not _same(before, node, bound, names):
            continue
        written = _written(after, bound, text, names)
        if written is None:
            continue
        start, end = _span(text, node)
        if isinstance(after, (ast.BinOp, ast.Compare, ast.BoolOp, ast.UnaryOp)) and not _whole(tree, node):
            written = f"({written})"
        return Edit(
            site.path,
            site.line,
            start,
            end,
            text[start:end],
            written,
            rule,
            replacement.title,
            replacement.safety,
            source,
        )
    return None


def _whole(tree: ast.Module, node: ast.expr) -> bool:
    """Whether the expression is all that a statement assigns or returns, and needs no parentheses."""
    kinds = (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr)
    return any(isinstance(parent, kinds) and parent.value is node for parent in ast.walk(tree))


def _expressions(tree: ast.Module, line: int) -> Iterator[ast.expr]:
    """The expressions that reach over ``line``, the outermost first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and node.lineno <= line <= (node.end_lineno or node.lineno):
            yield node


def _same(wanted: ast.expr, found: ast.expr, bound: dict[str, ast.expr], names: dict[str, str]) -> bool:
    """Whether ``found`` is ``wanted`` with expressions in the place of the example's own names."""
    if isinstance(wanted, ast.Name) and wanted.id not in _MODULES and wanted.id != "self":
        known = bound.setdefault(wanted.id, found)
        return ast.dump(known) == ast.dump(found)
    dotted = _dotted(wanted, _MODULES)
    if dotted is not None:
        return dotted == _dotted(found, names)
    if isinstance(wanted, ast.Call) and isinstance(found, ast.Call):
        return _same_call(wanted, found, bound, names)
    if type(wanted) is not type(found):
        return False
    for name in wanted._fields:
        one, other = getattr(wanted, name), getattr(found, name)
        if name == "ctx":
            continue
        ones, others = (value if isinstance(value, list) else [value] for value in (one, other))
        if len(ones) != len(others):
            return False
        for left, right in zip(ones, others, strict=True):
            if isinstance(left, ast.expr):
                if not isinstance(right, ast.expr) or not _same(left, right, bound, names):
                    return False
            elif isinstance(left, ast.AST):
                if ast.dump(left) != ast.dump(right):
                    return False
            elif left != right:
                return False
    return True


def _same_call(wanted: ast.Call, found: ast.Call, bound: dict[str, ast.expr], names: dict[str, str]) -> bool:
    """Two calls, of which one may be written as ``torch.f(x)`` and the other as ``x.f()``."""
    mine, theirs = _called(wanted, _MODULES), _called(found, names)
    if mine is None or theirs is None:
        return False
    (name, args), (other, others) = mine, theirs
    if name != other or len(args) != len(others) or len(wanted.keywords) != len(found.keywords):
        return False
    given = {keyword.arg: keyword.value for keyword in found.keywords}
    if None in given or {keyword.arg for keyword in wanted.keywords} != set(given):
        return False
    if not all(_same(one, two, bound, names) for one, two in zip(args, others, strict=True)):
        return False
    return all(_same(keyword.value, given[keyword.arg], bound, names) for keyword in wanted.keywords)


def _called(call: ast.Call, names: dict[str, str]) -> tuple[str, list[ast.expr]] | None:
    """What a call calls, a method of a tensor as the function of ``torch``, and its arguments."""
    dotted = _dotted(call.func, names)
    if dotted is not None:
        return dotted, list(call.args)
    if isinstance(call.func, ast.Attribute):
        return f"torch.{call.func.attr}", [call.func.value, *call.args]
    return None


def _dotted(node: ast.expr, names: dict[str, str]) -> str | None:
    """The full name of something imported: ``F.relu`` is ``torch.nn.functional.relu``."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return None
    return ".".join([names[node.id], *reversed(parts)])


def imported_names(tree: ast.Module) -> dict[str, str]:
    """The names that a module imports, with what they stand for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.asname or alias.name.partition(".")[0]
                found[name] = alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def _written(after: ast.expr, bound: dict[str, ast.expr], text: str, names: dict[str, str]) -> str | None:
    """``after`` with the user's own expressions and module names in it; None where it cannot be said here."""
    spelled = {full: name for name, full in names.items()}
    uses: dict[str, int] = {}
    for node in ast.walk(after):
        if isinstance(node, ast.Name):
            uses[node.id] = uses.get(node.id, 0) + 1
    if any(uses.get(name, 0) > 1 and not _cheap(value) for name, value in bound.items()):
        return None  # what was computed once would be computed twice

    class Fill(ast.NodeTransformer):
        missing = False

        def visit_Name(self, node: ast.Name) -> ast.expr:
            if node.id in bound:
                return bound[node.id]
            if node.id in _MODULES:
                full = _MODULES[node.id]
                if full in spelled:
                    return ast.parse(spelled[full], mode="eval").body
                if full.startswith("torch.") and "torch" in spelled:
                    return ast.parse(full.replace("torch", spelled["torch"], 1), mode="eval").body
            self.missing = True
            return node

    fill = Fill()
    made = fill.visit(ast.parse(ast.unparse(after), mode="eval").body)
    return None if fill.missing else ast.unparse(made)


def _cheap(node: ast.expr) -> bool:
    """Whether naming it twice costs nothing: a name, an attribute, a number."""
    if isinstance(node, ast.Attribute):
        return _cheap(node.value)
    return isinstance(node, (ast.Name, ast.Constant))


_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")


def _lines(text: str, *, ends: bool = False) -> list[str]:
    """The lines as Python counts them; ``str.splitlines`` knows more ends, form feeds among them."""
    lines = [line for line in _LINE.findall(text) if line]
    return lines if ends else [line.rstrip("\r\n") for line in lines]


def _span(text: str, node: ast.expr) -> tuple[int, int]:
    """Offsets of a node in the text; the columns of ast count bytes."""
    lines = _lines(text, ends=True)

    def offset(line: int, column: int) -> int:
        before = sum(len(one) for one in lines[: line - 1])
        return before + len(lines[line - 1].encode()[:column].decode())

    return offset(node.lineno, node.col_offset), offset(node.end_lineno or 0, node.end_col_offset or 0)
