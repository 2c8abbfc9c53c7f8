"""Models of packages that are installed without their dependencies, each by a command that a user can give."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.catalogue.candidate import Candidate


def candidates() -> Iterator[Candidate]:
    """The models of each package in turn."""
    yield from ()
