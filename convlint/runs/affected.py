"""The models that a change can reach: those whose own files, or the files they import, have changed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from convlint.runs.cache.store import Cache
from convlint.settings.jobs import Job
from convlint.settings.project import Project


def affected_jobs(
    jobs: Sequence[Job], changed: Iterable[str], project: Project, cache: Cache | None
) -> list[Job]:
    """The jobs that a change of these files can reach.

    Files imported in an earlier check count too, so that imports at run time are seen. Any change reaches
    a model that imports a missing neighbour: the file may just have been renamed or deleted, and a list
    of changed files does not name it.
    """
    from convlint.runs.cache.sources import closure_of, files_it_depends_on

    files = {os.path.realpath(path) for path in changed}
    if not files:
        return []
    everything = [project.file] if project.file else []
    folders = [os.path.realpath(path) for path in project.rule_paths]
    if any(os.path.realpath(path) in files for path in everything) or any(
        file == folder or file.startswith(folder + os.sep) for file in files for folder in folders
    ):
        return list(jobs)
    reached = []
    for job in jobs:
        closure = closure_of(job)
        earlier = cache.sources(job) if cache is not None else None
        recorded = earlier.files if earlier is not None else ()
        paths = (*closure.files, *closure.absent, *recorded, *files_it_depends_on(job))
        if closure.broken or any(os.path.realpath(path) in files for path in paths):
            reached.append(job)
    return reached
