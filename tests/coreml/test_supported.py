"""The snapshots of converters, and the names under which coremltools looks for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from convlint.coreml.supported import (
    converter_name,
    installed_snapshot,
    known_versions,
    main,
    snapshot,
    write,
)
from convlint.coremltools_adapter import converter_name_of
from convlint.errors import UsageError


def test_the_snapshot_of_a_known_version_is_exact() -> None:
    for version in known_versions():
        assert snapshot(version).exact
        assert snapshot(version).version == version
    assert snapshot("8.3").version == "8.3.0"
    assert snapshot("8.3").exact


def test_another_version_gets_the_newest_that_is_not_newer_and_says_so() -> None:
    supported = snapshot("9.0.5")
    assert (supported.version, supported.requested, supported.exact) == ("9.0", "9.0.5", False)
    assert snapshot("99").version == known_versions()[-1]
    assert snapshot("7.0").version == known_versions()[0]
    assert not snapshot("7.0").exact
    with pytest.raises(UsageError, match="is not a version"):
        snapshot("newest")


def test_without_a_version_it_is_the_newest_final_release() -> None:
    assert snapshot().version == "9.0"


@pytest.mark.parametrize(
    ("op", "old", "new"),
    [
        ("aten.alias.default", False, True),
        ("aten.new_ones.default", False, True),
        ("aten.__or__.Tensor", False, True),
        ("aten.where.ScalarOther", False, True),
        ("aten.diff.default", False, False),
        ("aten.add.Tensor", True, True),
        ("aten.max_pool2d.default", True, True),
        ("torchvision.nms.default", True, True),
        ("torchvision.roi_align.default", False, True),
        ("_operator.add", True, True),
        ("aten.relu_.default", False, False),
        ("aten.lstm.input", False, False),
    ],
)
def test_what_the_export_frontend_finds(op: str, old: bool, new: bool) -> None:
    assert snapshot("9.0").converts(op) is old
    assert snapshot("9.1.dev1").converts(op) is new


def test_the_torchscript_frontend_strips_the_overload_and_the_underscore() -> None:
    for op in ("aten.relu_.default", "aten.lstm.input", "aten.where.ScalarOther"):
        assert not snapshot("9.0").converts(op, "export")
        assert snapshot("9.0").converts(op, "torchscript")


def test_the_names_are_those_of_coremltools_for_every_overload_of_aten() -> None:
    torch = pytest.importorskip("torch")
    unwraps = installed_snapshot().unwraps_dunders
    schemas = [schema for schema in torch._C._jit_get_all_schemas() if schema.name.startswith("aten::")]
    assert len(schemas) > 2500
    for schema in schemas:
        name, overload = schema.name, schema.overload_name
        real = converter_name_of(f"{name}.{overload}" if overload else name)
        assert converter_name(f"{name.replace('::', '.')}.{overload or 'default'}", "export", unwraps) == real


def test_the_stored_snapshot_of_the_installed_release_is_up_to_date() -> None:
    installed = installed_snapshot()
    if installed.version not in known_versions():
        pytest.skip(f"there is no snapshot of coremltools {installed.version}")
    stored = snapshot(installed.version)
    assert installed.names ^ stored.names == frozenset()
    assert installed.unwraps_dunders is stored.unwraps_dunders


def test_a_snapshot_is_written_as_it_is_read(tmp_path: Path) -> None:
    for version in known_versions():
        supported = snapshot(version)
        data = json.loads(write(supported, tmp_path).read_text())
        assert frozenset(data["names"]) == supported.names


def test_the_command_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--wirte"]) == 2
    assert "usage" in capsys.readouterr().err
