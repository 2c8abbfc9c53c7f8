"""Which models a saved file reaches: those of the configuration, else those that the file itself names.

A comment names the inputs of a class that no configuration has::

    class Net(nn.Module):  # convlint: input x=1x3x224x224

It may also stand on a line of its own right above the class.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from convlint.errors import ConvlintError
from convlint.interface.inputs import parse_input
from convlint.runs.affected import affected_jobs
from convlint.runs.cache.store import Cache
from convlint.settings.jobs import Job
from convlint.settings.project import Project

_INPUTS = re.compile(r"#\s*convlint:\s*inputs?\s+(?P<inputs>\S.*?)\s*$")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One model to check, and the line of its class, where findings without a line are shown."""

    job: Job
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Wrong:
    """A model that cannot be checked as it is described, and why."""

    name: str
    path: str
    line: int
    error: ConvlintError


def models_of(path: str, project: Project, cache: Cache | None) -> Iterator[Wanted | Wrong]:
    """The models that a change of ``path`` reaches."""
    jobs = affected_jobs(list(project.models), [path], project, cache)
    for job in jobs:
        yield Wanted(job, *_place_of(job, path))
    if not jobs and path.endswith(".py"):
        yield from _named_in(path, project)


def _place_of(job: Job, saved: str) -> tuple[str, int]:
    """The file and the line of a model, as far as its spec names a file; else the file that was saved."""
    where, _, name = job.spec.rpartition(":")
    path = os.path.join(job.root or os.getcwd(), os.path.expanduser(where))
    if not where.endswith(".py"):
        path = os.path.join(job.root or os.getcwd(), *where.split(".")) + ".py"
    if not os.path.isfile(path):
        return saved, 1
    lines = {node.name: node.lineno for node in _definitions(path)}
    return os.path.realpath(path), lines.get(name, 1)


def _named_in(path: str, project: Project) -> Iterator[Wanted | Wrong]:
    """The classes and functions of a file that have a comment with their inputs."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, ValueError):
        return
    for node in _definitions(path):
        above = min([node.lineno, *(each.lineno for each in node.decorator_list)]) - 2
        texts = [lines[node.lineno - 1], lines[above] if above >= 0 else ""]
        found = next(filter(None, map(_INPUTS.search, texts)), None)
        if found is None:
            continue
        try:
            inputs = tuple(parse_input(text) for text in found["inputs"].split())
        except ConvlintError as error:
            yield Wrong(node.name, path, node.lineno, error)
            continue
        job = Job(node.name, f"{path}:{node.name}", inputs=inputs, options=project.options)
        yield Wanted(job, path, node.lineno)


def _definitions(path: str) -> list[ast.ClassDef | ast.FunctionDef]:
    """The classes and functions of a file; none where it does not parse."""
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return []
    return [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
