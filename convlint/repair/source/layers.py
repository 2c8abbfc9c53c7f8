"""A layer of PyTorch whose forward calls what is refused: the place in the user's source where it is made.

``nn.GRUCell(8, 16)`` becomes ``coreml_ops.GRUCell(8, 16)``, a class made of PyTorch's own. Where a layer was
made is noted while the model is built, in a process of its own: each module gets the expression that called
its class, and keeps it in deep copies.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any

from convlint.model import Site
from convlint.repair.source.edit import Refusal, editable
from convlint.repair.source.files import span_of
from convlint.repair.source.match import dotted_name

_NOTE = "_convlint_made_at"

Made = tuple[str, int, int, int, int]
"""Where an expression stands: the file, its first and last line, its columns in bytes, as in :mod:`ast`."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A class of ``torch.nn`` that the user's source calls: ``start`` and ``end`` are offsets of its name."""

    name: str
    full: str
    site: Site
    start: int
    end: int


@contextmanager
def noted() -> Iterator[None]:
    """While open, each module that is made notes the expression that called its class."""
    from torch import nn

    plain = nn.Module.__init__

    def init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        frame = sys._getframe(1)
        while _is_init_of(frame, self) and frame.f_back is not None:
            frame = frame.f_back
        place = _position(frame)
        if place is not None:
            self.__dict__[_NOTE] = place

    setattr(nn.Module, "__init__", init)  # noqa: B010 - mypy forbids the assignment
    try:
        yield
    finally:
        setattr(nn.Module, "__init__", plain)  # noqa: B010


def notes_of(module: Any) -> dict[str, Made]:
    """By the name of each module in the model the place where it was made, as far as that is known."""
    return {
        name: part.__dict__[_NOTE]
        for name, part in module.named_modules(remove_duplicate=False)
        if _NOTE in part.__dict__
    }


def _is_init_of(frame: FrameType, module: Any) -> bool:
    code = frame.f_code
    first = code.co_varnames[0] if code.co_argcount else ""
    return code.co_name == "__init__" and bool(first) and frame.f_locals.get(first) is module


def _position(frame: FrameType) -> Made | None:
    positions = list(frame.f_code.co_positions())
    first, last, start, end = positions[frame.f_lasti // 2]
    if first is None or last is None or start is None or end is None:
        return None
    return frame.f_code.co_filename, first, last, start, end


def is_layer(path: str, module: Any) -> bool:
    """Whether the module at ``path`` is one of PyTorch's own layers."""
    try:
        return bool(path) and bool(_public_name(type(module.get_submodule(path)), loosely=True))
    except AttributeError:
        return False


def layers_at(
    path: str, every: bool, module: Any, notes: Mapping[str, Made], project: str
) -> list[Layer] | str:
    """The layers to hand over for a call inside of the module at ``path``; a sentence where none can be.

    It is the innermost layer of PyTorch that the user's source makes; a layer that PyTorch makes of others is
    taken whole. ``every``: all those of its class, where calls of several were seen as one.
    """
    parts = dict(module.named_modules(remove_duplicate=False))
    answer: Layer | str = "the layer is made in a library: the context covers it"
    while path and path in parts:
        kind = type(parts[path])
        if not _public_name(kind, loosely=True):
            break
        if path in notes and _public_name(kind):
            answer = _layer(kind, notes[path], project)
            if isinstance(answer, Layer):
                break
        path = path.rpartition(".")[0]
    if not isinstance(answer, Layer) or not every:
        return [answer] if isinstance(answer, Layer) else answer
    twins = (
        _layer(kind, notes[name], project)
        for name, one in parts.items()
        if type(one) is kind
        if name in notes
    )
    return list(dict.fromkeys([answer, *(twin for twin in twins if isinstance(twin, Layer))]))


def _public_name(kind: type, *, loosely: bool = False) -> str:
    """The name of a class that ``torch.nn`` has; ``loosely``: of any that PyTorch's layers are made of."""
    import torch

    if loosely:
        return kind.__qualname__ if kind.__module__.startswith(("torch.nn.", "torch.ao.nn.")) else ""
    return kind.__name__ if getattr(torch.nn, kind.__name__, None) is kind else ""


def _layer(kind: type, made: Made, project: str) -> Layer | str:
    """The layer made at a place, if the source there calls its class by name."""
    import torch

    path, first, last, start, end = made
    site = Site(path, first)
    module = editable(site, project)
    if isinstance(module, Refusal):
        return module.reason
    for node in module.expressions(first):
        place = (node.lineno, node.end_lineno, node.col_offset, node.end_col_offset)
        if not isinstance(node, ast.Call) or place != (first, last, start, end):
            continue
        dotted = dotted_name(node.func, partial(module.names.meaning, place=node))
        value: Any = torch
        for part in (dotted or "").split(".")[1:]:
            value = getattr(value, part, None)
        if dotted is not None and dotted.startswith("torch.") and value is kind:
            return Layer(
                kind.__name__, f"torch.nn.{kind.__name__}", site, *span_of(module.source.text, node.func)
            )
    return f"the line that makes the layer does not call nn.{kind.__name__} by name: the context covers it"
