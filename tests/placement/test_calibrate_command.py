"""``convlint calibrate`` as a user runs it, and the plans that use what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Convlint
from test_calibration import SIZES, fit_of, measured

from convlint.runs.cache.store import job_digest
from convlint.settings.project import find_project

TRUTH = fit_of(weights=2.0)
NET = """\
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(*[nn.Conv2d(512, 512, 3, padding=1) for _ in range(6)])

    def forward(self, x):
        return self.body(x)
"""


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    return [Path(measured(tmp_path, name, TRUTH)).name for name in SIZES]


def test_numbers_are_fitted_written_and_used(tmp_path: Path, convlint: Convlint, files: list[str]) -> None:
    (tmp_path / "nets.py").write_text(NET)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.convlint]\n[[tool.convlint.models]]\nspec = "nets.py:Net"\n'
    )
    plan = ("plan", "nets.py:Net", "--input", "1x512x7x7", "--chip", "M4", "--format", "json", "-q")
    before = json.loads(convlint(*plan).out)
    (job,) = find_project(tmp_path).models

    ran = convlint("plan", "calibrate", *files)
    assert ran.code == 0, ran.err
    assert "M4  5 measurements of 5 models" in ran.out
    assert "weights on the Neural Engine takes 2.0" in ran.out or "takes 1.9" in ran.out
    assert "plans for M4 use them from now on, and say so: .convlint/chips.toml" in ran.out
    assert (tmp_path / ".convlint" / "chips.toml").read_text().startswith("# convlint: numbers of chips")

    after = json.loads(convlint(*plan).out)
    assert after["latency_ms"]["mid"] > 1.5 * before["latency_ms"]["mid"]
    assert after["fitted"]["measurements"] == 5
    assert any("fitted to 5 measurements" in note for note in after["notes"])
    other = json.loads(convlint(*plan, "--chip", "M2").out)
    assert other["fitted"] is None
    (again,) = find_project(tmp_path).models
    assert job_digest(again) != job_digest(job), "a cached result is of other numbers"


def test_a_dry_run_writes_nothing(tmp_path: Path, convlint: Convlint, files: list[str]) -> None:
    ran = convlint("calibrate", *files, "--dry-run")
    assert ran.code == 0
    assert "nothing is written (--dry-run)" in ran.out
    assert not (tmp_path / ".convlint").exists()


def test_json_has_each_measurement_and_both_errors(convlint: Convlint, files: list[str]) -> None:
    (fit,) = json.loads(convlint("calibrate", *files, "--format", "json").out)["chips"]
    assert fit["chip"] == "M4"
    assert fit["error_after"] < 0.1 < fit["error_before"]
    assert [time["file"] for time in fit["times"]] == files


def test_numbers_of_other_chips_stay_and_useless_ones_go(
    tmp_path: Path, convlint: Convlint, files: list[str]
) -> None:
    folder = tmp_path / ".convlint"
    folder.mkdir()
    own = folder / "chips.toml"
    convlint("calibrate", *files)
    text = own.read_text()
    table = text[text.index("[[chip]]") :]
    own.write_text(text + "\n" + table.replace('"M4"', '"M2"'))
    right = [Path(measured(tmp_path, name, fit_of())).name for name in SIZES]
    ran = convlint("calibrate", *right)
    assert ran.code == 0, ran.err
    assert "the shipped numbers stay" in ran.out
    assert 'name = "M2"' in own.read_text()
    assert 'name = "M4"' not in own.read_text()


def test_too_few_models_are_refused_with_the_next_step(convlint: Convlint, files: list[str]) -> None:
    ran = convlint("calibrate", *files[:2])
    assert (ran.code, ran.out) == (2, "")
    assert "M4 has measurements of 2 models, and a fit takes at least 3" in ran.err
    assert "--compare-with FILE --format json" in ran.err


def test_files_without_a_measurement_are_all_named(
    tmp_path: Path, convlint: Convlint, files: list[str]
) -> None:
    (tmp_path / "one.json").write_text("{}")
    (tmp_path / "two.json").write_text("[")
    ran = convlint("calibrate", *files, "one.json", "two.json")
    assert ran.code == 2
    assert "some files cannot be used:" in ran.err
    assert "one.json: no plan with a measurement in it" in ran.err
    assert "two.json:1: not JSON" in ran.err
    assert not (tmp_path / ".convlint").exists()


def test_a_foreign_file_stays(tmp_path: Path, convlint: Convlint, files: list[str]) -> None:
    own = tmp_path / ".convlint" / "chips.toml"
    own.parent.mkdir()
    own.write_text("mine = 1\n")
    ran = convlint("calibrate", *files)
    assert ran.code == 2
    assert "chips.toml: mine: unknown key" in ran.err
    assert "move it where it is yours" in ran.err
    assert own.read_text() == "mine = 1\n"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, convlint: Convlint, files: list[str]) -> None:
    (tmp_path / ".convlint").write_text("a file")
    ran = convlint("calibrate", *files)
    assert ran.code == 2
    assert ran.err.startswith("convlint: error: cannot write the file .convlint/chips.toml: ")
    assert (tmp_path / ".convlint").read_text() == "a file"
