"""The files that a model is made of: its own and those that they import, read without running them.

Only the user's own files are followed. Installed packages, Python and torch count by name and version.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from convlint.installed import is_library

_OUTSIDE = frozenset(sys.stdlib_module_names) | {"torch", "coremltools", "convlint"}


@dataclass(frozen=True, slots=True)
class Closure:
    """``files`` that exist, and ``absent`` ones that would change what is imported if they were created.

    ``broken`` says that one of the files imports a neighbour that does not exist.
    """

    files: frozenset[str]
    absent: frozenset[str]
    broken: bool = False


def import_closure(spec: str, root: str, arg_exprs: Mapping[str, str] | None = None) -> Closure:
    """The closure of what a model spec names, with the modules that its argument expressions name."""
    where = spec.strip().rpartition(":")[0]
    if where.endswith(".py"):
        file = os.path.abspath(os.path.join(root, os.path.expanduser(where)))
        package, folder = _package_of(file)
        search = (folder, *_search_path(), os.path.dirname(file))
        walk = _Walk(search)
        walk.file(file, package)
    else:
        walk = _Walk((root, *_search_path()))
        walk.module(where, required=True)
    for text in (arg_exprs or {}).values():
        for name in _names(text):
            walk.module(name, required=False)
    return walk.run()


class _Walk:
    """Follows imports from file to file, each once."""

    def __init__(self, search: tuple[str, ...]) -> None:
        self._search = search
        self._queue: list[tuple[str, str]] = []
        self._files: set[str] = set()
        self._absent: set[str] = set()
        self._resolved: dict[str, str | None] = {}
        self._broken = False

    def run(self) -> Closure:
        while self._queue:
            file, package = self._queue.pop()
            for name, required in _imports(file, package, _stamp(file)):
                self.module(name, required=required)
        return Closure(frozenset(self._files), frozenset(self._absent - self._files), self._broken)

    def file(self, file: str, package: str) -> None:
        if file in self._files:
            return
        if not os.path.isfile(file):
            self._absent.add(file)
            self._broken = True
            return
        self._files.add(file)
        self._queue.append((file, package))

    def module(self, name: str, *, required: bool) -> None:
        """Add a module by its absolute name, and the packages that it lies in.

        A missing module counts where its package is the user's own: the closure is then broken if the
        import is ``required``. ``from package import name`` may name something else than a module.
        """
        parts = name.split(".")
        folder: str | None = None
        for depth, part in enumerate(parts):
            prefix = ".".join(parts[: depth + 1])
            if prefix in self._resolved:
                folder = self._resolved[prefix]
            else:
                folder = self._resolved[prefix] = self._step(part, prefix, folder, depth == 0)
            if folder is None:
                self._broken |= required and depth > 0
                return

    def _step(self, part: str, prefix: str, folder: str | None, top: bool) -> str | None:
        """The folder of a package, "" for a module that is not followed further, None for nothing."""
        if top and part in _OUTSIDE:
            return ""
        if not top and not folder:
            return ""
        places = self._search if top else (folder or "",)
        for place in places:
            package = self._at(place, part, prefix)
            if package is not None:
                return package
        hooked = self._hooked(part) if top else None
        if hooked is not None:
            return hooked
        # A folder without __init__.py is a package only where nothing else has its name.
        folders = (os.path.join(place, part) for place in places)
        return next((path for path in folders if os.path.isdir(path) and not is_library(path)), None)

    def _at(self, place: str, part: str, prefix: str) -> str | None:
        if is_library(os.path.join(place, part)):
            return "" if _is_module(place, part) else None
        package, init = os.path.join(place, part), os.path.join(place, part, "__init__.py")
        module = f"{package}.py"
        if os.path.isfile(init):
            self.file(init, prefix)
            return package
        self._absent.add(init)
        if os.path.isfile(module):
            self.file(module, prefix.rpartition(".")[0])
            return ""
        self._absent.add(module)
        return None

    def _hooked(self, part: str) -> str | None:
        """The folder of a top-level module that only an import hook knows, such as an editable install."""
        try:
            module_spec = importlib.util.find_spec(part)
        except (ImportError, ValueError, AttributeError):
            return None
        if module_spec is None:
            return None
        if module_spec.origin and not is_library(module_spec.origin) and module_spec.origin.endswith(".py"):
            folders = list(module_spec.submodule_search_locations or ())
            self.file(os.path.abspath(module_spec.origin), part if folders else "")
            return folders[0] if folders else ""
        return "" if module_spec.origin else None


def _search_path() -> tuple[str, ...]:
    return tuple(folder for folder in dict.fromkeys(map(os.path.abspath, sys.path)) if os.path.isdir(folder))


def _is_module(folder: str, name: str) -> bool:
    return any(entry == name or entry.startswith(f"{name}.") for entry in _listing(folder))


@lru_cache(maxsize=64)
def _listing(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def _package_of(file: str) -> tuple[str, str]:
    """The package that a file lies in, and the folder that the package is imported from."""
    folder = os.path.dirname(file)
    parts: list[str] = []
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.basename(folder).isidentifier():
        parts.insert(0, os.path.basename(folder))
        folder = os.path.dirname(folder)
    return ".".join(parts), folder


def _stamp(file: str) -> tuple[int, int]:
    try:
        stat = os.stat(file)
    except OSError:
        return (0, 0)
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=16384)
def _imports(file: str, package: str, stamp: tuple[int, int]) -> tuple[tuple[str, bool], ...]:
    """Absolute names that a file imports, each with whether it must be a module.

    A file that cannot be parsed imports nothing: importing it fails, and the check says so.
    """
    try:
        with open(file, "rb") as stream:
            tree = ast.parse(stream.read())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(dict.fromkeys(_imports_of(tree, package)))


def _imports_of(tree: ast.AST, package: str) -> Iterator[tuple[str, bool]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, True) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if base:
                yield base, True
                yield from ((f"{base}.{alias.name}", False) for alias in node.names if alias.name != "*")
            elif base is not None:
                yield from ((alias.name, False) for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call):
            yield from ((name, False) for name in _imported_by_call(node))


def _absolute(node: ast.ImportFrom, package: str) -> str | None:
    if not node.level:
        return node.module
    parts = package.split(".") if package else []
    if node.level - 1 > len(parts):
        return None
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _imported_by_call(node: ast.Call) -> Iterable[str]:
    """The literal in ``import_module("a.b")`` and ``__import__("a.b")``."""
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in ("import_module", "__import__") or not node.args:
        return ()
    first = node.args[0]
    text = first.value if isinstance(first, ast.Constant) else None
    return (text,) if isinstance(text, str) and all(part.isidentifier() for part in text.split(".")) else ()


def _names(expression: str) -> Iterator[str]:
    """Dotted names that an expression reads: ``a.b.C()`` may import ``a`` and ``a.b``."""
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        parts: list[str] = []
        value: ast.AST = node
        while isinstance(value, ast.Attribute):
            parts.insert(0, value.attr)
            value = value.value
        if isinstance(value, ast.Name):
            yield ".".join([value.id, *parts])
