"""Names of parameters, buffers and children that torch's own module classes have already.

A ``GraphModule`` has ``code`` and ``recompile``, a ``ScriptModule`` has ``graph`` and ``save``. A tensor of
the model by such a name is not there when ``run_decompositions({})`` or the converter asks for it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from convlint.model import Frontend, Site

if TYPE_CHECKING:
    import torch


class OwnedName(ValueError):
    """A model that cannot be converted for a name; ``site`` is the line that gives it."""

    def __init__(self, text: str, site: Site | None) -> None:
        super().__init__(text)
        self.site = site


def refuse_owned_names(module: torch.nn.Module, frontend: Frontend) -> None:
    """Raise :class:`OwnedName` for the first name that stands in the way of a frontend.

    A program of torch.export keeps the names of the outermost module alone, a trace those of all.
    """
    import torch

    kind = torch.fx.GraphModule if frontend == "export" else torch.jit.TopLevelTracedModule  # type: ignore[attr-defined]
    owned = {name for name in dir(kind) if not name.startswith("__")} - set(dir(torch.nn.Module))
    parts = {"": module} if frontend == "export" else dict(module.named_modules())
    for path, part in parts.items():
        for what, name in _names(part):
            if name not in owned:
                continue
            full = f"{path}.{name}" if path else name
            shown = "torch.fx.GraphModule" if frontend == "export" else "torch.jit.ScriptModule"
            raise OwnedName(
                f"the {what} {full!r} is called as an attribute of {shown}, which is found in its place",
                _given_at(type(part), name),
            )


def _names(part: torch.nn.Module) -> Iterator[tuple[str, str]]:
    yield from (("parameter", name) for name in part._parameters)
    yield from (("buffer", name) for name in part._buffers)
    yield from (("submodule", name) for name in part._modules)


def _given_at(kind: type, name: str) -> Site | None:
    """The line of a constructor that gives one of its attributes this name."""
    try:
        lines, first = inspect.getsourcelines(kind.__init__)  # type: ignore[misc]
        path = inspect.getsourcefile(kind.__init__)  # type: ignore[misc]
    except (OSError, TypeError):
        return None
    assignment = re.compile(rf"\bself\.{re.escape(name)}\s*[:=]|[\"']{re.escape(name)}[\"']")
    for number, line in enumerate(lines):
        if path and assignment.search(line):
            return Site(path, first + number, line.strip(), "__init__")
    return None
