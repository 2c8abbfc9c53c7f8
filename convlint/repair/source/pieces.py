"""The source of rewrites, with all that it calls, as a module that needs nothing of convlint.

A rewrite is ordinary PyTorch in a module of :mod:`convlint.rewrites`. What it names there comes with it, in
the order in which it stands there, under a name with an underscore in front: the plain names belong to the
functions of PyTorch.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module

from convlint.repair.source.files import lines_of, span_of
from convlint.rewrites import KINDS
from convlint.rewrites.table import Rewrite

_PACKAGE = "convlint.rewrites"
_TABLE = f"{_PACKAGE}.table"
_RUNTIME = {"torch_adapter.real_tensors": "_real_tensors", "torch.tensor": "_tensor"}
"""What the rewrites call, and what stands for it in a helper file, where other traces are open."""


@dataclass(frozen=True, slots=True)
class Part:
    """What a module of rewrites defines under one name: where it stands, and the statement."""

    module: str
    name: str
    node: ast.stmt
    order: int


@dataclass(slots=True)
class Pieces:
    """The definitions that some rewrites need. ``imports`` are the statements that those need."""

    parts: dict[tuple[str, str], Part] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    closures: dict[str, str] = field(default_factory=dict)

    def add(self, rewrite: Rewrite) -> str:
        """Take a rewrite in, with what it calls: the name that it has in the helper file."""
        function = rewrite.function
        module = function.__module__
        if function.__closure__ is None:
            name = function.__name__
            self._take(module, name)
            return _new_name(module, name)
        factory, _, _ = function.__qualname__.partition(".<locals>")
        values = {
            name: cell.cell_contents
            for name, cell in zip(function.__code__.co_freevars, function.__closure__, strict=True)
        }
        maker = getattr(import_module(module), factory)
        twins = maker(**{name: values[name] for name in inspect.signature(maker).parameters})
        place = [twin.__qualname__ for twin in twins].index(function.__qualname__)
        self._take(module, factory)
        words = ", ".join(f"{name}={values[name]!r}" for name in inspect.signature(maker).parameters)
        name = f"_{rewrite.ops[0].split('.')[1].strip('_')}_{rewrite.name}"
        self.closures[name] = f"{_new_name(module, factory)}({words})[{place}]"
        return name

    def text(self) -> str:
        """The definitions, each before those of the same module that use it at once."""
        ordered = sorted(self.parts.values(), key=lambda part: (KINDS.index(_kind(part.module)), part.order))
        texts = list(dict.fromkeys(_text_of(part) for part in ordered))
        constants = "\n".join(text for text in texts if "\n" not in text and not text.startswith("def "))
        rest = [text for text in texts if "\n" in text or text.startswith("def ")]
        rest += ["\n".join(f"{name} = {value}" for name, value in sorted(self.closures.items()))]
        return "\n\n\n".join(text for text in (constants, *rest) if text)

    def _take(self, module: str, name: str) -> None:
        part = _parts(module).get(name)
        if part is None or (module, name) in self.parts:
            return
        self.parts[module, name] = part
        imports = _imports(module)
        for node in _names(part.node):
            if node.id in _parts(module):
                self._take(module, node.id)
            elif node.id in imports:
                source, original = imports[node.id]
                if source.startswith(f"{_PACKAGE}.") and source != _TABLE:
                    self._take(source, original)
                elif not source.startswith("convlint"):
                    self.imports.add(_statement(node.id, source, original))


def _kind(module: str) -> str:
    return module.removeprefix(f"{_PACKAGE}.")


@cache
def _source(module: str) -> tuple[str, ast.Module]:
    text = inspect.getsource(import_module(module))
    return text, ast.parse(text)


@cache
def _parts(module: str) -> dict[str, Part]:
    """What a module defines at its top level, by name."""
    parts: dict[str, Part] = {}
    for order, node in enumerate(_source(module)[1].body):
        names: list[str] = []
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)]
        parts |= {name: Part(module, name, node, order) for name in names}
    return parts


@cache
def _imports(module: str) -> dict[str, tuple[str, str]]:
    """What each imported name is: the module, and the name in it or nothing."""
    imports: dict[str, tuple[str, str]] = {}
    for node in _source(module)[1].body:
        if isinstance(node, ast.Import):
            imports |= {alias.asname or alias.name: (alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            imports |= {alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names}
    return imports


def _statement(name: str, source: str, original: str) -> str:
    if original:
        return f"from {source} import {original}" + (f" as {name}" if name != original else "")
    return f"import {source}" + (f" as {name}" if name != source else "")


@cache
def _new_name(module: str, name: str) -> str:
    """What a definition is called in helper files: the same whatever else stands there."""
    if name == "Tensor":
        return name
    owners = [kind for kind in KINDS if name in _parts(f"{_PACKAGE}.{kind}")]
    plain = name if name.startswith("_") else f"_{name}"
    twins = [kind for kind in KINDS if _twin(name) in _parts(f"{_PACKAGE}.{kind}")]
    unique = len(owners) == 1 and not twins
    return plain if unique else f"_{_kind(module)}_{name.lstrip('_')}"


def _twin(name: str) -> str:
    return name.removeprefix("_") if name.startswith("_") else f"_{name}"


def _names(node: ast.stmt) -> Iterator[ast.Name]:
    """The names that a definition reads from its module, not those of its own arguments and variables."""
    own: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.arg):
            own.add(inner.arg)
        elif isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
            own.add(inner.id)
    if isinstance(node, (ast.Assign, ast.AnnAssign)):
        own = set()
    decorators = {
        inner
        for decorator in getattr(node, "decorator_list", [])
        if _registers(decorator)
        for inner in ast.walk(decorator)
    }
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id not in own and inner not in decorators:
            yield inner


def _registers(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in ("rewrite", "correction")


def _text_of(part: Part) -> str:
    """The source of a definition: undecorated, renamed, with the first line of its docstring."""
    text, _ = _source(part.module)
    node = part.node
    changes: list[tuple[int, int, str]] = []
    for name in _names(node):
        start, end = span_of(text, name)
        source = _imports(part.module).get(name.id)
        if name.id in _parts(part.module):
            changes.append((start, end, _new_name(part.module, name.id)))
        elif source is not None and source[0].startswith(f"{_PACKAGE}.") and source[0] != _TABLE:
            changes.append((start, end, _new_name(source[0], source[1])))
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and ast.unparse(inner) in _RUNTIME:
            changes.append((*span_of(text, inner), _RUNTIME[ast.unparse(inner)]))
    lines = lines_of(text, ends=True)
    first = sum(map(len, lines[: node.lineno - 1]))
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        kept = [each for each in node.decorator_list if not _registers(each)]
        if kept:
            first = sum(map(len, lines[: min(each.lineno for each in kept) - 1]))
        word = "class " if isinstance(node, ast.ClassDef) else "def "
        start = text.index(word, sum(map(len, lines[: node.lineno - 1]))) + len(word)
        changes.append((start, start + len(node.name), _new_name(part.module, node.name)))
        doc = node.body[0]
        if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
            title = str(doc.value.value).strip().splitlines()[0]
            changes.append((*span_of(text, doc.value), f'"""{title}"""'))
    last = sum(map(len, lines[: (node.end_lineno or 0) - 1])) + len(
        lines[(node.end_lineno or 0) - 1].encode()[: node.end_col_offset or 0].decode()
    )
    out, place = [], first
    for start, end, word in sorted(set(changes)):
        if start >= place:
            out += [text[place:start], word]
            place = end
    return "".join([*out, text[place:last]])
