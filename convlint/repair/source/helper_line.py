"""A call on the user's line, handed to the function of the helper file: all else of the line stays.

Which call of the line is meant follows from the captured op. All calls of that function on the line are
rewritten; the functions are general, and fall back to PyTorch's own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from convlint.repair.source.files import span_of
from convlint.repair.source.helper_call import Node, Public, public_of, written_in_python
from convlint.repair.source.helper_file import ITEMS, key_of
from convlint.repair.source.match import Module, dotted_name

MODULE = "coreml_ops"


@dataclass(frozen=True, slots=True)
class Handed:
    """An expression with its calls handed to helpers: offsets, the new text, the functions it calls.

    ``layer`` is the full name of a class of PyTorch that the new text names in the helper file.
    """

    start: int
    end: int
    text: str
    functions: tuple[Public, ...] = ()
    layer: str = ""


@dataclass(frozen=True, slots=True)
class NoCall:
    """Why no call of a line can be handed to a helper."""

    reason: str


def handed_over(module: Module, line: int, ops: Sequence[str]) -> list[Handed] | NoCall:
    """The expressions of the line that call one of ``ops``, with these calls handed to helpers."""
    chosen: dict[Node, Public] = {}
    problem = ""
    for op in ops:
        calls: dict[Node, Public] = {}
        for node in _nodes(module, line):
            public = public_of(module, node, op)
            if isinstance(public, Public):
                calls[node] = public
            problem = public if isinstance(public, str) and not problem else problem
        chosen |= calls if calls else written_in_python(module, line)
        if not chosen:
            name = key_of(op)
            return NoCall(
                problem or f"no call on the line is one of {name}: the context of {MODULE} covers it"
            )
    if problem:
        return NoCall(problem)
    if module.names.meaning(MODULE, module.tree) is None and _is_bound(module):
        return NoCall(f"the name {MODULE} is taken in this file")
    text = _Text(module, chosen)
    outermost = [node for node in chosen if not any(_inside(module, node, other) for other in chosen)]
    try:
        return [
            Handed(*span_of(module.source.text, node), text.of_call(node), text.functions_in(node))
            for node in outermost
        ]
    except _Comment:
        return NoCall("a comment stands inside of the call: change it by hand")


def _nodes(module: Module, line: int) -> Iterator[Node]:
    """What may call a function of PyTorch: the expressions that reach over ``line``, and assignments."""
    yield from module.expressions(line)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.AugAssign) and node.lineno <= line <= (node.end_lineno or node.lineno):
            yield node


def import_of(module: Module, statement: str) -> tuple[int, str] | None:
    """Where the import of the helpers goes, and its line; None where the file has it already.

    It goes behind the imports that the file begins with.
    """
    last: ast.stmt | None = None
    for number, node in enumerate(module.tree.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if any((alias.asname or alias.name) == MODULE for alias in node.names):
                return None
            last = node
        elif not (number == 0 and _is_text(node)):
            break
        elif last is None:
            last = node
    text = module.source.text
    newline = "\r\n" if "\r\n" in text else "\n"
    if last is None:
        body = module.tree.body
        return _line_start(text, body[0].lineno if body else 1), f"{statement}{newline}"
    place = _line_start(text, (last.end_lineno or last.lineno) + 1)
    gap = newline if _is_text(last) else ""
    ends = text[:place].endswith(("\n", "\r"))
    return place, f"{'' if ends else newline}{gap}{statement}{newline}"


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _line_start(text: str, line: int) -> int:
    from convlint.repair.source.files import lines_of

    return sum(map(len, lines_of(text, ends=True)[: line - 1]))


def _is_bound(module: Module) -> bool:
    """Whether the file itself binds the name of the helpers' module, and not by importing them."""
    stored = (
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    arguments = (node for node in ast.walk(module.tree) if isinstance(node, ast.arg))
    return any(node.id == MODULE for node in stored) or any(node.arg == MODULE for node in arguments)


def _inside(module: Module, node: ast.AST, other: ast.AST) -> bool:
    parent = module.names.parent(node)
    while parent is not None and parent is not other:
        parent = module.names.parent(parent)
    return parent is other


class _Comment(Exception):
    """Between the parts of a call stands a comment, which has no place in the new one."""


class _Text:
    """The text of expressions in which the chosen calls are handed over, those inside of others too."""

    def __init__(self, module: Module, chosen: Mapping[Node, Public]) -> None:
        self._text = module.source.text
        self._module = module
        self._chosen = chosen
        self._spans = {node: span_of(self._text, node) for node in chosen}

    def functions_in(self, outer: Node) -> tuple[Public, ...]:
        """The helpers that the new text of ``outer`` calls."""
        mine = (
            public
            for node, public in self._chosen.items()
            if node is outer or _inside(self._module, node, outer)
        )
        return tuple(dict.fromkeys(mine))

    def of_call(self, node: Node) -> str:
        """The call of the helper in the place of ``node``."""
        name = f"{MODULE}.{self._chosen[node].name}"
        if isinstance(node, ast.BinOp):
            self._between(node.left, node.right)
            return f"{name}({self._of(node.left)}, {self._of(node.right)})"
        if isinstance(node, ast.UnaryOp):
            return f"{name}({self._of(node.operand)})"
        if isinstance(node, ast.AugAssign):
            self._between(node.target, node.value)
            target = self._module.text_of(node.target)
            return f"{target} = {name}({target}, {self._of(node.value)})"
        if self._chosen[node].name == ITEMS:
            assert isinstance(node, ast.Subscript)
            end = span_of(self._text, node)[1]
            behind = span_of(self._text, node.value)[1]
            return f"{name}({self._of(node.value)}){self._range(behind, end, node)}"
        assert isinstance(node, ast.Call)
        end = self._spans[node][1]
        _, after = span_of(self._text, node.func)
        opening = self._text.index("(", after)
        called = self._chosen[node]
        if not isinstance(node.func, ast.Attribute) or self._is_function(node, called):
            return name + self._range(after, end, node)
        _, behind = span_of(self._text, node.func.value)
        if "#" in self._text[behind:opening]:
            raise _Comment
        rest = self._range(opening + 1, end, node)
        comma = ", " if node.args or node.keywords else ""
        return f"{name}({self._of(node.func.value)}{comma}{rest if comma else rest.lstrip()}"

    def _is_function(self, node: ast.Call, public: Public) -> bool:
        """Whether the call names a function of a module, and no method of a tensor."""
        meaning = partial(self._module.names.meaning, place=node)
        return dotted_name(node.func, meaning) is not None

    def _between(self, left: ast.expr, right: ast.expr) -> None:
        if "#" in self._text[span_of(self._text, left)[1] : span_of(self._text, right)[0]]:
            raise _Comment

    def _of(self, node: ast.expr) -> str:
        return self.of_call(node) if node in self._chosen else self._range(*span_of(self._text, node), node)

    def _range(self, start: int, end: int, within: Node) -> str:
        """The text from ``start`` to ``end``, with the chosen calls in it handed over."""
        inner = sorted(
            (
                (span, node)
                for node, span in self._spans.items()
                if node is not within and span[0] >= start and span[1] <= end
            ),
            key=lambda each: (each[0][0], -each[0][1]),
        )
        out, place = [], start
        for (first, last), node in inner:
            if first >= place:
                out += [self._text[place:first], self.of_call(node)]
                place = last
        return "".join([*out, self._text[place:end]])
