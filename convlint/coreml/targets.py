"""Deployment targets: every operating system release that coremltools can convert for.

Standard library only, so that a wrong ``--target`` is refused before coremltools is imported.
A test compares this table with ``coremltools.target``.
"""

from __future__ import annotations

from convlint.errors import UsageError
from convlint.nearest import did_you_mean

OPSETS: tuple[str, ...] = ("iOS15", "iOS16", "iOS17", "iOS18", "iOS26")
"""The iOS releases, oldest first; systems of the same generation share the MIL operations of each."""

_RELEASES: dict[str, tuple[str, ...]] = {
    "macOS": ("12", "13", "14", "15", "26"),
    "watchOS": ("8", "9", "10", "11", "26"),
    "tvOS": ("15", "16", "17", "18", "26"),
}

TARGETS: dict[str, str] = {name: name for name in OPSETS} | {
    f"{system}{release}": opset
    for system, releases in _RELEASES.items()
    for release, opset in zip(releases, OPSETS, strict=True)
}
"""Every target by coremltools' spelling, with the iOS release that has the same operations."""

DEFAULT_TARGET = "iOS17"

_BY_FOLDED = {name.casefold(): name for name in TARGETS}


def normalise_target(text: str) -> str:
    """The name of a target as ``coremltools.target`` spells it; ``text`` may have any letter case."""
    name = _BY_FOLDED.get(text.strip().casefold())
    if name is None:
        raise UsageError(
            f"unknown target {text!r}.{did_you_mean(text, TARGETS)} Known targets: {', '.join(TARGETS)}."
        )
    return name


def opset(target: str) -> str:
    """The iOS release whose operations ``target`` has: ``opset("macOS14") == "iOS17"``."""
    return TARGETS[normalise_target(target)]


def order(target: str) -> int:
    """The position of ``target`` among the releases, to compare two targets."""
    return OPSETS.index(opset(target))
