"""Where architectures come from: a module for each group of packages, which yields its candidates.

The most telling candidates come first, those that take long last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import zip_longest

from benchmarks.catalogue.candidate import Candidate

SOURCES = {
    "torchvision": "of_torchvision",
    "timm": "of_timm",
    "transformers": "of_transformers",
    "packages": "of_packages",
}


def candidates(sources: Sequence[str] = tuple(SOURCES)) -> list[Candidate]:
    """The candidates of these sources, one of each in turn, so that all have entries early."""
    rows = zip_longest(*(_of(source) for source in sources))
    return [candidate for row in rows for candidate in row if candidate is not None]


def _of(source: str) -> Iterator[Candidate]:
    function: Callable[[], Iterator[Candidate]] = import_module(f"{__name__}.{SOURCES[source]}").candidates
    return function()


def installed_version(distribution: str) -> str:
    """The version of a package; "" where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
