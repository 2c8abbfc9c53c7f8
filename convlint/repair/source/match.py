"""A rule's ``before`` found on a line of the user's source, and its ``after`` said there.

The names in ``before`` that belong to the example (``x``, ``mask``) stand for whatever the user wrote there;
all else must be the same call. What the user wrote stays as it was written, spaces and quotes too.

This is :mod:`ast` with offsets, and not a concrete syntax tree: LibCST takes 30 times as long to parse a
file and to resolve its names, and a check does this for every file with an error.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

from convlint.model import Replacement
from convlint.repair.source.files import SourceFile, span_of
from convlint.repair.source.names import Names

_MODULES = {"torch": "torch", "F": "torch.nn.functional", "nn": "torch.nn", "math": "math"}
"""Names that a rule's example has, and what they are."""

Written = ast.expr | ast.Assign
Meaning = Callable[[str], "str | None"]
Bound = dict[str, ast.expr]


@dataclass(frozen=True)
class Module:
    """A file of Python, parsed. ``SyntaxError``, ``ValueError`` and ``RecursionError`` where it cannot be."""

    source: SourceFile

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source.text)

    @cached_property
    def names(self) -> Names:
        return Names(self.source.text, self.tree)

    def written(self, line: int) -> Iterator[Written]:
        """The assignments and expressions that reach over ``line``, the outermost first."""
        for node in ast.walk(self.tree):
            if isinstance(node, Written) and node.lineno <= line <= (node.end_lineno or node.lineno):
                yield node

    def expressions(self, line: int) -> Iterator[ast.expr]:
        """The expressions that reach over ``line``, the outermost first."""
        return (node for node in self.written(line) if isinstance(node, ast.expr))

    def text_of(self, node: Written) -> str:
        """An expression as it is written."""
        start, end = span_of(self.source.text, node)
        return self.source.text[start:end]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What is to stand from ``start`` to ``end`` of a text, in characters."""

    start: int
    end: int
    text: str


def rewritten(module: Module, line: int, replacement: Replacement) -> Rewritten | None:
    """What one replacement makes of the line; None where the line is not written as its ``before``."""
    before, after = _parsed(replacement.before.strip()), _parsed(replacement.after.strip())
    if before is None or after is None or isinstance(before, ast.Assign) != isinstance(after, ast.Assign):
        return None  # several statements: for a person to make
    for node in module.written(line):
        bound: Bound = {}
        if not _same(before, node, bound, partial(module.names.meaning, place=node)):
            continue
        text = _filled(replacement.after.strip(), after, bound, module, node)
        if text is None:
            continue
        operator = isinstance(after, (ast.BinOp, ast.Compare, ast.BoolOp, ast.UnaryOp))
        if operator and not _stands_alone(module.names.parent(node)):
            text = f"({text})"
        return Rewritten(*span_of(module.source.text, node), text)
    return None


def _parsed(text: str) -> Written | None:
    """An expression, or one assignment to a place such as ``y[i]``; None for all else."""
    try:
        (statement,) = ast.parse(text).body
    except (SyntaxError, ValueError):
        return None
    if isinstance(statement, ast.Expr):
        return statement.value
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Subscript):
        return statement
    return None


def _stands_alone(parent: ast.AST | None) -> bool:
    """Whether an expression is all that its parent assigns or returns, and needs no parentheses."""
    return isinstance(parent, (ast.Assign, ast.AnnAssign, ast.Return, ast.Expr))


def _same(wanted: Written, written: Written, bound: Bound, meaning: Meaning) -> bool:
    """Whether ``written`` is ``wanted`` with expressions in the place of the example's own names."""
    if isinstance(wanted, ast.Name) and wanted.id not in _MODULES and wanted.id != "self":
        if isinstance(written, ast.Assign):
            return False
        known = bound.setdefault(wanted.id, written)
        return ast.dump(known) == ast.dump(written)
    dotted = dotted_name(wanted, _MODULES.get)
    if dotted is not None:
        return dotted == dotted_name(written, meaning)
    if isinstance(wanted, ast.Call) and isinstance(written, ast.Call):
        return _same_call(wanted, written, bound, meaning)
    if type(wanted) is not type(written):
        return False
    return all(
        _same_field(getattr(wanted, name), getattr(written, name), bound, meaning)
        for name in wanted._fields
        if name != "ctx"
    )


def _same_field(wanted: object, written: object, bound: Bound, meaning: Meaning) -> bool:
    ones, others = (value if isinstance(value, list) else [value] for value in (wanted, written))
    if len(ones) != len(others):
        return False
    for one, other in zip(ones, others, strict=True):
        if isinstance(one, ast.expr):
            if not isinstance(other, ast.expr) or not _same(one, other, bound, meaning):
                return False
        elif isinstance(one, ast.AST):
            if not isinstance(other, ast.AST) or ast.dump(one) != ast.dump(other):
                return False
        elif one != other:
            return False
    return True


