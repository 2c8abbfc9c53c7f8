"""What the benchmark keeps of an architecture, what is stale of it, and how it becomes an entry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from benchmarks.catalogue.candidate import Candidate
from benchmarks.catalogue.state import State, entries, entry
from benchmarks.catalogue.summary import LATE, STOPPED, accuracy, blocks, wrong
from convlint.catalogue.store import DATA, read

VERSIONS = {
    "convlint": "0.1.0",
    "coremltools": "9.0",
    "next coremltools": "9.1.dev1",
    "timm": "1.0",
    "torch": "2.14",
}
MODEL = Candidate(
    "timm/resnet18", "timm", "resnet", "classification", (("timm:resnet18",),), "timm", "resnet18"
)
DOOR = {"coremltools": "9.0", "status": "converted", "seconds": 1.0}
CONVERTED = {
    "command": ["timm:resnet18"],
    "convertible": "yes",
    "parameters": 11_699_132,
    "inputs": ["1x3x224x224 float32"],
    "form": "",
    "doors": [
        {**DOOR, "frontend": "export", "converts": True, "refused": []},
        {**DOOR, "frontend": "torchscript", "converts": True, "refused": []},
    ],
    "static": {"said": "yes", "codes": [], "agrees": True},
    "warnings": [2, 1],
    "equal": {"conclusion": "equal", "error": 2e-07, "why": ""},
    "stages": {"check": 4.0},
    "ended": "",
    "seconds": 15.0,
}
ROW = {"installed": CONVERTED, "next": {"doors": [], "seconds": 6.0}, "date": "2026-11-29", "seconds": 21.0}


def measured(**changes: Any) -> dict[str, Any]:
    return {**ROW, "installed": {**CONVERTED, **changes}}


def test_a_result_is_kept_until_a_version_or_the_command_changes(tmp_path: Path) -> None:
    State(tmp_path, VERSIONS).keep(MODEL, ROW)
    assert State(tmp_path, VERSIONS).kept(MODEL) is not None
    assert State(tmp_path, VERSIONS | {"spandrel": "9"}).kept(MODEL) is not None  # of another source
    assert State(tmp_path, VERSIONS | {"timm": "1.1"}).kept(MODEL) is None
    assert State(tmp_path, VERSIONS | {"next coremltools": "9.1"}).kept(MODEL) is None
    other = Candidate.of({**MODEL.to_dict(), "commands": [["timm:resnet18", "--arg", "in_chans=1"]]})
    assert State(tmp_path, VERSIONS).kept(other) is None


def test_what_a_limit_ended_is_tried_with_a_larger_one_alone(tmp_path: Path) -> None:
    state = State(tmp_path, VERSIONS)
    state.keep(MODEL, measured(ended="ended after 200 s"))
    assert state.is_done(MODEL, 200, "")
    assert not state.is_done(MODEL, 300, "")
    state.keep(MODEL, ROW)
    assert state.is_done(MODEL, 300, "unbuilt")
    assert not state.is_done(MODEL, 300, "all")
    state.keep(MODEL, {**ROW, "installed": {"unbuilt": "it is not installed", "ended": ""}})
    assert state.is_done(MODEL, 300, "")
    assert not state.is_done(MODEL, 300, "unbuilt")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 3}'])
def test_a_file_that_was_cut_short_is_measured_anew(content: str, tmp_path: Path) -> None:
    state = State(tmp_path, VERSIONS)
    state.path(MODEL).write_text(content, encoding="utf-8")
    assert state.kept(MODEL) is None


def test_what_was_measured_is_an_entry() -> None:
    made = entry(MODEL, ROW, VERSIONS)
    assert (made.converts, made.static_agrees, made.seconds) == ("as-is", True, 21.0)
    assert dict(made.versions)["coremltools"] == "9.0"


def test_a_limit_in_a_late_stage_loses_that_stage_alone() -> None:
    row = measured(ended="ended after 300 s", stages={"check": 100.0, "parity": "the time was up"})
    del row["installed"]["equal"]
    made = entry(MODEL, row, VERSIONS)
    assert made.converts == "as-is"
    assert made.equal is not None
    assert (made.equal.conclusion, made.equal.why) == (
        "not compared",
        "ended after 300 s; parity: the time was up",
    )


def test_a_fix_that_came_to_no_end_leaves_what_the_check_found() -> None:
    doors = [{**DOOR, "frontend": "export", "converts": False, "refused": ["aten.foo.default"]}]
    row = measured(convertible="no", doors=doors, proposal=True, changes=3, stages={"fix": "the time was up"})
    made = entry(MODEL, row, VERSIONS)
    assert made.repairs is not None
    assert (made.converts, made.repairs.changes) == ("fixed", 3)
    assert "the time was up" in made.repairs.left[0].why


@pytest.mark.parametrize(
    ("installed", "why"),
    [
        ({"unbuilt": "timm has no model named 'resnet18'."}, "timm has no model named 'resnet18'."),
        ({"ended": "ended after 300 s", "stages": {"check": "the time was up"}}, f"{LATE}ended after 300 s"),
        ({"ended": "died (exit code -11)"}, f"{STOPPED}died (exit code -11)"),
        ({"ended": "", "stages": {"check": "it has no tensor output."}}, "it has no tensor output."),
        (
            {"ended": "", "stages": {"check": "KeyError: 1"}, "check_crash": "KeyError: 1"},
            f"{STOPPED}KeyError: 1",
        ),
    ],
)
def test_a_failure_is_an_entry_that_says_why(installed: dict[str, Any], why: str) -> None:
    made = entry(MODEL, {"installed": installed, "date": "2026-11-29", "seconds": 3.0}, VERSIONS)
    assert (made.converts, made.unbuilt) == ("unbuilt", why)


def test_what_does_not_hold_is_named() -> None:
    differs = {"conclusion": "differs", "error": 0.5, "why": "aten.gelu | first"}
    static = {"said": "no", "codes": ["CL101"], "agrees": False}
    place = {"chip": "A15", "milliseconds": 1.0, "lowest": 0.5, "highest": 2.0, "engine_share": 1.0}
    made = [entry(MODEL, measured(equal=differs, static=static, places=[place]), VERSIONS)]
    assert "`timm/resnet18`: the rules refuse it, and the export frontend converts" in wrong(made)
    assert "`timm/resnet18`: differs by 0.5: aten.gelu \\| first" in wrong(made)
    assert "| rules alone say what the export frontend does | 1 | 0 | 0.000 |" in accuracy(made)
    assert "| warnings about the Neural Engine that the forecast confirms | 2 | 1 | 0.500 |" in accuracy(made)


def test_the_pages_say_what_the_data_says() -> None:
    for page, begin, end, text in blocks(read()):
        shown = page.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
        assert shown == f"\n{text}", f"{page.name}: python -m benchmarks.catalogue --minutes 0 --write"


def test_the_data_is_small_and_names_are_unique() -> None:
    assert DATA.stat().st_size < 1_000_000
    names = [each.name for each in read()]
    assert len(names) == len(set(names))


def run(state: Path, *words: str) -> str:
    command = [
        sys.executable,
        "-m",
        "benchmarks.catalogue",
        "--state",
        str(state),
        "--sources",
        "torchvision,packages",
    ]
    done = subprocess.run(
        [*command, *words], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout


@pytest.mark.corpus
@pytest.mark.timeout(900)
def test_a_real_run_measures_keeps_and_goes_on(tmp_path: Path) -> None:
    """A real model, one that cannot be built here, and one that a limit ends; a second run does the rest."""
    names = ("torchvision/squeezenet1_1", "facenet-pytorch/InceptionResnetV1")
    told = run(tmp_path, "--only", *names)
    assert "torchvision/squeezenet1_1: as-is" in told
    assert "facenet-pytorch/InceptionResnetV1: unbuilt" in told
    file = tmp_path / "torchvision__squeezenet1_1.json"
    row = json.loads(file.read_text(encoding="utf-8"))["installed"]
    assert row["equal"]["conclusion"] == "equal"
    assert [place["chip"] for place in row["places"]] == ["A15", "A16", "A17 Pro", "A18 Pro", "M2", "M4"]
    sizes = dict(row["bytes_at"])
    assert sizes[4] < sizes[8] < sizes[16] < 2.1 * row["parameters"]
    before = file.stat().st_mtime_ns
    more = "torchvision/shufflenet_v2_x0_5"
    told = run(tmp_path, "--only", *names, more, "--seconds", "1")
    assert f"1/1 {more}: unbuilt ({LATE}ended after 1 s)" in told
    assert file.stat().st_mtime_ns == before


def test_what_the_catalogue_has_of_these_versions_is_not_measured_again(tmp_path: Path) -> None:
    shipped = entry(MODEL, ROW, VERSIONS)
    state = State(tmp_path, VERSIONS, (shipped,))
    assert state.is_done(MODEL, 300, "")
    assert not state.is_done(MODEL, 300, "all")
    assert not State(tmp_path, VERSIONS | {"timm": "1.1"}, (shipped,)).is_done(MODEL, 300, "")
    cut_short = entry(MODEL, measured(ended="ended after 200 s", convertible="no"), VERSIONS)
    assert not cut_short.unbuilt or not State(tmp_path, VERSIONS, (cut_short,)).is_done(MODEL, 300, "")
    assert entries(state, [MODEL]) == [shipped]
    state.keep(MODEL, measured(parameters=1))
    assert [each.parameters for each in entries(state, [MODEL])] == [1], "a new result takes its place"


def test_a_part_that_is_written_leaves_the_others(tmp_path: Path) -> None:
    before = {each.name for each in read()}
    done = subprocess.run(
        [
            sys.executable, "-c",
            "import sys; from pathlib import Path; import convlint.catalogue.store as store;"
            "import benchmarks.catalogue.__main__ as main;"
            "main.DATA = Path(sys.argv[1]) / 'entries.json.xz'; main.write_pages = lambda entries: None;"
            "sys.exit(main.main(['--state', sys.argv[1], '--sources', 'timm', '--minutes', '0', '--write']))",
            str(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {each.name for each in read(tmp_path / "entries.json.xz")} == before
