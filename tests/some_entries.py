"""Hand-made entries of a catalogue for tests: no architecture of this name exists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from convlint.catalogue import store
from convlint.catalogue.entry import Door, Entry, Equal, Features, Left, Place, Repairs

CHIPS = ("A15", "A17 Pro")


def entry(name: str, **fields: Any) -> Entry:
    """A classifier that converts as it is, but for what ``fields`` say."""
    source, _, short = name.partition("/")
    usual: dict[str, Any] = {
        "source": source,
        "family": short,
        "task": "classification",
        "command": (f"{source}:{short}",),
        "parameters": 10_000_000,
        "gflops": 4.0,
        "inputs": ("1x3x224x224 float32",),
        "classes": (f"{source}.nets.{short.title()}",),
        "doors": (Door("export", "9.0", True), Door("export", "9.1", True)),
        "places": places(2.0),
        "versions": (("coremltools", "9.0"), ("torch", "2.14.1")),
        "equal": Equal("equal", 1e-6),
        "date": "2026-01-02",
        "seconds": 12.0,
    }
    return Entry(name, **(usual | fields))


def places(milliseconds: float) -> tuple[Place, ...]:
    """A forecast for each chip, on older ones half as fast."""
    return tuple(
        Place(chip, time, time / 2, time * 2, 0.75)
        for chip, time in zip(CHIPS, (2 * milliseconds, milliseconds), strict=True)
    )


def refused(how: Any = "no", op: str = "aten.linalg_eigh.default") -> dict[str, Any]:
    """The fields of an entry that its installed release of coremltools refuses."""
    left = () if how in ("source", "graph") else (Left("CL100", op, 2, "no converter"),)
    return {
        "doors": (Door("export", "9.0", False, (op,)), Door("torchscript", "9.0", False, (op,))),
        "repairs": Repairs(how, 2, left),
        "places": () if how == "no" else places(3.0),
    }


def widths(*pairs: tuple[int, int]) -> tuple[Features, ...]:
    return tuple(Features(stride, channels) for stride, channels in pairs)


@pytest.fixture
def catalogue_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make these entries the catalogue of this test; returns its file."""

    def make(entries: Sequence[Entry]) -> Path:
        path = tmp_path / "entries.json.xz"
        store.write(path, entries)
        monkeypatch.setattr(store, "DATA", path)
        return path

    return make
