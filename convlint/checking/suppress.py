"""Suppressed findings: silenced by a comment in the source, or by module in the settings.

``# convlint: ignore[CL201] reason`` applies to the whole statement that it stands in; on a line of its
own, to the next one. A word in it that silences nothing is reported, but only where this check has
traced the line and asked the rule: otherwise it may still be needed.
"""

from __future__ import annotations

import io
import linecache
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache

from convlint.model import (
    SEVERITIES,
    CaptureFailure,
    Finding,
    IgnoreComment,
    OpCall,
    Report,
    Severity,
    Site,
    Suppression,
)
from convlint.rules.words import answers

_COMMENT = re.compile(r"#\s*convlint:\s*ignore(?:\[(?P<words>[^\]]*)\])?(?P<reason>.*)", re.IGNORECASE)
_MARK = "convlint"


@dataclass(frozen=True, slots=True)
class _Comment:
    """A comment and the lines that it applies to."""

    site: Site
    words: tuple[str, ...]
    reason: str
    lines: range


def suppress(
    report: Report, fail_on: Severity, per_module: Mapping[str, tuple[str, ...]] | None = None
) -> Report:
    """The report with the findings that comments and ``per_module`` silence moved to ``suppressed``."""
    traced = _traced(report)
    comments = [comment for path in {path for path, _ in traced} for comment in _comments(path)]
    comments = [
        comment for comment in comments if any((comment.site.path, n) in traced for n in comment.lines)
    ]
    used: set[tuple[Site, str]] = set()
    left, silenced = [], list(report.suppressed)
    for finding in report.findings:
        silencing = next(_speaking(comments, finding), None)
        if silencing is not None:
            comment, words = silencing
            used |= {(comment.site, word) for word in words}
            silenced.append(Suppression(finding, "comment", comment.reason, comment.site))
            continue
        remaining, removed = _outside_modules(finding, per_module or {})
        silenced += [Suppression(removed, "module", "per-module-ignores")] if removed is not None else []
        left += [remaining] if remaining is not None else []
    ignores = tuple(_ignore(comment, used, report) for comment in sorted(comments, key=_order))
    return with_exit_code(
        replace(report, findings=tuple(left), suppressed=tuple(silenced), ignores=ignores), fail_on
    )


def with_exit_code(report: Report, fail_on: Severity) -> Report:
    """The report with the exit code of the remaining findings.

    A model that does not convert, or converts to other numbers, is no failure where the error that says so
    was silenced.
    """
    if report.graph is None or not report.suppressed:
        return report
    worst = SEVERITIES.index(fail_on)
    failing = any(SEVERITIES.index(finding.severity) <= worst for finding in report.findings)
    known = any(suppression.finding.severity == "error" for suppression in report.suppressed)
    parity = report.parity
    apart = parity is not None and parity.status in ("differs", "overflows")
    apart = apart and parity is not None and SEVERITIES.index(parity.severity) <= worst
    numeric = any(suppression.finding.rule.category == "numeric" for suppression in report.suppressed)
    refused = report.convertible == "no" and not known
    return replace(report, exit_code=int(failing or refused or (apart and not numeric)))


def unused_ignores(reports: Iterable[Report]) -> list[IgnoreComment]:
    """The comments with words that silence nothing in any of these reports."""
    merged: dict[Site, IgnoreComment] = {}
    for ignore in (ignore for report in reports for ignore in report.ignores):
        known = merged.get(ignore.site, ignore)
        unused = tuple(word for word in known.unused if word in ignore.unused)
        merged[ignore.site] = replace(known, unused=unused)
    return [ignore for ignore in merged.values() if ignore.unused or not ignore.words]


def _traced(report: Report) -> set[tuple[str, int]]:
    calls = report.graph.calls if report.graph is not None else ()
    subjects: list[OpCall | Finding | CaptureFailure] = [*calls, *report.findings, *report.capture_failures]
    sites = (site for subject in subjects for site in (subject.site, subject.caller) if site is not None)
    return {(site.path, site.line) for site in sites}


def _speaking(comments: Iterable[_Comment], finding: Finding) -> Iterator[tuple[_Comment, list[str]]]:
    rule = finding.rule
    for comment in comments:
        sites = [site for site in (finding.site, finding.caller) if site is not None]
        if any(site.path == comment.site.path and site.line in comment.lines for site in sites):
            names = (rule.code, rule.name, rule.category, *rule.aliases)
            words = [word for word in comment.words if answers(word, *names)]
            if words:
                yield comment, words


def _outside_modules(
    finding: Finding, per_module: Mapping[str, tuple[str, ...]]
) -> tuple[Finding | None, Finding | None]:
    """The finding of the calls outside silenced modules, and that of the calls inside; None for no calls."""
    rule = finding.rule
    patterns = [
        pattern
        for pattern, words in per_module.items()
        if any(answers(word.strip(), rule.code, rule.name, rule.category, *rule.aliases) for word in words)
    ]
    if not patterns:
        return finding, None
    if not finding.calls:
        return (None, finding) if _matches(finding.module, patterns) else (finding, None)
    inside = tuple(call for call in finding.calls if _matches(call.module, patterns))
    outside = tuple(call for call in finding.calls if not _matches(call.module, patterns))
    return (
        replace(finding, calls=outside) if outside else None,
        replace(finding, calls=inside) if inside else None,
    )


def _matches(module: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern matches the module or one that contains it."""
    return any(fnmatchcase(module, pattern) or fnmatchcase(module, f"{pattern}.*") for pattern in patterns)


def _ignore(comment: _Comment, used: set[tuple[Site, str]], report: Report) -> IgnoreComment:
    unused = tuple(
        word
        for word in comment.words
        if (comment.site, word) not in used and any(answers(word, *rule) for rule in report.asked)
    )
    return IgnoreComment(comment.site, comment.words, comment.reason, unused)


def _order(comment: _Comment) -> tuple[str, int]:
    return comment.site.path, comment.site.line


def _comments(path: str) -> tuple[_Comment, ...]:
    lines = linecache.getlines(path)
    return _comments_in(path, "".join(lines)) if any(_MARK in line.lower() for line in lines) else ()


@lru_cache(maxsize=256)
def _comments_in(path: str, source: str) -> tuple[_Comment, ...]:
    """The ignore comments of a file; none in one that Python cannot read."""
    comments: list[_Comment] = []
    open_ones: list[tuple[int, re.Match[str]]] = []
    start = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            line = token.start[0]
            if token.type == tokenize.COMMENT and (match := _COMMENT.search(token.string)):
                open_ones.append((line, match))
            elif token.type == tokenize.NEWLINE:
                covered = range(start or line, line + 1)
                comments += [_comment(path, *one, covered) for one in open_ones]
                open_ones, start = [], 0
            elif not start and token.type not in _LAYOUT:
                start = line
    except (tokenize.TokenError, SyntaxError):
        pass
    return tuple(comments)


_LAYOUT = (tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)


def _comment(path: str, line: int, match: re.Match[str], lines: range) -> _Comment:
    words = tuple(word.strip() for word in (match["words"] or "").split(",") if word.strip())
    site = Site(path, line, match[0].strip())
    return _Comment(site, words, match["reason"].strip(" \t:-"), lines)
