"""The torch ops that each release of coremltools has a converter for, as data.

The snapshots lie beside this module, one file a release, so that one can lint for a release that is not
installed. ``python -m convlint.coreml.supported --write`` writes that of the installed release.

The two frontends look converters up differently. The export frontend of coremltools uses the name with
its overload and the underscore of an in-place op; TorchScript names have no overload, and their
underscore is stripped.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path

from convlint.coreml.versions import parse_release
from convlint.errors import UsageError
from convlint.model import Frontend

DATA = Path(__file__).parent / "data"
_MOST_INPUTS = 14
"""The largest number of inputs that a converter is asked about."""

_NAMESPACES = ("aten", "prim")
_SUFFIXES = ("default", "int", "tensor", "tensor_mode", "scalar", "tensor_scalar")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The converters of one release. ``requested`` is the version that was asked for.

    ``unwraps_dunders``: the release finds ``and`` for ``aten::__and__.Tensor``. ``counts`` has, by
    frontend and name, how many inputs a converter accepts, where it checks: ``"2,3"`` or ``"3+"``.
    ``own`` are those of ``names`` that the user has registered.
    """

    version: str
    names: frozenset[str] = field(repr=False)
    unwraps_dunders: bool
    requested: str = ""
    counts: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False, hash=False)
    own: frozenset[str] = frozenset()

    @property
    def exact(self) -> bool:
        """Whether this is the requested release."""
        return parse_release(self.version) == parse_release(self.requested or self.version)

    def kind(self, op: str, frontend: Frontend = "export") -> str:
        """The name under which this release looks for a converter of ``op``."""
        return converter_name(op, frontend, self.unwraps_dunders)

    def converts(self, op: str, frontend: Frontend = "export") -> bool:
        """Whether this release has a converter for ``op`` by name; it may still fail."""
        return self.kind(op, frontend) in self.names

    def is_own(self, op: str, frontend: Frontend = "export") -> bool:
        """Whether the converter of ``op`` is the user's."""
        return bool(self.own) and self.kind(op, frontend) in self.own

    def accepted(self, op: str, frontend: Frontend = "export") -> str:
        """How many inputs the converter of ``op`` takes: ``"2,3"``, ``"3+"``, or ``"any"``."""
        return self.counts.get(frontend, {}).get(self.kind(op, frontend), "any")

    def accepts(self, op: str, count: int, frontend: Frontend = "export") -> bool:
        """Whether the converter of ``op`` takes ``count`` inputs."""
        accepted = self.accepted(op, frontend)
        if accepted == "any" or self.is_own(op, frontend):
            return True
        numbers, more = accepted.removesuffix("+").split(","), accepted.endswith("+")
        return str(count) in numbers or (more and count >= int(numbers[-1]))


@lru_cache(maxsize=8192)
def converter_name(op: str, frontend: Frontend = "export", unwrap_dunders: bool = False) -> str:
    """The name of an op in coremltools: ``add`` for ``aten.add.Tensor``, ``eye.m`` for ``aten.eye.m``."""
    kind = _without_wrapper(_registered_name(op, frontend).lower())
    for separator in ("::", "."):
        kind = _without_namespace_and_suffix(kind, separator)
    if unwrap_dunders:
        kind = _without_wrapper(kind)
    return kind.removesuffix("_") if frontend == "torchscript" else kind


def _registered_name(op: str, frontend: Frontend) -> str:
    """The name of an op in torch's graphs: ``aten::add.Tensor`` for ``aten.add.Tensor``."""
    parts = op.split(".")
    if len(parts) < 3:
        return parts[-1]
    if "_higher_order_ops" in op or parts[0] in ("_operator", "math", "torch"):
        return parts[-1]
    namespace, name, overload = parts[0], ".".join(parts[1:-1]), parts[-1]
    bare = overload == "default" or frontend == "torchscript"
    return f"{namespace}::{name}" if bare else f"{namespace}::{name}.{overload}"


def _without_wrapper(kind: str) -> str:
    return kind[2:-2] if kind.startswith("__") and kind.endswith("__") else kind


def _without_namespace_and_suffix(kind: str, separator: str) -> str:
    parts = kind.split(separator)
    if len(parts) > 1 and parts[0] in _NAMESPACES:
        parts = parts[1:]
    if len(parts) > 1 and parts[-1] in _SUFFIXES:
        parts = parts[:-1]
    return separator.join(parts)


