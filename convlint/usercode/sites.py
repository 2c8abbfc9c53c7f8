"""Finds the user's source lines in Python stacks.

torch.export gives stacks as text (``node.meta["stack_trace"]``), exceptions give frames. The site is
the innermost frame outside torch and convlint; where that lies in an installed library, the caller is
the innermost frame inside the user's own project.
"""

from __future__ import annotations

import inspect
import linecache
import os
import re
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from convlint.cells import is_cell
from convlint.installed import is_library
from convlint.model import Site

if TYPE_CHECKING:
    import torch

_FRAME = re.compile(r'^ *File "(?P<path>.+)", line (?P<line>\d+)(?:, in (?P<function>.*))?$', re.MULTILINE)
_PACKAGE = str(Path(__file__).resolve().parent.parent) + os.sep
GENERATED = "<eval_with_key>"
"""How the file names of code begin that torch generated from a graph."""
_HIDDEN_FILES = (GENERATED, "<frozen ", "<string>")


@lru_cache(maxsize=1)
def _machinery() -> tuple[str, ...]:
    """Folders whose frames are never the user's: torch, coremltools, convlint, the standard library."""
    folders = [_PACKAGE]
    for name in ("torch", "coremltools"):
        module = sys.modules.get(name)
        if module is not None and getattr(module, "__file__", None):
            folders.append(str(Path(str(module.__file__)).parent) + os.sep)
    # The command itself lies among the scripts, but is not the caller of a model.
    folders.append(sysconfig.get_path("scripts") + os.sep)
    standard = sysconfig.get_path("stdlib") + os.sep
    return (*folders, standard)


@lru_cache(maxsize=4096)
def is_machinery(path: str) -> bool:
    """Whether a frame of this file belongs to torch, coremltools, convlint or Python itself."""
    if path.startswith(_HIDDEN_FILES):
        return True
    if is_library(path):  # though installed libraries lie below the standard library's folder
        return path.startswith(_machinery()[:-1])
    return path.startswith(_machinery())


@dataclass(frozen=True, slots=True)
class Place:
    """The place of an event: its line, and the user's own line that led to it."""

    site: Site | None = None
    caller: Site | None = None


NOWHERE = Place()


def _site(path: str, line: int, function: str) -> Site:
    return Site(path, max(line, 1), linecache.getline(path, line).strip(), function)


def choose_frames(summary: traceback.StackSummary) -> list[traceback.FrameSummary]:
    """The useful frames of a stack, outermost first: the user's, else torch's forwards."""
    mine = [frame for frame in summary if not is_machinery(frame.filename)]
    printed = [frame for frame in summary if frame.filename.startswith(GENERATED)]
    if printed and (not mine or summary.index(printed[-1]) > summary.index(mine[-1])):
        return [printed[-1]]  # the caller of generated code wrote none of it
    forwards = [index for index, frame in enumerate(mine) if frame.name in ("forward", "__call__")]
    if forwards:
        return mine[forwards[0] :]
    layers = [
        frame for frame in summary if frame.name == "forward" and not frame.filename.startswith(_PACKAGE)
    ]
    return layers or mine


def place_of_frames(frames: Iterable[tuple[str, int, str]]) -> Place:
    """The place of a stack of (path, line, function), outermost first."""
    stack = list(frames)
    user = [frame for frame in stack if not is_machinery(frame[0])]
    if not user:
        return Place(_site(*stack[-1])) if stack else NOWHERE
    own = [
        frame
        for before, frame in zip((None, *user), user, strict=False)
        if not (is_library(frame[0]) or _is_generated(frame[0], before))
    ]
    if own and own[-1] == user[-1]:
        return Place(_site(*user[-1]))
    return Place(_site(*user[-1]), _site(*own[-1]) if own else None)


def _is_generated(path: str, before: tuple[str, int, str] | None) -> bool:
    """Whether a library generated this file at run time: a temporary file, called by that library."""
    temporary = tempfile.gettempdir() + os.sep
    inside = path.startswith(temporary) and not is_cell(path)
    return inside and before is not None and is_library(before[0])


@lru_cache(maxsize=65536)
def place_of_text(stack: str) -> Place:
    """The place of a stack as torch.fx stores it: the text of ``traceback.format_list``."""
    return place_of_frames(
        (frame["path"], int(frame["line"]), frame["function"] or "") for frame in _FRAME.finditer(stack)
    )


def place_of_exception(error: BaseException) -> Place:
    """The place in the user's code where an exception, or its cause, was raised."""
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    fallback = NOWHERE
    while queue:
        current = queue.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        frames = list(_frames(current.__traceback__))
        if any(not is_machinery(path) for path, _, _ in frames):
            place = place_of_frames(frames)
            if place.site is not None:
                return place
        elif frames and fallback.site is None:
            layers = [frame for frame in frames if frame[2] == "forward"]
            if layers:
                fallback = Place(_site(*layers[-1]))
        queue += [current.__cause__, current.__context__]
    return fallback


def _frames(trace: TracebackType | None) -> Iterable[tuple[str, int, str]]:
    while trace is not None:
        code = trace.tb_frame.f_code
        yield code.co_filename, trace.tb_lineno, code.co_name
        trace = trace.tb_next


_TORCHSCRIPT_FRAME = re.compile(r"^(?P<path>.+)\((?P<line>\d+)\): (?P<function>.*)$", re.MULTILINE)


@lru_cache(maxsize=65536)
def place_of_torchscript(stack: str) -> Place:
    """The place of a TorchScript node's source range: ``path(line): function``, innermost first."""
    frames = [(m["path"], int(m["line"]), m["function"]) for m in _TORCHSCRIPT_FRAME.finditer(stack)]
    if not frames:  # of a scripted function: where Python's parser read it
        frames = [(m["path"], int(m["line"]), m["function"] or "") for m in _FRAME.finditer(stack)]
    return place_of_frames(reversed(frames))


def returned_by(module: torch.nn.Module) -> Site | None:
    """The last line of a module's ``forward`` that returns something, else its first line."""
    import ast
    import textwrap

    whole = definition_of(module)
    if whole is None:
        return None
    lines, first = inspect.getsourcelines(type(module).forward)
    try:
        body = ast.parse(textwrap.dedent("".join(lines)))
    except SyntaxError:
        return whole
    numbers = [node.lineno for node in ast.walk(body) if isinstance(node, ast.Return) and node.value]
    if not numbers:
        return whole
    last = max(numbers)
    return Site(whole.path, first + last - 1, lines[last - 1].strip(), "forward")


def definition_of(module: torch.nn.Module) -> Site | None:
    """The first line of a module's ``forward``, for problems that belong to no line inside it."""
    try:
        lines, number = inspect.getsourcelines(type(module).forward)
        path = inspect.getsourcefile(type(module).forward)
    except (OSError, TypeError):
        return None
    return Site(path, number, lines[0].strip(), "forward") if path else None
