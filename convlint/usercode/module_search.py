"""Finds the models of a project in its files, without running them."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_SKIPPED = frozenset(("__pycache__", "site-packages", "node_modules", "build", "dist", "tests", "test"))
_MODULES = frozenset(("nn.Module", "torch.nn.Module", "Module"))
_LIBRARY_BASES = frozenset(("LightningModule", "PreTrainedModel"))
LARGEST_FILE = 2_000_000


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A model class: where it is, what its constructor needs, and what its forward takes."""

    name: str
    spec: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Class:
    file: str
    node: ast.ClassDef


def models_below(folder: Path) -> tuple[FoundModel, ...]:
    """The modules with a forward that no other module of the project contains or derives from.

    All modules, where each is used by another.
    """
    classes: dict[str, _Class] = {}
    used: set[str] = set()
    for file in _files(folder):
        tree = _parsed(file)
        if tree is None:
            continue
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                classes.setdefault(
                    node.name, _Class(os.path.relpath(file, folder).replace(os.sep, "/"), node)
                )
                used |= _names_in(node) - {node.name}
    modules = {name: each for name, each in classes.items() if _is_module(each.node, classes)}
    whole = {name: each for name, each in modules.items() if _forward(each.node, classes) is not None}
    top = {name: each for name, each in whole.items() if name not in used} or whole
    return tuple(_described(name, each, classes) for name, each in sorted(top.items()))


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        )
        yield from (Path(place, name) for name in sorted(names) if name.endswith(".py"))


def _parsed(file: Path) -> ast.Module | None:
    try:
        if file.stat().st_size > LARGEST_FILE:
            return None
        return ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def _names_in(node: ast.ClassDef) -> set[str]:
    """The names that a class reads, among them the modules that it contains and its bases."""
    return {
        each.id if isinstance(each, ast.Name) else each.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Name | ast.Attribute)
    }


def _is_module(node: ast.ClassDef, classes: dict[str, _Class], depth: int = 0) -> bool:
    bases = [ast.unparse(base) for base in node.bases]
    if any(
        base in _MODULES or base.rpartition(".")[2] in ("LightningModule", "PreTrainedModel")
        for base in bases
    ):
        return True
    own = [classes[base.rpartition(".")[2]] for base in bases if base.rpartition(".")[2] in classes]
    return depth < 20 and any(_is_module(each.node, classes, depth + 1) for each in own)


def _method(
    node: ast.ClassDef, name: str, classes: dict[str, _Class], depth: int = 0
) -> ast.FunctionDef | None:
    """The method of a class, or of the first base class in this project that has it."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == name:
            return item
    for base in node.bases if depth < 20 else ():
        known = classes.get(ast.unparse(base).rpartition(".")[2])
        method = _method(known.node, name, classes, depth + 1) if known is not None else None
        if method is not None:
            return method
    return None


def _forward(node: ast.ClassDef, classes: dict[str, _Class]) -> ast.FunctionDef | None:
    return _method(node, "forward", classes)


def _described(name: str, each: _Class, classes: dict[str, _Class]) -> FoundModel:
    forward = _forward(each.node, classes)
    constructor = _method(each.node, "__init__", classes)
    return FoundModel(
        name,
        f"{each.file}:{name}",
        _required(constructor) if constructor is not None else (),
        _required(forward) if forward is not None else (),
    )


def _required(function: ast.FunctionDef) -> tuple[str, ...]:
    """The parameters after ``self`` that have no default."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = positional[1 : len(positional) - len(arguments.defaults)]
    keywords = [
        each
        for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    return tuple(each.arg for each in (*needed, *keywords))
