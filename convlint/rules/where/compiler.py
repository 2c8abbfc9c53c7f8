"""Checks a condition against the white list of the ``where`` language and turns it into closures.

No code object is ever made of a source text: :mod:`ast` reads it, and every node that is not
listed here is refused with its column. See :mod:`convlint.rules.where.language` for what conditions mean.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from convlint.coreml.versions import parse_release, parse_target
from convlint.errors import UsageError
from convlint.nearest import did_you_mean
from convlint.rules.where.values import (
    ARITHMETIC,
    ATTRIBUTES,
    COMPARISONS,
    FUNCTIONS,
    LARGEST,
    Fuel,
    Undecided,
    attribute,
    describe,
    element,
    items,
    negative,
    truth,
)

CALLER_FUNCTIONS: Mapping[str, int] = {
    "has_converter": 0,
    "accepts_arguments": 0,
    "accepted_arguments": 0,
    "names_tensor": 1,
    "count_ops": 1,
}
"""Functions that only the caller can answer, with their number of arguments; see :func:`evaluate`."""

MAX_SOURCE = 500
MAX_NODES = 250
MAX_DEPTH = 24
MAX_STEPS = 50_000

LITERAL_FUNCTIONS: Mapping[str, Callable[[str], Any]] = {"version": parse_release, "target": parse_target}
_OVER_ITEMS = ("any", "all", "sum", "len", "min", "max", "product")
_WITH_PATTERN = ("matches", "count_ops")
_KNOWN_FUNCTIONS = (*FUNCTIONS, *LITERAL_FUNCTIONS, *CALLER_FUNCTIONS)


class PredicateError(UsageError):
    """A condition that is not in the language; ``offset`` is the 1-based column of the trouble."""

    def __init__(self, message: str, offset: int = 1) -> None:
        self.message = message
        self.offset = offset
        super().__init__(f"column {offset}: {message}")


@dataclass(slots=True)
class Frame:
    """What one evaluation carries along: its remaining steps, and the functions of the caller."""

    fuel: Fuel
    functions: Mapping[str, Callable[..., Any]]


Run = Callable[[Mapping[str, Any], Frame], Any]


def syntax_tree(source: str) -> ast.expr:
    """The syntax of ``source``, if it is one short line that is an expression."""
    if len(source) > MAX_SOURCE:
        raise PredicateError(f"longer than {MAX_SOURCE} characters")
    for found in (mark for mark in "\\\n\r\t\f\0#" if mark in source):
        raise PredicateError(f"{found!r} is not allowed; a condition is one line", source.index(found) + 1)
    if source != source.strip() or not source:
        raise PredicateError("empty, or with blanks around it")
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise PredicateError(f"not an expression: {error.msg}", max(error.offset or 1, 1)) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise PredicateError(f"not an expression: {error}") from None
    return tree


class Compiler:
    """Turns the white-listed nodes of a syntax tree into closures; every other node is an error."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.names: set[str] = set()
        self.nodes = 0

    def fail(self, node: ast.AST, message: str) -> PredicateError:
        start = self.source.encode()[: getattr(node, "col_offset", 0)]
        return PredicateError(message, len(start.decode(errors="replace")) + 1)

    def compile(self, node: ast.AST, bound: frozenset[str] = frozenset(), depth: int = 0) -> Run:
        """A closure that gives the value of ``node``; ``bound`` are the variables of comprehensions."""
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            raise self.fail(node, f"nested deeper than {MAX_DEPTH}, or more than {MAX_NODES} parts")
        method = getattr(self, f"_{type(node).__name__}", None)
        if method is None:
            raise self.fail(node, f"{type(node).__name__} is not part of the language")
        run: Run = method(node, bound, depth + 1)
        return run

    def _all(self, nodes: list[ast.expr], bound: frozenset[str], depth: int) -> list[Run]:
        return [self.compile(node, bound, depth) for node in nodes]

    def _Constant(self, node: ast.Constant, bound: frozenset[str], depth: int) -> Run:
        value = node.value
        if value is not None and not isinstance(value, bool | int | float | str):
            raise self.fail(node, f"a literal of type {type(value).__name__} is not part of the language")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise self.fail(node, "the number is too large")
        return lambda names, frame: value

    def _Name(self, node: ast.Name, bound: frozenset[str], depth: int) -> Run:
        name = node.id
        if name in CALLER_FUNCTIONS:
            raise self.fail(node, f"{name} is a function; write {name}()")
        if name not in bound:
            self.names.add(name)

        def run(names: Mapping[str, Any], frame: Frame) -> Any:
            try:
                return names[name]
            except KeyError:
                raise Undecided(f"there is no {name} here") from None

        return run

    def _Tuple(self, node: ast.Tuple | ast.List, bound: frozenset[str], depth: int) -> Run:
        runs = self._all(node.elts, bound, depth)
        if all(isinstance(item, ast.Constant) for item in node.elts):
            constant = tuple(item.value for item in node.elts if isinstance(item, ast.Constant))
            return lambda names, frame: constant
        return lambda names, frame: tuple([run(names, frame) for run in runs])

    _List = _Tuple

    def _Attribute(self, node: ast.Attribute, bound: frozenset[str], depth: int) -> Run:
        name = node.attr
        if name not in ATTRIBUTES:
            raise self.fail(node, f"no attribute {name!r}; allowed: {', '.join(ATTRIBUTES)}")
        owner = self.compile(node.value, bound, depth)
        return lambda names, frame: attribute(owner(names, frame), name)

    def _Subscript(self, node: ast.Subscript, bound: frozenset[str], depth: int) -> Run:
        owner, index = self._all([node.value, node.slice], bound, depth)
        return lambda names, frame: element(owner(names, frame), index(names, frame), frame.fuel)

    def _Slice(self, node: ast.Slice, bound: frozenset[str], depth: int) -> Run:
        parts = [part and self.compile(part, bound, depth) for part in (node.lower, node.upper, node.step)]
        return lambda names, frame: slice(*[part and part(names, frame) for part in parts])

    def _UnaryOp(self, node: ast.UnaryOp, bound: frozenset[str], depth: int) -> Run:
        operand = self.compile(node.operand, bound, depth)
        if isinstance(node.op, ast.Not):
            return lambda names, frame: not truth(operand(names, frame))
        if isinstance(node.op, ast.USub):
            return lambda names, frame: negative(operand(names, frame))
        raise self.fail(node, f"the operator {type(node.op).__name__} is not part of the language")

    def _BinOp(self, node: ast.BinOp, bound: frozenset[str], depth: int) -> Run:
        compute = ARITHMETIC.get(type(node.op).__name__)
        if compute is None:
            raise self.fail(node, f"the operator {type(node.op).__name__} is not part of the language")
        left, right = self._all([node.left, node.right], bound, depth)
        return lambda names, frame: compute(left(names, frame), right(names, frame))

    def _BoolOp(self, node: ast.BoolOp, bound: frozenset[str], depth: int) -> Run:
        runs = self._all(node.values, bound, depth)
        decisive = isinstance(node.op, ast.Or)
        return lambda names, frame: _decide((partial(run, names, frame) for run in runs), decisive)

    def _Compare(self, node: ast.Compare, bound: frozenset[str], depth: int) -> Run:
        first, *others = self._all([node.left, *node.comparators], bound, depth)
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.Is | ast.IsNot) and not (
                isinstance(right, ast.Constant) and right.value is None
            ):
                raise self.fail(right, "`is` compares with None only")
        steps = [(COMPARISONS[type(op).__name__], run) for op, run in zip(node.ops, others, strict=True)]

        def run(names: Mapping[str, Any], frame: Frame) -> bool:
            left = first(names, frame)
            for compare, right_run in steps:
                right = right_run(names, frame)
                if not compare(left, right, frame.fuel):
                    return False
                left = right
            return True

        return run

    def _IfExp(self, node: ast.IfExp, bound: frozenset[str], depth: int) -> Run:
        test, yes, no = self._all([node.test, node.body, node.orelse], bound, depth)
        return lambda names, frame: yes(names, frame) if truth(test(names, frame)) else no(names, frame)

    def _Call(self, node: ast.Call, bound: frozenset[str], depth: int) -> Run:
        if not isinstance(node.func, ast.Name):
            raise self.fail(node, "only a function of the language can be called")
        name, args = node.func.id, node.args
        if name not in _KNOWN_FUNCTIONS:
            raise self.fail(node, f"no function {name!r}.{did_you_mean(name, _KNOWN_FUNCTIONS)}")
        if node.keywords:
            raise self.fail(node, f"{name}() takes no keyword arguments")
        if name in LITERAL_FUNCTIONS:
            return self._literal(node, name)
        own = FUNCTIONS.get(name)
        fewest, most = own[:2] if own else (CALLER_FUNCTIONS[name],) * 2
        if not fewest <= len(args) <= most:
            wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
            raise self.fail(node, f"{name}() takes {wanted} arguments, not {len(args)}")
        if name in _WITH_PATTERN and not isinstance(args[-1], ast.Constant):
            raise self.fail(args[-1], f"the pattern of {name}() must stand there as a text")
        if len(args) == 1 and isinstance(args[0], ast.GeneratorExp | ast.ListComp):
            return self._over(name, args[0], bound, depth)
        runs = self._all(args, bound, depth)
        if own is None:
            return lambda names, frame: _ask(frame, name, [run(names, frame) for run in runs])
        compute = own[2]
        return lambda names, frame: compute(frame.fuel, *[run(names, frame) for run in runs])

    def _literal(self, node: ast.Call, name: str) -> Run:
        match node.args:
            case [ast.Constant(value=str(text))]:
                try:
                    value = LITERAL_FUNCTIONS[name](text)
                except UsageError as error:
                    raise self.fail(node.args[0], str(error)) from None
                return lambda names, frame: value
        raise self.fail(
            node, f"{name}() takes one text that stands there, as version('9.0') and target('iOS17') do"
        )

    def _over(
        self, name: str, node: ast.GeneratorExp | ast.ListComp, bound: frozenset[str], depth: int
    ) -> Run:
        if name not in _OVER_ITEMS:
            raise self.fail(node, f"a comprehension may stand only in {', '.join(_OVER_ITEMS)}")
        before = self.nodes
        levels: list[tuple[list[str], bool, Run, list[Run]]] = []
        for part in node.generators:
            if part.is_async:
                raise self.fail(node, "async is not part of the language")
            source = self.compile(part.iter, bound, depth)
            variables = self._variables(part.target)
            bound = bound.union(variables)
            tests = self._all(part.ifs, bound, depth)
            levels.append((variables, isinstance(part.target, ast.Tuple), source, tests))
        body = self.compile(node.elt, bound, depth)
        cost = self.nodes - before

        def rows(names: dict[str, Any], frame: Frame, level: int) -> Iterator[dict[str, Any]]:
            if level == len(levels):
                yield names
                return
            variables, unpack, source, tests = levels[level]
            for item in items(source(names, frame), frame.fuel):
                frame.fuel.burn(cost)
                values = item if unpack else (item,)
                if not isinstance(values, tuple) or len(values) != len(variables):
                    raise Undecided(f"{describe(item)} is not {len(variables)} values")
                names.update(zip(variables, values, strict=True))
                if all(truth(test(names, frame)) for test in tests):
                    yield from rows(names, frame, level + 1)

        def run(names: Mapping[str, Any], frame: Frame) -> Any:
            found = rows(dict(names), frame, 0)
            if name in ("any", "all"):
                return _decide((partial(body, row, frame) for row in found), name == "any")
            return FUNCTIONS[name][2](frame.fuel, tuple([body(row, frame) for row in found]))

        return run

    def _variables(self, target: ast.expr) -> list[str]:
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        if not all(isinstance(name, ast.Name) for name in names):
            raise self.fail(target, "a comprehension binds plain names only")
        return [name.id for name in names if isinstance(name, ast.Name)]


def _decide(parts: Iterator[Callable[[], Any]], decisive: bool) -> bool:
    """``or`` (decisive True) and ``and`` (False): one decisive part decides, whatever has no answer."""
    unanswered: Undecided | None = None
    for part in parts:
        try:
            if truth(part()) is decisive:
                return decisive
        except Undecided as why:
            unanswered = unanswered or why
    if unanswered is not None:
        raise unanswered
    return not decisive


def _ask(frame: Frame, name: str, values: list[Any]) -> Any:
    if name not in frame.functions:
        raise Undecided(f"nothing here answers {name}()")
    return frame.functions[name](*values)
