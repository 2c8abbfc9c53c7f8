"""The places of findings, for programs that know only the files of a repository."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from convlint.installed import is_library
from convlint.model import Finding, Report, Site
from convlint.model.run import Outcome, Run
from convlint.output.modules import fold_modules
from convlint.text import package_path


@dataclass(frozen=True, slots=True)
class Shown:
    """A finding of a run with its place in the repository (None where it has none there).

    ``fingerprint`` stays the same for the same finding in another run, even where its line has moved.
    """

    model: str
    finding: Finding
    path: str | None
    line: int
    fingerprint: str

    @property
    def place(self) -> str:
        """Path and line; in a library those below its package. Empty where the finding has none."""
        if self.path is not None:
            return f"{self.path}:{self.line}"
        return shown_place(self.finding.site or self.finding.caller)

    @property
    def modules(self) -> list[str]:
        """The module paths of its calls, with repeated blocks as one."""
        paths = (call.module for call in self.finding.calls) if self.finding.calls else [self.finding.module]
        return [path for path, _ in fold_modules(paths) if path]


def sites_of_output(report: Report | None, finding: Finding) -> Iterator[Site]:
    """The lines of the op that made the output a finding is about, from the inside out.

    A finding about the outputs as a whole has those of the first.
    """
    if report is None or report.graph is None or (finding.site or finding.caller) is not None:
        return
    subject = finding.subject
    ports = [port for port in report.graph.outputs if subject.kind == "model" or port.name == subject.name]
    if subject.kind not in ("output", "model") or not ports:
        return
    for call in report.graph.calls:
        if call.name == ports[0].name:
            yield from filter(None, (call.site, call.caller))


def shown_place(site: Site | None) -> str:
    """Path and line for people; the path of a library starts at its package."""
    return f"{package_path(site.path)}:{site.line}" if site is not None else ""


def repository_root(folder: str) -> str:
    """The repository that ``folder`` lies in, or the folder itself."""
    place = os.path.abspath(folder)
    while place != os.path.dirname(place):
        if os.path.exists(os.path.join(place, ".git")):
            return place
        place = os.path.dirname(place)
    return os.path.abspath(folder)


def shown_findings(run: Run) -> list[Shown]:
    """Every finding that the run reports, in its order."""
    return [
        each
        for outcome in run.outcomes
        if outcome.report is not None
        for each in places_of(outcome, outcome.report.findings, run.base)
    ]


def places_of(outcome: Outcome, findings: Sequence[Finding], base: str) -> Iterator[Shown]:
    """The findings of one model with their places and fingerprints."""
    seen: Counter[str] = Counter()
    for finding in findings:
        sites = [finding.site, finding.caller, *sites_of_output(outcome.report, finding)]
        inside_base = filter(None, (place_in(base, site) for site in sites))
        place = next(inside_base, None) or _of_spec(outcome, base)
        path, line = place or (None, 1)
        source = finding.site.source.strip() if finding.site is not None else ""
        modules = ",".join(path for path, _ in fold_modules(call.module for call in finding.calls))
        words = (outcome.model, finding.rule.code, path or "", source, finding.op, modules)
        digest = blake2b("\0".join(words).encode("utf-8", "replace"), digest_size=16).hexdigest()
        seen[digest] += 1  # the same words on two lines are two findings
        yield Shown(outcome.model, finding, path, line, f"{digest}:{seen[digest]}")


def place_in(base: str, site: Site | None) -> tuple[str, int] | None:
    """The path relative to ``base``, with slashes, and the line; None for outside or installed files."""
    if site is None or is_library(site.path):
        return None
    path = inside(base, site.path)
    return (path, max(site.line, 1)) if path is not None else None


def inside(base: str, path: str) -> str | None:
    """``path`` relative to ``base``, with slashes; None where it lies outside."""
    try:
        relative = os.path.relpath(os.path.realpath(path), os.path.realpath(base))
    except ValueError:  # another drive
        return None
    return None if relative.split(os.sep)[0] == os.pardir else relative.replace(os.sep, "/")


def _of_spec(outcome: Outcome, base: str) -> tuple[str, int] | None:
    """The first line of the file in the model's spec: the best place for findings without one."""
    where = outcome.spec.rpartition(":")[0]
    if not where.endswith(".py"):
        return None
    path = inside(base, os.path.join(outcome.root or os.getcwd(), os.path.expanduser(where)))
    return (path, 1) if path is not None else None
