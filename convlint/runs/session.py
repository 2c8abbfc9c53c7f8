"""Checking jobs one after another in one process: ask the cache, check, store, suppress."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from convlint.errors import ConvlintError
from convlint.model import Report
from convlint.model.run import Outcome
from convlint.runs.cache.store import Cache, job_digest
from convlint.runs.progress import Progress
from convlint.settings.jobs import Job

if TYPE_CHECKING:
    from convlint.checking.check import Early

CACHED_NOTE = (
    "the result of an earlier check of the same sources, settings and releases; --no-cache checks anew"
)


class Session:
    """Checks models in one process, so that what one model imports is loaded for the next.

    ``tell`` is told each stage. ``early`` gets what is found before all is known.
    """

    def __init__(
        self,
        cache: Cache | None = None,
        *,
        debug: bool = False,
        quiet: bool = False,
        tell: Callable[[str], None] | None = None,
        early: Early | None = None,
    ) -> None:
        self.cache = cache
        self._tell = tell
        self._early = early
        self._debug = debug
        self._quiet = quiet
        self._before = frozenset(sys.modules)
        self._read: frozenset[str] = frozenset()
        self._digests: dict[str, str | None] = {}
        self._start = time.time_ns()
        self._cleaned = False

    def check(self, job: Job, place: str = "") -> Outcome:
        """The outcome of one job, without the findings that its comments and settings silence.

        ``place`` is shown in the progress line, and says which of several jobs it is.
        """
        from convlint.checking.suppress import suppress

        options = job.options
        cache = None if _measures(job) else self.cache
        report = cache.recall(job) if cache is not None else None
        cached = report is not None
        if report is not None:
            report = replace(report, notes=(*report.notes, CACHED_NOTE))
        else:
            key = ""
            if cache is not None:
                key = job_digest(job)
                self._note_sources(job)
            try:
                report = self._check(job, place)
            except ConvlintError as error:
                return Outcome(job.name, job.spec, job.root, error=error)
            if cache is not None and _lasting(report):
                self._store(cache, job, report, key)
        report = suppress(report, options.fail_on, options.per_module_ignores)
        return Outcome(job.name, job.spec, job.root, report, kept=cached)

    def _check(self, job: Job, place: str) -> Report:
        from convlint.runs.opening import opened
        from convlint.untouched import one_at_a_time

        name = f"{place}{job.name}"
        with one_at_a_time, Progress(name, enabled=not self._quiet, tell=self._tell) as progress:
            with opened(job, progress, debug=self._debug) as source:
                from convlint.checking.check import check_source

                return check_source(job.name, source, job.options, progress, early=self._early)

    def _note_sources(self, job: Job) -> None:
        """Note the digest of each file that is about to be imported, before this process first reads it."""
        from convlint.runs.cache.fingerprint import digest_file
        from convlint.runs.cache.sources import closure_of, files_it_depends_on

        for path in {*closure_of(job).files, *files_it_depends_on(job)}:
            if path not in self._digests:
                self._digests[path] = digest_file(path)

    def _is_as_read(self, path: str, digest: str) -> bool:
        if path in self._digests:
            return self._digests[path] == digest
        try:  # imported at run time only: it must not have changed since this process began
            return os.stat(path).st_ctime_ns < self._start
        except OSError:
            return False

    def _store(self, cache: Cache, job: Job, report: Report, key: str) -> None:
        from convlint.runs.cache.sources import closure_of, sources_of

        sources = sources_of(job, self._before, self._read)
        if not all(self._is_as_read(path, digest) for path, digest in sources.files.items()):
            return  # a file was saved meanwhile: which text the result is for is unknown
        if job_digest(job) != key:
            return  # a rule was saved meanwhile
        cache.store(job, report, sources)
        self._read |= closure_of(job).files
        if not self._cleaned:
            self._cleaned = True
            cache.clean()


def _measures(job: Job) -> bool:
    """Whether a job writes or measures something, which no cached report can replace."""
    options = job.options
    return bool(
        options.output or options.parity or options.precision or options.compress or options.checkpoint
    )


def _lasting(report: Report) -> bool:
    """Whether another check would give the same result: a timeout or a crash may not happen again."""
    return report.graph is not None and all(
        trial.status in ("converted", "failed") for trial in report.trials
    )
