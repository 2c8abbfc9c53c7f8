"""The diagnosis of an environment: versions, native libraries, and whether a trial conversion can run.

Nothing heavy is imported: versions come from package metadata, and the native library of
coremltools is loaded by itself.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
import platform
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from convlint.coreml.supported import snapshot
from convlint.model import Finding
from convlint.rules.match import Environment, group_findings, match_environment
from convlint.rules.parts import FRONTENDS
from convlint.rules.rulebook import Rulebook

PACKAGES = ("torch", "coremltools", "numpy", "rich", "networkx")
NATIVE_LIBRARY = "libmilstoragepython"
"""The compiled part of coremltools, which writes weights; without it nothing can be serialised."""


MEASURED: tuple[Mapping[str, str], ...] = (
    {"torch": "2.14.1", "coremltools": "9.0", "numpy": "2.3"},
    {"torch": "2.7.1", "coremltools": "9.0", "numpy": "2.3"},
    {"torch": "2.15.0", "coremltools": "9.1.dev1", "numpy": "2.3"},
)
"""The sets of releases that the tests run with: all tests with the first, a selection with the oldest and
the newest. The Makefile has the same sets."""


def measured_text(versions: Mapping[str, str | None]) -> str:
    """A sentence: whether convlint was measured with the installed set of releases, and with which it was."""

    def same(releases: Mapping[str, str]) -> bool:
        return all(
            (versions.get(name) or "").split("+")[0].startswith(want) for name, want in releases.items()
        )

    def described(one: Mapping[str, str]) -> str:
        return f"torch {one['torch']} with coremltools {one['coremltools']}"

    if any(map(same, MEASURED)):
        return "this set of releases is one that the tests run with"
    return (
        f"this set of releases was not measured; {', '.join(map(described, MEASURED))} were, with numpy 2.3"
    )


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Versions by name (None where absent), why the native library does not load, and the findings."""

    versions: dict[str, str | None]
    native_error: str
    findings: tuple[Finding, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether a check with its trial can run here."""
        return not self.native_error and all(self.versions.values())


def diagnose(rulebook: Rulebook) -> Diagnosis:
    """The diagnosis of this environment, for both frontends."""
    from convlint import __version__

    versions: dict[str, str | None] = {"convlint": __version__, "python": platform.python_version()}
    versions |= {name: installed_version(name) for name in PACKAGES}
    problem = native_error()
    return Diagnosis(versions, problem, _findings(rulebook, versions, problem))


def _findings(rulebook: Rulebook, versions: Mapping[str, str | None], problem: str) -> tuple[Finding, ...]:
    """The findings of the environment rules for both frontends, each once."""
    coremltools = versions["coremltools"]
    environment = Environment(
        coremltools=coremltools,
        torch=versions["torch"],
        supported=snapshot(coremltools),
        numpy=versions["numpy"],
        python=versions["python"],
        native_error=problem if coremltools else "",
    )
    matches = [
        match
        for frontend in FRONTENDS
        for match in match_environment(rulebook, replace(environment, frontend=frontend))
    ]
    return group_findings({match.rule.code: match for match in matches}.values())


def installed_version(package: str) -> str | None:
    """The version of an installed package, without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def native_error() -> str:
    """Why the native library of coremltools does not load; empty where it does."""
    package_spec = importlib.util.find_spec("coremltools")
    if package_spec is None or package_spec.origin is None:
        return "coremltools is not installed"
    name = f"coremltools.{NATIVE_LIBRARY}"
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        path = Path(package_spec.origin).with_name(NATIVE_LIBRARY + suffix)
        if path.is_file():
            try:
                spec = importlib.util.spec_from_file_location(name, path)
                if spec is not None:
                    importlib.util.module_from_spec(spec)
            except ImportError as error:
                return str(error)
            return ""
    return (
        f"{NATIVE_LIBRARY} is not part of this coremltools: there is no build of it for this Python or system"
    )


def versions_of(environment: Environment) -> dict[str, str]:
    """The releases that a check was made with, as far as they are installed."""
    versions = {name: getattr(environment, name) for name in ("python", "torch", "coremltools", "numpy")}
    return {name: version for name, version in versions.items() if version}
