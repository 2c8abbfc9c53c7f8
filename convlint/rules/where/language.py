"""The ``where`` language: conditions of rules, written as Python expressions over an op's arguments.

A condition that has no answer (a name that the subject lacks, a size that is symbolic, an
argument that is None) does not hold, and says why. ``and``, ``or``, ``any`` and ``all`` ask on
where one part has no answer, so that ``x is None or x > 3`` and ``a > 3 or b > 3`` mean what they
say. Nothing is ever executed as Python, and every evaluation is bounded.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from convlint.rules.where.compiler import (
    CALLER_FUNCTIONS,
    LITERAL_FUNCTIONS,
    MAX_STEPS,
    Compiler,
    Frame,
    PredicateError,
    Run,
    syntax_tree,
)
from convlint.rules.where.values import Fuel, Undecided, describe, truth

__all__ = [
    "CALLER_FUNCTIONS",
    "Outcome",
    "Predicate",
    "PredicateError",
    "evaluate",
    "holds",
    "parse",
    "value",
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a condition holds; where it does not, ``reason`` is its false part with the actual values."""

    holds: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Predicate:
    """One checked condition. Made by :func:`parse`; ``names`` are the names that it reads."""

    source: str
    names: frozenset[str] = field(compare=False, repr=False)
    run: Run = field(compare=False, repr=False)

    def __str__(self) -> str:
        return self.source

    def __reduce__(self) -> tuple[Callable[[str, bool], Predicate], tuple[str, bool]]:
        return parse, (self.source, False)


def parse(source: str, condition: bool = True) -> Predicate:
    """Check ``source`` and make it ready to run; a :class:`PredicateError` says what is not allowed.

    With ``condition=False`` it may be any expression, for :func:`value`.
    """
    tree = syntax_tree(source)
    if condition and _is_plain_value(tree):
        raise PredicateError("this is a value, where a condition that is true or false is needed")
    compiler = Compiler(source)
    run = compiler.compile(tree)
    return Predicate(source, frozenset(compiler.names), run)


def _is_plain_value(tree: ast.expr) -> bool:
    if isinstance(tree, ast.Constant):
        return not isinstance(tree.value, bool)
    return isinstance(tree, ast.Tuple | ast.List | ast.BinOp)


def holds(
    predicate: Predicate,
    namespace: Mapping[str, Any],
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> bool:
    """Whether ``predicate`` holds; the quick way, without a reason."""
    try:
        return truth(predicate.run(namespace, Frame(Fuel(MAX_STEPS), functions or {})))
    except (Undecided, ArithmeticError, TypeError, ValueError, LookupError, RecursionError):
        return False


def evaluate(
    predicate: Predicate,
    namespace: Mapping[str, Any],
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Outcome:
    """Whether ``predicate`` holds, and if not, why. ``functions`` answers the :data:`CALLER_FUNCTIONS`."""
    if holds(predicate, namespace, functions):
        return Outcome(True)
    explain = _Explainer(predicate.source, namespace, functions or {})
    return Outcome(False, explain.reason(syntax_tree(predicate.source)))


def value(
    predicate: Predicate,
    namespace: Mapping[str, Any],
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> str | None:
    """The value of an expression as a message shows it; None where it has no answer."""
    try:
        found = predicate.run(namespace, Frame(Fuel(MAX_STEPS), functions or {}))
    except (Undecided, ArithmeticError, TypeError, ValueError, LookupError, RecursionError):
        return None
    return found if isinstance(found, str) else describe(found)


class _Explainer:
    """Finds the part of a condition that is false, and words it with the values that it saw."""

    def __init__(
        self, source: str, namespace: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
    ) -> None:
        self.source = source
        self.namespace = namespace
        self.functions = functions

    def text(self, node: ast.expr) -> str:
        return self.source.encode()[node.col_offset : node.end_col_offset].decode(errors="replace")

    def value(self, node: ast.expr) -> Any:
        try:
            run = Compiler(self.source).compile(node)
            return run(self.namespace, Frame(Fuel(MAX_STEPS), self.functions))
        except (ArithmeticError, TypeError, ValueError, LookupError, RecursionError) as error:
            raise Undecided(str(error)) from None

    def reason(self, node: ast.expr) -> str:
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return "; ".join(self.reason(part) for part in node.values)
        if isinstance(node, ast.BoolOp):
            for part in node.values:
                try:
                    if self.value(part) is not True:
                        return self.reason(part)
                except Undecided:
                    return self.reason(part)
        return f"{self.text(node)}: {self.values(node)}"

    def values(self, node: ast.expr) -> str:
        try:
            truth(self.value(node))
            seen = dict.fromkeys(
                f"{self.text(leaf)} is {describe(self.value(leaf))}" for leaf in _leaves(node)
            )
        except Undecided as why:
            return str(why)
        return ", ".join(seen) or "it is false"


def _leaves(node: ast.AST) -> Iterator[ast.expr]:
    """The parts whose values explain ``node``: names with what hangs on them, and what a function answers."""
    if isinstance(node, ast.Compare):
        for side in (node.left, *node.comparators):
            yield from _leaves(side) if isinstance(side, ast.Tuple | ast.List) else _operand(side)
    elif isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        yield node
    elif isinstance(node, ast.GeneratorExp | ast.ListComp):
        yield node.generators[0].iter
    elif isinstance(node, ast.Call):
        if not node.args:
            yield node
        for argument in node.args:
            yield from _leaves(argument)
    elif isinstance(node, ast.expr):
        for child in ast.iter_child_nodes(node):
            yield from _leaves(child)


def _operand(side: ast.expr) -> Iterator[ast.expr]:
    if any(isinstance(part, ast.Name) for part in ast.walk(side)) and not _is_literal_call(side):
        yield side


def _is_literal_call(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in LITERAL_FUNCTIONS
    )
