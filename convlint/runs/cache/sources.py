"""The sources of a result: files by content, files that must not exist, packages by release.

What Python imported while the model was checked is known afterwards; what its files would import is
read from them (:mod:`convlint.runs.cache.imports`). A result depends on both.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from convlint.installed import is_library
from convlint.runs.cache.fingerprint import digest_file, installed_releases
from convlint.settings.jobs import Job

if TYPE_CHECKING:
    from convlint.runs.cache.imports import Closure

_JUDGED_BY_RELEASE = ("torch", "coremltools", "convlint")


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of a result, as they were at that time."""

    files: Mapping[str, str]
    absent: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)

    def unchanged(self) -> bool:
        """Whether all of it is as it was."""
        releases = installed_releases()
        return (
            all(releases.get(name) == release for name, release in self.packages.items())
            and all(digest_file(path) == digest for path, digest in self.files.items())
            and not any(map(os.path.exists, self.absent))
        )


def sources_of(job: Job, before: Collection[str], others: Collection[str] = ()) -> Sources:
    """The sources of a job that was just checked, in a process that already had the modules ``before``.

    ``others`` are files that earlier jobs of the process import: that they are loaded says nothing about
    this job. Everything else that is loaded counts, because any job may have imported it at run time.
    """
    closure = closure_of(job)
    own, installed = _imported(before)
    files = {*closure.files, *own.difference(others), *files_it_depends_on(job)}
    releases = installed_releases()
    return Sources(
        {path: digest for path in sorted(files) if (digest := digest_file(path)) is not None},
        tuple(sorted(path for path in closure.absent if not os.path.exists(path))),
        {name: releases[name] for name in sorted(_distributions(installed)) if name in releases},
    )


def closure_of(job: Job) -> Closure:
    """The files that a job's model and its converters would import."""
    from convlint.runs.cache.imports import Closure, import_closure

    root = job.root or os.getcwd()
    closures = [import_closure(job.spec, root, job.arg_exprs)]
    closures += [import_closure(f"{name}:", root) for name in job.options.converters]
    return Closure(
        frozenset[str]().union(*(each.files for each in closures)),
        frozenset[str]().union(*(each.absent for each in closures)),
        any(each.broken for each in closures),
    )


def files_it_depends_on(job: Job) -> Iterator[str]:
    """The files that match the patterns of ``depends``, relative to the job's folder."""
    root = Path(job.root or os.getcwd())
    for pattern in job.depends:
        if os.path.isabs(pattern):
            from glob import iglob

            yield from (path for path in iglob(pattern, recursive=True) if os.path.isfile(path))
        else:
            yield from (str(path) for path in root.glob(pattern) if path.is_file())


def _imported(before: Collection[str]) -> tuple[set[str], set[str]]:
    """The user's own files, and the top-level names of installed modules, that were imported since."""
    standard = os.path.dirname(os.__file__) + os.sep
    own: set[str] = set()
    installed: set[str] = set()
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        file = getattr(module, "__file__", None)
        if top in _JUDGED_BY_RELEASE or not isinstance(file, str):
            continue
        if is_library(file):
            installed.add(top)
        elif name not in before and not file.startswith(standard) and file.endswith(".py"):
            own.add(os.path.abspath(file))
    return own, installed


def _distributions(modules: Iterable[str]) -> set[str]:
    """The distributions that top-level modules belong to, by name."""
    releases = installed_releases()
    distributions: set[str] = set()
    rest: set[str] = set()
    for module in modules:
        name = module.replace("_", "-").lower()
        (distributions if name in releases else rest).add(name if name in releases else module)
    return distributions | set(_owners(rest)) if rest else distributions


def _owners(modules: Collection[str]) -> Iterator[str]:
    """The distributions whose lists of files name one of these modules, as PIL belongs to pillow."""
    for folder in sys.path:
        for record in Path(folder or ".").glob("*.dist-info/RECORD"):
            try:
                lines = record.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError):
                continue
            tops = {line.partition(",")[0].partition("/")[0].partition(".")[0] for line in lines}
            if not tops.isdisjoint(modules):
                yield record.parent.name.partition("-")[0].replace("_", "-").lower()
