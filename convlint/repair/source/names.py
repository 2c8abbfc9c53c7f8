"""What the names of a module stand for, at each place in it.

``F`` is ``torch.nn.functional`` where that was imported, and not where a function has an argument of that
name. Which scope binds a name is asked of :mod:`symtable`, which is the compiler's own answer.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Names:
    """The imported names of a module. Raises what Python raises for a text that does not compile."""

    def __init__(self, text: str, tree: ast.Module) -> None:
        self._tree = tree
        self._parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        self._module = symtable.symtable(text, "<source>", "exec")
        self._tables: dict[tuple[str, int], symtable.SymbolTable] = {}
        self._index(self._module)
        self._imports: dict[ast.AST, dict[str, str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._imports.setdefault(self._binder(node), {}).update(_imported(node))

    def parent(self, node: ast.AST) -> ast.AST | None:
        """What ``node`` stands in."""
        return self._parents.get(node)

    def meaning(self, name: str, place: ast.AST) -> str | None:
        """The full name of what ``name`` was imported as, seen from ``place``; None for all else."""
        in_function = False
        for scope in self._scopes(place):
            if isinstance(scope, _COMPREHENSIONS):
                targets = (each.target for each in scope.generators)
                if any(isinstance(n, ast.Name) and n.id == name for t in targets for n in ast.walk(t)):
                    return None
                continue
            if isinstance(scope, ast.ClassDef) and in_function:
                continue  # functions do not see the names of the class around them
            in_function |= isinstance(scope, _FUNCTIONS)
            symbol = self._symbol(scope, name)
            if symbol is not None and symbol.is_global():
                break
            if symbol is not None and symbol.is_local():
                return self._imports.get(scope, {}).get(name)
        return self._imports.get(self._tree, {}).get(name)

    def spelled(self, full: str, place: ast.AST) -> str | None:
        """How ``place`` names what is imported as ``full``, None where it does not."""
        for scope in (*self._scopes(place), self._tree):
            for name, known in self._imports.get(scope, {}).items():
                if known == full and self.meaning(name, place) == full:
                    return name
        return None

    def _scopes(self, place: ast.AST) -> Iterator[ast.AST]:
        """The scopes around ``place`` inside of the module, the innermost first."""
        node = self._parents.get(place)
        while node is not None:
            if isinstance(node, (*_FUNCTIONS, *_COMPREHENSIONS, ast.ClassDef)):
                yield node
            node = self._parents.get(node)

    def _binder(self, place: ast.AST) -> ast.AST:
        """The scope in which a statement binds names."""
        return next(self._scopes(place), self._tree)

    def _symbol(self, scope: ast.AST, name: str) -> symtable.Symbol | None:
        own = "lambda" if isinstance(scope, ast.Lambda) else str(getattr(scope, "name", ""))
        table = self._tables.get((own, getattr(scope, "lineno", 0)))
        try:
            return table.lookup(name) if table is not None else None
        except KeyError:
            return None

    def _index(self, table: symtable.SymbolTable) -> None:
        for child in table.get_children():
            self._tables.setdefault((child.get_name(), child.get_lineno()), child)
            self._index(child)


def _imported(node: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """The names that a statement imports, with what they stand for."""
    if isinstance(node, ast.Import):
        names = ((alias.asname or alias.name.partition(".")[0], alias) for alias in node.names)
        return {name: alias.name if alias.asname else name for name, alias in names}
    if node.module and not node.level:
        return {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return {}
