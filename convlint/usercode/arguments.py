"""Constructor arguments from the command line and the configuration.

``--arg width=64`` is a Python literal, else a string. ``--arg-expr
'config=transformers.LlamaConfig()'`` is a Python expression. It is evaluated, and so as trusted as the
model's own file.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import importlib
import importlib.util
import keyword
from collections.abc import Iterable, Mapping
from types import CodeType
from typing import Any

from convlint.errors import UsageError


def parse_literals(texts: Iterable[str]) -> dict[str, Any]:
    """``["width=64", "norm=batch"]`` to ``{"width": 64, "norm": "batch"}``."""
    return {name: _literal(text) for name, text in _pairs("--arg", "width=64", texts)}


def parse_expressions(texts: Iterable[str]) -> dict[str, str]:
    """``["config=pkg.Config(2)"]`` to ``{"config": "pkg.Config(2)"}``, checked for syntax only."""
    expressions = dict(_pairs("--arg-expr", "'config=transformers.LlamaConfig()'", texts))
    for name, text in expressions.items():
        compile_expression(name, text)
    return expressions


def _pairs(option: str, example: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise UsageError(
                f"malformed {option} {text!r}: write NAME=VALUE, for example {option} {example}."
            )
        if not name.isidentifier() or keyword.iskeyword(name):
            raise UsageError(f"malformed {option} {text!r}: {name!r} cannot be the name of an argument.")
        if any(name == earlier for earlier, _ in pairs):
            raise UsageError(f"{option} {name} is given twice.")
        pairs.append((name, value.strip()))
    return pairs


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError, OverflowError):
        return text


def compile_expression(name: str, text: str) -> CodeType:
    """The compiled expression; a :class:`UsageError` says what is wrong with its syntax."""
    try:
        return compile(text, f"<--arg-expr {name}>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        detail = error.msg if isinstance(error, SyntaxError) else str(error) or "it is nested too deep"
        raise UsageError(f"--arg-expr {name}={text} is not a Python expression: {detail}.") from error


def evaluate_expression(name: str, text: str, namespace: Mapping[str, Any]) -> Any:
    """The value of an expression; modules that it names are imported.

    ``namespace`` holds the names that need no import: those of the model's own module.
    """
    code = compile_expression(name, text)
    scope = dict(namespace)
    try:
        _import_named_modules(text, scope)
        return eval(code, scope)  # documented: the user's own code, as trusted as the model's file
    except Exception as error:
        kind = type(error).__name__
        raise UsageError(f"--arg-expr {name}={text} raises {kind}: {error}") from error


def _import_named_modules(text: str, scope: dict[str, Any]) -> None:
    """Import ``a``, ``a.b`` and so on for every ``a.b.c`` that the expression reads."""
    for node in ast.walk(ast.parse(text, mode="eval")):
        parts = _dotted(node)
        if not parts or hasattr(builtins, parts[0]):
            continue
        if parts[0] not in scope:
            if importlib.util.find_spec(parts[0]) is None:
                continue
            scope[parts[0]] = importlib.import_module(parts[0])
        value = scope[parts[0]]
        for part in parts[1:]:
            if not hasattr(value, part) and not _import_submodule(value, part):
                break
            value = getattr(value, part)


def _import_submodule(package: Any, name: str) -> bool:
    """Import ``package.name`` if it is a module, and return whether the package has that name now."""
    if not hasattr(package, "__path__"):
        return False
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(f"{package.__name__}.{name}")
    return hasattr(package, name)


def _dotted(node: ast.AST) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []
