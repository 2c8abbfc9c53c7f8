"""``convlint check`` with its cache, as a user meets it: cold, warm, in parallel, interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import run_fresh, run_warm
from conftest import ROOT, Ran
from small_project import CONFIG, CONFIG_OF_BAD, LAYERS, write_project

from convlint.runs.affected import affected_jobs
from convlint.settings.project import find_project
from convlint.settings.request import Request, jobs_of


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("a project"), CONFIG + CONFIG_OF_BAD)


def check(place: Path, *arguments: str, imports: bool = False, **environment: str) -> Ran:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("CONVLINT_")}
    variables |= {"PYTHONPATH": str(ROOT), **environment}
    if imports:
        return run_fresh(["check", *arguments], place, variables, python=["-X", "importtime"])
    return run_warm(["check", *arguments], place, variables)


def imported(ran: Ran) -> set[str]:
    lines = ran.err.splitlines()
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


def without_what_differs(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith(("note ", "time ", "trial "))]


def test_warm_is_cold_without_torch(place: Path) -> None:
    cold = check(place, "--report", "cold.sarif")
    warm = check(place, "--report", "warm.sarif", imports=True)
    assert (cold.code, warm.code) == (1, 1)
    assert without_what_differs(warm.out) == without_what_differs(cold.out)
    assert "the result of an earlier check" in warm.out
    assert "the result of an earlier check" not in cold.out
    assert "the model says hello" in cold.err
    heavy = {"torch", "coremltools", "rich", "networkx", "numpy", "importlib.metadata"}
    # What a kept report has no use for: making it is most of what is left of the time.
    heavy |= {"convlint.rules.where.language", "convlint.placement.chips"}
    assert not heavy & imported(warm)
    assert (place / "cold.sarif").read_text() == (place / "warm.sarif").read_text()
    document = check(place, "--format", "json")
    assert [entry["kept"] for entry in json.loads(document.out)["reports"]] == [True, True]


def test_only_what_a_change_reaches_is_checked_again(place: Path) -> None:
    check(place)
    (place / "nets" / "layers.py").write_text(LAYERS.replace("4, 4", "4, 4, bias=False"))
    try:
        reports = json.loads(check(place, "--format", "json").out)["reports"]
        assert {report["model"]: report["kept"] for report in reports} == {"good": False, "bad": True}
    finally:
        (place / "nets" / "layers.py").write_text(LAYERS)


def test_no_cache_neither_asks_nor_keeps(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    for arguments in (("--no-cache",), ("--cache-dir", str(folder))):
        ran = check(place, "--model", "bad", "--no-trial", "--format", "json", *arguments)
        assert json.loads(ran.out)["kept"] is False
        assert folder.exists() == ("--cache-dir" in arguments)
    off = check(place, "--model", "bad", "--no-trial", "--format", "json", CONVLINT_CACHE="0")
    assert json.loads(off.out)["kept"] is False


def test_a_folder_that_cannot_be_written_is_a_hint_and_no_failure(place: Path) -> None:
    ran = check(place, "--model", "good", "--no-trial", "--cache-dir", "nets/good.py/kept")
    assert ran.code == 0
    assert "convlint: results are not cached (Not a directory" in ran.err


def test_a_failure_is_not_kept(place: Path) -> None:
    for _ in range(2):
        ran = check(place, "nets/good.py:Lost", "--input", "1x4")
        assert (ran.code, "has no attribute 'Lost'" in ran.err) == (3, True)


def test_show_settings_says_where_each_comes_from(place: Path) -> None:
    ran = check(place, "--show-settings", "--fail-on", "note", imports=True, CONVLINT_TARGET="iOS18")
    assert ran.code == 0
    for line in (
        'target = "iOS18"  # CONVLINT_TARGET',
        'fail-on = "note"  # the command line',
        'frontend = "auto"  # default',
        'inputs = ["1x4:float32"]',
    ):
        assert line in ran.out.splitlines()
    assert "torch" not in imported(ran)
    document = json.loads(check(place, "--show-settings", "--format", "json").out)
    assert document["models"][0]["settings"]["target"] == {"value": "iOS17", "origin": "default"}
    assert document["file"] == str(place / "convlint.toml")


INTERRUPTED = """
import time
class Slow:
    pass
time.sleep(60)
"""


YESTERDAY = '{"$schema": "sarif", "version": "2.1.0", "runs": [{"tool": {"driver": {"name": "convlint"}}}]}'


def test_ctrl_c_leaves_no_half_file(place: Path, tmp_path: Path) -> None:
    (place / "slow.py").write_text(INTERRUPTED)
    target = tmp_path / "report.sarif"
    target.write_text(YESTERDAY)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "convlint", "check", "slow.py:Slow", "--input", "1"),
            *("--report", str(target), "--cache-dir", str(tmp_path / "kept")),
        ],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1]) == (130, "convlint: interrupted")
    assert target.read_text() == YESTERDAY
    assert [path.name for path in tmp_path.iterdir()] == ["report.sarif"]


def test_baseline_write_check_and_prune(place: Path) -> None:
    def baseline(action: str) -> Ran:
        return run_warm(["baseline", action, "--baseline", "known.json"], place, os.environ)

    assert baseline("write").code == 0
    known = json.loads((place / "known.json").read_text())
    assert [entry["rule"] for entry in known["models"]["bad"]] == ["CL104"]
    quiet = check(place, "--baseline", "known.json")
    assert quiet.code == 0
    assert "1 finding: 1 by the baseline" in quiet.out
    known["models"]["bad"][0]["count"] = 2
    (place / "known.json").write_text(json.dumps(known))
    stale = check(place, "--baseline", "known.json")
    assert stale.code == 1
    assert "`convlint baseline prune` removes them" in stale.err
    assert baseline("prune").code == 0
    assert check(place, "--baseline", "known.json").code == 0
    assert check(place, "--baseline", "known.json", "--no-baseline").code == 1


def test_a_comment_silences_and_an_unused_one_is_told(place: Path) -> None:
    path = place / "nets" / "noted.py"
    source = (place / "nets" / "bad.py").read_text()
    path.write_text(source.replace("hypot(x, y)", "hypot(x, y)  # convlint: ignore[CL104, CL105] old head"))
    ran = check(place, "nets/noted.py:Bad", "--input", "1x4", "--input", "1x4", "--no-trial")
    assert ran.code == 0
    assert "1 finding: 1 by a comment" in ran.out
    assert ran.out.splitlines()[-1].endswith("ignore[CL105] silences nothing here: remove it")


def test_a_thousand_models_are_looked_through_at_once(tmp_path: Path) -> None:
    tables = []
    for number in range(1000):
        (tmp_path / f"m{number}.py").write_text(f"import shared\nimport m{(number + 1) % 1000 // 10 * 10}\n")
        tables.append(f'[[models]]\nspec = "m{number}.py:M"\ninputs = ["1"]\n')
    (tmp_path / "shared.py").write_text("")
    (tmp_path / "alone.py").write_text("")
    (tmp_path / "convlint.toml").write_text("".join(tables))
    project = find_project(tmp_path, environment={})
    jobs = list(project.models)
    start = time.perf_counter()
    assert affected_jobs(jobs, [str(tmp_path / "alone.py")], project, None) == []
    assert len(affected_jobs(jobs, [str(tmp_path / "shared.py")], project, None)) == 1000
    few = affected_jobs(jobs, [str(tmp_path / "m7.py")], project, None)
    assert [job.name for job in few] == ["m7.py:M"]
    assert len(affected_jobs(jobs, [str(tmp_path / "convlint.toml")], project, None)) == 1000
    assert time.perf_counter() - start < 60


def test_options_of_one_job_come_from_both_sides(tmp_path: Path) -> None:
    write_project(tmp_path)
    request = Request(overrides={"target": "macOS15"})
    (job,) = jobs_of(request, find_project(tmp_path, environment={}))
    assert (job.options.target, job.options.origins["target"]) == ("macOS15", "the command line")
    assert job.root == str(tmp_path)