@cache
def known_versions() -> tuple[str, ...]:
    """The releases that have a snapshot, oldest first."""
    names = (path.stem.removeprefix("supported-") for path in DATA.glob("supported-*.json"))
    return tuple(sorted(names, key=parse_release))


@cache
def snapshot(version: str | None = None) -> Snapshot:
    """The snapshot of ``version``, else of the newest release before it, else of the oldest.

    ``Snapshot.exact`` says whether it is the requested one. Without a version: the newest final release.
    """
    known = known_versions()
    if not known:
        raise UsageError(
            f"{DATA.name}/ has no snapshot of coremltools' converters; is convlint completely installed?"
        )
    if version is None:
        final = [name for name in known if "dev" not in name]
        return _read((final or known)[-1], "")
    requested = parse_release(version)
    older = [name for name in known if parse_release(name) <= requested]
    return _read(older[-1] if older else known[0], version)


def _read(version: str, requested: str) -> Snapshot:
    data = json.loads((DATA / f"supported-{version}.json").read_text(encoding="utf-8"))
    return Snapshot(
        data["coremltools"],
        frozenset(data["names"]),
        data["unwraps_dunders"],
        requested or version,
        data["counts"],
    )


def installed_snapshot() -> Snapshot:
    """The converters that the installed coremltools registers; this imports coremltools."""
    import coremltools

    from convlint.coremltools_adapter import converter_name_of, registered_converters

    unwraps = converter_name_of("aten::__or__.Tensor") == "or"
    version = coremltools.__version__
    known = snapshot(version)
    counts = known.counts if known.exact else count_inputs()
    return Snapshot(version, frozenset(registered_converters()), unwraps, version, counts)


def with_foreign(supported: Snapshot) -> Snapshot:
    """``supported`` with the user's own converters, where coremltools is loaded."""
    if "coremltools" not in sys.modules:
        return supported
    from convlint.coremltools_adapter import foreign_converters

    own = foreign_converters()
    return replace(supported, names=supported.names | own, own=own) if own else supported


def count_inputs() -> dict[str, dict[str, str]]:
    """The numbers of inputs that each installed converter takes, tried one by one; this takes seconds."""
    from convlint.coremltools_adapter import accepted_counts, registered_converters

    by_frontend: dict[str, dict[str, str]] = {}
    for frontend in ("export", "torchscript"):
        by_name = {name: accepted_counts(name, frontend, _MOST_INPUTS) for name in registered_converters()}
        by_frontend[frontend] = {
            name: _as_text(counts)
            for name, counts in by_name.items()
            if counts and len(counts) <= _MOST_INPUTS
        }
    return by_frontend


def _as_text(counts: tuple[int, ...]) -> str:
    """``"2,3"`` for (2, 3), ``"1,3+"`` for 1 and everything from 3 on."""
    if counts[-1] < _MOST_INPUTS:
        return ",".join(map(str, counts))
    first = _MOST_INPUTS
    while first - 1 in counts:
        first -= 1
    return ",".join(map(str, (*(count for count in counts if count < first), first))) + "+"


def write(supported: Snapshot, folder: Path = DATA) -> Path:
    """Write a snapshot as a data file whose diffs stay small; return its path."""
    data = {
        "coremltools": supported.version,
        "unwraps_dunders": supported.unwraps_dunders,
        "counts": {frontend: dict(sorted(counts.items())) for frontend, counts in supported.counts.items()},
        "names": sorted(supported.names),
    }
    path = folder / f"supported-{supported.version}.json"
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return path


def main(arguments: Sequence[str]) -> int:
    """Write the snapshot of the installed coremltools with ``--write``, else say what would change."""
    if any(argument != "--write" for argument in arguments):
        sys.stderr.write("usage: python -m convlint.coreml.supported [--write]\n")
        return 2
    installed = replace(installed_snapshot(), counts=count_inputs())
    lines = [f"coremltools {installed.version}: {len(installed.names)} converters"]
    if installed.version in known_versions():
        change = sorted(installed.names ^ snapshot(installed.version).names)
        lines.append(f"stored snapshot: {len(change)} differences {' '.join(change)}".strip())
    if "--write" in arguments:
        lines.append(f"wrote {write(installed).name}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
