"""Cached results: reported again while nothing has changed, and never in the way."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from reports import CLEAN, REPORT

from convlint.checking.options import Options
from convlint.interface.images import Image
from convlint.interface.inputs import InputSpec
from convlint.interface.outputs import OutputSpec
from convlint.interface.sizes import Range
from convlint.runs.cache import fingerprint
from convlint.runs.cache.sources import Sources, sources_of
from convlint.runs.cache.store import STATES_KEPT, Cache, job_digest
from convlint.settings.jobs import Job


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.py"
    path.write_text("x = 1\n")
    return path


@pytest.fixture
def job(model: Path) -> Job:
    return Job("model", "model.py:Net", {"width": 3}, {}, (InputSpec(None, (1, 3)),), root=str(model.parent))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "kept")


def keep(cache: Cache, job: Job, report: Any = REPORT) -> None:
    cache.store(job, report, sources_of(job, set(sys.modules)))
    assert not cache.trouble


def entries(cache: Cache) -> list[Path]:
    return sorted(cache.folder.glob("*/*"))


def test_an_unchanged_model_has_its_report_again(cache: Cache, job: Job) -> None:
    assert cache.recall(job) is None
    keep(cache, job)
    assert Cache(cache.folder).recall(job) == REPORT
    (entry,) = entries(cache)
    for line in entry.read_text(encoding="utf-8").splitlines():
        json.loads(line)


def test_a_changed_file_makes_it_forgotten_and_changed_back_known(
    cache: Cache, job: Job, model: Path
) -> None:
    keep(cache, job)
    model.write_text("x = 2\n")
    assert cache.recall(job) is None
    keep(cache, job, CLEAN)
    assert cache.recall(job) == CLEAN
    model.write_text("x = 1\n")
    assert cache.recall(job) == REPORT


def test_the_content_counts_and_not_the_date(cache: Cache, job: Job, model: Path) -> None:
    keep(cache, job)
    os.utime(model, (1, 1))
    assert cache.recall(job) == REPORT


def test_a_file_that_takes_the_place_of_another_counts(cache: Cache, job: Job, model: Path) -> None:
    model.write_text("import helper\n")
    (model.parent / "helper.py").write_text("")
    keep(cache, job)
    (model.parent / "helper").mkdir()
    assert cache.recall(job) == REPORT
    (model.parent / "helper" / "__init__.py").write_text("")
    assert cache.recall(job) is None, "a package goes before a module of its name"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"args": {"width": 4}},
        {"arg_exprs": {"depth": "2"}},
        {"inputs": (InputSpec(None, (1, 4)),)},
        {"inputs": (InputSpec(None, (1, 3), ranges=(None, Range(2, 3))),)},
        {"inputs": (InputSpec(None, (1, 3), shapes=((1, 3), (1, 4))),)},
        {"inputs": (InputSpec(None, (1, 3), image=Image(std=(0.5,))),)},
        {"options": Options(outputs=(OutputSpec("y"),))},
        {"options": Options(outputs=(OutputSpec("y", "bgr"),))},
        {"options": Options(target="iOS18")},
        {"options": Options(ignore=("CL1",))},
        {"options": Options(coremltools="9.1.dev1")},
        {"options": Options(why="CL104")},
        {"root": "/"},
    ],
    ids=str,
)
def test_everything_that_decides_a_result_is_in_its_key(
    cache: Cache, job: Job, change: dict[str, Any]
) -> None:
    keep(cache, job)
    assert cache.recall(replace(job, **change)) is None


def test_where_a_setting_comes_from_and_what_only_silences_is_not(cache: Cache, job: Job) -> None:
    keep(cache, job)
    options = Options(per_module_ignores={"a": ("CL1",)}, origins={"target": "default"})
    assert cache.recall(replace(job, options=options)) == REPORT


def test_rules_of_the_user_are_in_the_key(cache: Cache, job: Job, tmp_path: Path) -> None:
    (tmp_path / "rules").mkdir()
    job = replace(job, options=Options(rule_paths=(str(tmp_path / "rules"),)))
    before = job_digest(job)
    (tmp_path / "rules" / "ACME101-x.toml").write_text("code = 'ACME101'\n")
    assert job_digest(job) != before


def test_releases_and_the_program_are_in_the_key(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    before = job_digest(job)
    monkeypatch.setattr(fingerprint, "installed_releases", lambda: {"torch": "9.9"})
    assert job_digest(job) != before
    monkeypatch.undo()
    assert job_digest(job) == before
    monkeypatch.setattr("convlint.runs.cache.store.program_digest", lambda: "another convlint")
    assert job_digest(job) != before


def test_installed_releases_are_those_of_the_metadata() -> None:
    from importlib.metadata import version

    releases = fingerprint.installed_releases()
    assert {name: releases[name] for name in ("torch", "coremltools", "numpy", "pytest")} == {
        name: version(name) for name in ("torch", "coremltools", "numpy", "pytest")
    }


def test_an_upgraded_package_that_the_model_imports_counts(cache: Cache, job: Job) -> None:
    cache.store(job, REPORT, Sources({}, (), {"timm": "0.0.1"}))
    assert cache.recall(job) is None


def test_a_file_that_it_depends_on_counts(cache: Cache, job: Job, model: Path) -> None:
    (model.parent / "sizes.yaml").write_text("width: 3\n")
    job = replace(job, depends=("*.yaml",))
    keep(cache, job)
    assert cache.recall(job) == REPORT
    (model.parent / "sizes.yaml").write_text("width: 4\n")
    assert cache.recall(job) is None


def test_what_was_imported_at_run_time_counts(cache: Cache, job: Job, project: Path) -> None:
    (project / "found_late.py").write_text("")
    before = set(sys.modules)
    sys.path.insert(0, str(project))
    __import__("found_" + "late")
    sources = sources_of(job, before)
    assert str(project / "found_late.py") in sources.files


def test_what_another_model_imports_does_not_count(cache: Cache, job: Job, project: Path) -> None:
    (project / "beside.py").write_text("")
    before = set(sys.modules)
    sys.path.insert(0, str(project))
    __import__("beside")
    other = str(project / "beside.py")
    assert other not in sources_of(job, before, {other}).files
    assert other in sources_of(job, before).files


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{}",
        b"null\nnull\n",
        b'{"convlint": 999, "files": {}, "absent": [], "packages": {}}\n{}\n',
        b'{"convlint": 1, "files": {}, "absent": [], "packages": {}}\n{"nouns": [], "rows": []',
        b'{"convlint": 1, "files": 3, "absent": [], "packages": {}}\n{}\n',
        b'{"convlint": 1, "files": {}, "absent": [], "packages": {}}\n{"rows": [], "report": 1}\n',
        b"[" * 100_000,
    ],
)
def test_a_spoilt_or_foreign_file_is_ignored_and_written_anew(cache: Cache, job: Job, content: bytes) -> None:
    keep(cache, job)
    (entry,) = entries(cache)
    entry.write_bytes(content)
    assert cache.recall(job) is None
    assert cache.sources(job) is None or content.startswith(b'{"convlint": 1')
    keep(cache, job)
    assert cache.recall(job) == REPORT


def test_only_some_states_of_a_model_are_remembered(cache: Cache, job: Job, model: Path) -> None:
    for number in range(STATES_KEPT + 3):
        model.write_text(f"x = {number}\n")
        keep(cache, job)
        time.sleep(0.002)
    assert len(entries(cache)) == STATES_KEPT
    assert cache.recall(job) == REPORT


def test_what_is_old_or_too_much_is_cleaned(cache: Cache, job: Job) -> None:
    keep(cache, job)
    keep(cache, replace(job, name="old"))
    (old,) = (cache.folder / job_digest(replace(job, name="old"))).iterdir()
    os.utime(old, (1, 1))
    (old.parent / f"{old.name}.1-0123abcd.tmp").write_text("")
    cache.clean()
    assert cache.recall(job) == REPORT
    assert cache.recall(replace(job, name="old")) is None
    cache.clean(size=10)
    assert cache.recall(job) is None
    assert not entries(cache)


def test_the_folder_keeps_itself_out_of_git(cache: Cache, job: Job) -> None:
    keep(cache, job)
    assert (cache.folder / ".gitignore").read_text() == "*\n"
    assert (
        (cache.folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    )


def test_a_folder_that_cannot_be_made_is_told_and_nothing_else_happens(job: Job, model: Path) -> None:
    cache = Cache(model / "kept")
    cache.store(job, REPORT, sources_of(job, set(sys.modules)))
    assert "Not a directory" in cache.trouble
    assert cache.recall(job) is None


WRITE_WITHOUT_ROOM = """
import resource, signal, sys
sys.path[:0] = {paths!r}
from convlint.runs.cache.store import Cache
from convlint.settings.jobs import Job
from convlint.runs.cache.sources import Sources
from reports import REPORT
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
cache = Cache({folder!r})
cache.store(Job("a", "a:B"), REPORT, Sources({{}}))
assert not cache.trouble
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
cache.store(Job("b", "a:B"), REPORT, Sources({{}}))
print(cache.trouble)
assert cache.recall(Job("b", "a:B")) is None
assert cache.recall(Job("a", "a:B")) is not None
"""


def test_a_full_disk_is_told_and_leaves_no_half_file(tmp_path: Path) -> None:
    paths = [str(ROOT), str(ROOT / "tests")]
    code = WRITE_WITHOUT_ROOM.format(paths=paths, folder=str(tmp_path / "kept"))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stdout
    assert [path.suffix for path in (tmp_path / "kept").glob("*/*")] == [".json"]


def _keep_and_recall(folder: str, job: Job, rounds: int) -> int:
    cache = Cache(folder)
    lost = 0
    for number in range(rounds):
        cache.store(job, REPORT, Sources({}))
        lost += cache.recall(job) != REPORT
        if number % 10 == 9:
            cache.clean()
    return lost + bool(cache.trouble)


def test_runs_side_by_side_do_not_disturb_each_other(tmp_path: Path, job: Job) -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(4) as pool:
        lost = pool.starmap(_keep_and_recall, [(str(tmp_path / "kept"), job, 40)] * 4)
    assert lost == [0, 0, 0, 0]
    assert [path.suffix for path in (tmp_path / "kept").glob("*/*")] == [".json"]


def test_the_limits_of_this_test_process_are_left_as_they_were() -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert signal.getsignal(signal.SIGXFSZ) is not None


def test_arguments_of_any_kind_are_told_apart(job: Job) -> None:
    """Keys that JSON cannot sort, sets, and what JSON would take for the same."""
    arguments: list[Any] = [
        {(1, 2): 3},
        {1: 2, "a": 3},
        {1, 2},
        [1, 2],
        (1, 2),
        1,
        1.0,
        True,
        "1",
        float("nan"),
    ]
    digests = [job_digest(replace(job, args={"d": value})) for value in arguments]
    assert len(set(digests)) == len(arguments)
    one, other = ({"a": 1, "b": {3, 4}}, {"b": {4, 3}, "a": 1})
    assert job_digest(replace(job, args={"d": one})) == job_digest(replace(job, args={"d": other}))
