"""Importing the user's module or file, much as ``python`` itself would."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

from convlint.errors import ModelError, UsageError
from convlint.installed import is_library
from convlint.nearest import did_you_mean, nearest_names
from convlint.text import shown_path

_roots: list[str] = []
"""Folders of the files imported so far, to keep their neighbours apart from those of the next file."""


def import_module(name: str, folder: str) -> ModuleType:
    """Import a module by name, with ``folder`` on ``sys.path``."""
    _put_first(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module exists, and imports another one that does not
        raise ModelError(
            f"there is no module {error.name!r}.{_nearest_module(name, error.name, folder)}"
        ) from error


def import_file(path: str, shown: str) -> ModuleType:
    """Import a file by path, under the module name that its place gives it.

    Its folder comes first on ``sys.path``. For a file in a package, the folder above the package comes
    first, so that relative imports work; the file's own folder then comes last, so that its neighbours
    can be imported and shadow nothing.
    """
    file = Path(os.path.abspath(path))
    if not file.is_file():
        raise ModelError(f"there is no file {shown_path(shown)}.{_nearest_file(file)}")
    folder, parts = file.parent, [file.stem]
    while (folder / "__init__.py").is_file() and folder.name.isidentifier() and parts[0].isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    _unload_neighbours(str(folder))
    _put_first(str(folder))
    if len(parts) == 1:
        return _run_file(file)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))
    module = importlib.import_module(".".join(parts))
    if not _is_file_of(module, file):
        raise ModelError(
            f"{shown} is the module {'.'.join(parts)!r}, a name that {shown_path(str(module.__file__))} has"
            " taken already: rename the folder, or write the spec as module:attribute."
        )
    return module


def classes_in_file(path: str) -> list[str]:
    """The classes that a file defines, those with a ``forward`` first; the file is read, not run."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return [node.name for node in sorted(classes, key=lambda node: not _has_forward(node))]


def _has_forward(node: ast.ClassDef) -> bool:
    return any(isinstance(item, ast.FunctionDef) and item.name == "forward" for item in node.body)


def _run_file(file: Path) -> ModuleType:
    name = file.stem
    present = sys.modules.get(name)
    if present is not None and _is_file_of(present, file):
        return present
    if present is not None:
        name = f"_{name}_{len(_roots)}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UsageError(f"{shown_path(str(file))} is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _is_file_of(module: ModuleType, file: Path) -> bool:
    path = getattr(module, "__file__", None)
    return path is not None and os.path.exists(path) and os.path.samefile(path, file)


def _put_first(folder: str) -> None:
    """Put ``folder`` first on ``sys.path``, and leave Python's empty entry for the working directory."""
    if sys.path[:1] != [folder]:
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
    importlib.invalidate_caches()


def _unload_neighbours(folder: str) -> None:
    """Unload modules of earlier files' folders where ``folder`` has one of the same name.

    Two models in two folders may each have a ``layers.py`` beside them, and each means its own.
    """
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if not path or is_library(path) or path.startswith(folder + os.sep):
            continue
        top = os.path.join(folder, name.partition(".")[0])
        if (os.path.isfile(f"{top}.py") or os.path.isdir(top)) and any(
            path.startswith(root + os.sep) for root in _roots if root != folder
        ):
            del sys.modules[name]
    if folder not in _roots:
        _roots.append(folder)


def _nearest_module(name: str, missing: str, folder: str) -> str:
    """A hint: the module that was probably meant, or the file of this name."""
    as_file = Path(folder, *name.split(".")).with_suffix(".py")
    if as_file.is_file():
        return f" Did you mean {os.path.relpath(as_file, folder)}?"
    parent, _, last = missing.rpartition(".")
    package = sys.modules.get(parent) if parent else None
    if parent and not hasattr(package, "__path__"):
        return f" {parent} is a module, not a package."
    search = list(package.__path__) if package is not None else None
    siblings = [module.name for module in pkgutil.iter_modules(search)]
    near = nearest_names(last, siblings)
    rest = name[len(missing) :]
    meant = [".".join(filter(None, (parent, sibling))) + rest for sibling in near]
    if meant:
        return f" Did you mean {' or '.join(meant)}?"
    return "" if parent else " Is it installed in this environment, and is this the right folder?"


def _nearest_file(file: Path) -> str:
    if file.parent.is_dir():
        return did_you_mean(file.name, sorted(path.name for path in file.parent.glob("*.py")))
    return f" There is no folder {shown_path(str(file.parent))} either."
