"""The file of the catalogue: what is written is read, and a bad file is said plainly."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from convlint.catalogue.entry import Door, Entry, Equal, Features, Left, Place, Repairs
from convlint.catalogue.store import CatalogueError, read, write

FULL = Entry(
    name="timm/fastvit_t8",
    source="timm",
    family="fastvit",
    task="classification",
    command=("timm:fastvit_t8", "--input", "1x3x256x256"),
    parameters=4_000_000,
    gflops=1.4,
    inputs=("1x3x256x256 float32",),
    form="fused",
    classes=("timm.models.fastvit.FastVit",),
    features=(Features(4, 48), Features(8, 96)),
    doors=(Door("export", "9.0", False, ("aten.foo.default",)), Door("torchscript", "9.0", True)),
    repairs=Repairs("part", 3, (Left("CL101", "aten.foo.default", 2, "no converter"),)),
    equal=Equal("differs", 0.25, "the largest of its second output"),
    places=(Place("A17Pro", 1.5, 1.0, 2.25, 0.98),),
    bytes_at=((16, 8_000_000), (4, 2_000_000)),
    static_agrees=True,
    warnings=(3, 2),
    versions=(("coremltools", "9.0"), ("timm", "1.0.20")),
    date="2026-11-29",
    seconds=21.5,
)
SMALL = Entry("demucs/htdemucs", "demucs", "demucs", "audio", ("x.py:build",), unbuilt="it is not installed")


def test_what_is_written_is_read_sorted_by_name(tmp_path: Path) -> None:
    file = tmp_path / "entries.json.xz"
    write(file, [FULL, SMALL])
    assert read(file) == (SMALL, FULL)


def test_the_same_entries_make_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "one", [FULL, SMALL])
    write(tmp_path / "two", [SMALL, FULL])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def _packed(document: object) -> bytes:
    return lzma.compress(json.dumps(document).encode())


BAD = {
    "no file": None,
    "no archive": b"not compressed",
    "cut off": _packed({"schema_version": 1, "entries": []})[:-20],
    "no JSON": lzma.compress(b"{"),
    "a list": _packed([1, 2]),
    "another version": _packed({"schema_version": 2, "entries": []}),
    "no entries": _packed({"schema_version": 1}),
    "an entry without a name": _packed({"schema_version": 1, "entries": [{"source": "timm"}]}),
    "an unknown field": _packed({"schema_version": 1, "entries": [{"name": "a", "colour": "red"}]}),
    "a field of another kind": _packed({"schema_version": 1, "entries": [{"name": "a", "doors": 3}]}),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_said_and_the_rest_works(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "entries.json.xz"
    content = BAD[kind]
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(CatalogueError, match="Everything else works") as caught:
        read(file)
    assert str(file) in str(caught.value)
    assert caught.value.exit_code == 3
    if kind == "another version":
        assert "of version 2, and this convlint reads version 1" in str(caught.value)
