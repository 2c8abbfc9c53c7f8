"""Results of earlier checks, valid as long as everything that they came from is the same.

A job has a folder of entries. The name of the folder is a digest of the job, this program, the
rules and the releases that judge. The first line of an entry says from which file contents and
installed packages it was made, the second holds the report. So an unchanged model is recognised by
the content of its files alone, without parsing or importing them, and going back to an earlier
state of the sources finds the result of that state.

The cache never decides whether a check works: an entry that cannot be read, written or understood
counts as absent.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from convlint.files import remove, write_atomically
from convlint.model import Report
from convlint.runs.cache.codec import Unreadable, decode_report, encode_report
from convlint.runs.cache.fingerprint import described, digest_texts, judges, program_digest, rules_digest
from convlint.runs.cache.sources import Sources
from convlint.settings.jobs import Job
from convlint.settings.project import Project

FORMAT = 1
DEFAULT_FOLDER = ".convlint_cache"
STATES_KEPT = 8
"""How many states of its sources a job may have in the cache."""
MAX_DAYS = 30
MAX_BYTES = 256 << 20
_SPOILT = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""The errors of reading a file that is cut off, or written by another release or program."""
_FOLDER = re.compile("[0-9a-f]{32}")
_ENTRY = re.compile(r"[0-9a-f]{32}\.json(\.[0-9]+-[0-9a-f]{8}\.tmp)?")
_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# https://bford.info/cachedir/\n"


class Cache:
    """The entries of one folder. ``trouble`` says why nothing could be stored; empty without trouble."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.trouble = ""

    def recall(self, job: Job) -> Report | None:
        """The report of an earlier check of this job that is still valid; None without one."""
        for entry in self._entries(job):
            report = _recalled(entry)
            if report is not None:
                with contextlib.suppress(OSError):
                    os.utime(entry)
                return report
        return None

    def sources(self, job: Job) -> Sources | None:
        """The sources of the newest result of this job, whether or not it is still valid."""
        for entry in self._entries(job):
            with contextlib.suppress(*_SPOILT):
                with _opened(entry) as stream:
                    return _sources(json.loads(stream.readline()))
        return None

    def store(self, job: Job, report: Report, sources: Sources) -> None:
        """Store a report. Where that is impossible, ``trouble`` says why and nothing else happens."""
        try:
            header = {"convlint": FORMAT, "model": job.name, **asdict(sources)}
            text = f"{json.dumps(header)}\n{json.dumps(encode_report(report))}\n"
        except (TypeError, ValueError) as error:
            self.trouble = str(error)
            return
        folder = self.folder / job_digest(job)
        try:
            self._prepare()
            folder.mkdir(exist_ok=True)
            digest = digest_texts(f"{path} {content}" for path, content in sorted(sources.files.items()))
            write_atomically(folder / f"{digest}.json", text)
            for old in self._entries(job)[STATES_KEPT:]:
                remove(old)
        except OSError as error:
            self.trouble = f"{error.strerror or error}: {self.folder}"

    def clean(self, days: float = MAX_DAYS, size: int = MAX_BYTES) -> None:
        """Remove entries unused for ``days``, and the oldest entries beyond ``size`` bytes in all."""
        entries = []
        for entry in self._all():
            with contextlib.suppress(OSError):
                stat = entry.stat()
                entries.append((stat.st_mtime, stat.st_size, entry))
        oldest = time.time() - days * 86400
        total = 0
        for used, length, entry in sorted(entries, reverse=True):
            total += length
            if used < oldest or total > size:
                remove(entry)
        for folder in {entry.parent for _, _, entry in entries}:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where nothing is left in it

    def _entries(self, job: Job) -> list[Path]:
        """The entries of a job, the newest first."""
        dated = []
        for entry in (self.folder / job_digest(job)).glob("*.json"):
            with contextlib.suppress(OSError):
                dated.append((entry.stat().st_mtime_ns, entry))
        return [entry for _, entry in sorted(dated, reverse=True)]

    def _all(self) -> Iterator[Path]:
        """All entries, and leftovers of interrupted writes. The folder may hold other files too."""
        for entry in self.folder.glob("*/*"):
            if _FOLDER.fullmatch(entry.parent.name) and _ENTRY.fullmatch(entry.name):
                yield entry

    def _prepare(self) -> None:
        """Create the folder, with the marks that keep it out of git and of backups."""
        if self.folder.is_dir():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / ".gitignore", "*\n")
        write_atomically(self.folder / "CACHEDIR.TAG", _TAG)


def folder_of(project: Project) -> str | None:
    """The folder where a project caches its results: beside its configuration, else in the user's cache.

    None where the project turns the cache off.
    """
    if not project.cache:
        return None
    if project.cache_dir is not None:
        return project.cache_dir
    if project.root is not None:
        return os.path.join(project.root, DEFAULT_FOLDER)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "convlint")


def job_digest(job: Job) -> str:
    """A digest of what decides a job's result, beside the files that the model is made of."""
    facts = {**asdict(job), "root": os.path.abspath(job.root or os.getcwd())}
    facts["options"] = {
        name: value
        for name, value in facts["options"].items()
        if name not in ("origins", "output", "per_module_ignores")
    }
    rules = rules_digest(job.options.rule_paths)
    return digest_texts([described(facts), rules, program_digest(), *judges()])


def _recalled(entry: Path) -> Report | None:
    try:
        with _opened(entry) as stream:
            if not _sources(json.loads(stream.readline())).unchanged():
                return None
            return decode_report(json.loads(stream.readline()))
    except _SPOILT:
        return None


def _opened(entry: Path) -> TextIO:
    """Open an entry: a regular file of a plausible size, no pipe, no device and no link to one."""
    descriptor = os.open(entry, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        os.close(descriptor)
        raise Unreadable("no entry of a cache")
    return open(descriptor, encoding="utf-8")


def _sources(header: Any) -> Sources:
    if header["convlint"] != FORMAT:
        raise Unreadable("another format")
    return Sources(dict(header["files"]), tuple(header["absent"]), dict(header["packages"]))