def _same_call(wanted: ast.Call, written: ast.Call, bound: Bound, meaning: Meaning) -> bool:
    """Two calls, of which one may be written as ``torch.f(x)`` and the other as ``x.f()``."""
    mine, theirs = _called(wanted, _MODULES.get), _called(written, meaning)
    if mine is None or theirs is None:
        return False
    (name, args), (other, others) = mine, theirs
    if name != other or len(args) != len(others) or len(wanted.keywords) != len(written.keywords):
        return False
    named = {keyword.arg: keyword.value for keyword in written.keywords}
    if None in named or {keyword.arg for keyword in wanted.keywords} != set(named):
        return False
    if not all(_same(one, two, bound, meaning) for one, two in zip(args, others, strict=True)):
        return False
    return all(_same(keyword.value, named[keyword.arg], bound, meaning) for keyword in wanted.keywords)


def _called(call: ast.Call, meaning: Meaning) -> tuple[str, list[ast.expr]] | None:
    """What a call calls, a method of a tensor as the function of ``torch``, and its arguments."""
    dotted = dotted_name(call.func, meaning)
    if dotted is not None:
        return dotted, list(call.args)
    if isinstance(call.func, ast.Attribute):
        return f"torch.{call.func.attr}", [call.func.value, *call.args]
    return None


def dotted_name(node: Written, meaning: Meaning) -> str | None:
    """The full name of something imported: ``F.relu`` is ``torch.nn.functional.relu``."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    full = meaning(node.id) if isinstance(node, ast.Name) else None
    return ".".join([full, *reversed(parts)]) if full is not None else None


def _filled(text: str, after: Written, bound: Bound, module: Module, place: Written) -> str | None:
    """``after`` with the user's own text in it; None where it cannot be said at this place.

    ``text`` is that of ``after``. An expression gets parentheses where it would be read otherwise without.
    """
    names = [node for node in ast.walk(after) if isinstance(node, ast.Name)]
    uses = [node.id for node in names]
    indices = {id(node.slice) for node in ast.walk(after) if isinstance(node, ast.Subscript)}
    places = {node.id for node in names if id(node) in indices}
    cheap = {name: (_cheap_index if name in places else _cheap)(value) for name, value in bound.items()}
    if any(uses.count(name) > 1 and not cheap[name] for name in bound):
        return None  # what was computed once would be computed twice
    words: dict[str, str] = {name: module.text_of(value) for name, value in bound.items()}
    for name in set(uses) - set(bound):
        spelled = _module_here(name, module, place)
        if spelled is None:
            return None
        words[name] = spelled
    names.sort(key=lambda node: span_of(text, node))
    wrapped = [node.id in bound and node.id not in places and not _is_atom(bound[node.id]) for node in names]
    whole = _joined(text, names, words, wrapped)
    wanted = _dump(whole)
    if wanted is None:
        return None
    for index, is_wrapped in enumerate(wrapped):
        if is_wrapped:
            barer = [*wrapped[:index], False, *wrapped[index + 1 :]]
            if _dump(_joined(text, names, words, barer)) == wanted:
                wrapped = barer
    return _joined(text, names, words, wrapped)


def _joined(text: str, names: list[ast.Name], words: dict[str, str], wrapped: list[bool]) -> str:
    out, last = [], 0
    for node, is_wrapped in zip(names, wrapped, strict=True):
        start, end = span_of(text, node)
        out += [text[last:start], f"({words[node.id]})" if is_wrapped else words[node.id]]
        last = end
    return "".join([*out, text[last:]])


def _dump(text: str) -> str | None:
    try:
        return ast.dump(ast.parse(text))
    except SyntaxError:
        return None


def _module_here(name: str, module: Module, place: Written) -> str | None:
    """How the user's file names a module of the example at this place."""
    full = _MODULES.get(name)
    if full is None:
        return None
    spelled = module.names.spelled(full, place)
    if spelled is None and full.startswith("torch."):
        torch = module.names.spelled("torch", place)
        spelled = f"{torch}{full.removeprefix('torch')}" if torch is not None else None
    return spelled


def _is_atom(node: ast.expr) -> bool:
    """Whether an expression reads the same wherever it stands."""
    return isinstance(node, (ast.Name, ast.Attribute, ast.Call, ast.Subscript))


def _cheap_index(node: ast.expr) -> bool:
    """Whether a subscript costs nothing: slices of numbers, and sums of names and numbers."""
    if isinstance(node, ast.Slice):
        return all(map(_cheap_index, filter(None, (node.lower, node.upper, node.step))))
    if isinstance(node, ast.Tuple):
        return all(map(_cheap_index, node.elts))
    if isinstance(node, ast.BinOp):
        return _cheap_index(node.left) and _cheap_index(node.right)
    if isinstance(node, ast.UnaryOp):
        return _cheap_index(node.operand)
    return _cheap(node)


def _cheap(node: ast.expr) -> bool:
    """Whether naming it twice costs nothing: a name, an attribute, a number."""
    if isinstance(node, ast.Attribute):
        return _cheap(node.value)
    return isinstance(node, (ast.Name, ast.Constant))
