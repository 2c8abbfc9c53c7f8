"""Many candidates: each answered once, whatever becomes of a process, on any executor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Convlint
from small_project import CONFIG, CONFIG_OF_BAD, write_project

from convlint.errors import UsageError
from convlint.runs.many import check_many

CANDIDATES = """
import os, signal
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=4, die=False, fail=False):
        super().__init__()
        if die:
            os.kill(os.getpid(), signal.SIGKILL)
        if fail:
            raise ValueError("no such width")
        print("a candidate prints")
        self.linear = nn.Linear(4, width)
        self.bad = width == 5

    def forward(self, x):
        x = self.linear(x)
        return torch.hypot(x, x) if self.bad else x
"""
HOW: dict[str, Any] = {"inputs": ["1x4"], "trial": "none", "target": "iOS16"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "nets.py").write_text(CANDIDATES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path, modules = list(sys.path), set(sys.modules)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name == "nets":
            del sys.modules[name]


def candidate(**args: Any) -> dict[str, Any]:
    return {"spec": "nets.py:Net", "args": args}


def widths(rows: list[dict[str, Any]]) -> list[Any]:
    return sorted((row["args"].get("width", 0) for row in rows), key=str)


def test_every_candidate_has_one_row(folder: Path) -> None:
    """On the executor of the caller: here a thread of this process."""
    candidates = [candidate(width=width) for width in (3, 4, 5, 4)] + [candidate(fail=True), "nets.py:Lost"]
    with ThreadPoolExecutor(1) as executor:
        rows = list(check_many(candidates, executor=executor, **HOW))
    assert len(rows) == 5, "equal candidates are one"
    by_width = {row["args"].get("width"): row for row in rows if row["error"] is None}
    assert by_width[3]["convertible"] == "yes"
    assert by_width[3]["target"] == "iOS16"
    assert by_width[3]["parameters"] == 15
    assert (by_width[5]["convertible"], by_width[5]["rules"]) == ("no", {"CL104": 1})
    errors = [row["error"] for row in rows if row["error"] is not None]
    assert sorted("no such width" in error for error in errors) == [False, True]
    assert all(row["exit_code"] == 3 for row in rows if row["error"])
    json.dumps(rows, allow_nan=False)


def test_a_run_that_was_stopped_goes_on(folder: Path) -> None:
    candidates = [candidate(width=width) for width in range(1, 5)]
    results = folder / "rows.jsonl"
    with ThreadPoolExecutor(1) as executor:
        rows = check_many(candidates, executor=executor, results=results, **HOW)
        first = [next(rows), next(rows)]
        rows.close()  # type: ignore[attr-defined]
        with open(results, "a", encoding="utf-8") as stream:
            stream.write('{"id": "cut of')
        rest = list(check_many(candidates, executor=executor, results=results, **HOW))
        assert widths([*first, *rest]) == [1, 2, 3, 4]
        assert list(check_many(candidates, executor=executor, results=results, **HOW)) == []
        other = list(
            check_many(candidates[:1], executor=executor, results=results, **{**HOW, "target": "iOS17"})
        )
        assert len(other) == 1, "another target is another candidate"
    lines = results.read_text(encoding="utf-8").splitlines()
    assert widths([json.loads(line) for line in lines[:4]]) == [1, 2, 3, 4]


def test_another_file_is_not_added_to(folder: Path) -> None:
    (folder / "notes.txt").write_text("my notes\n")
    with pytest.raises(UsageError, match="name another file"):
        list(check_many(["nets.py:Net"], results=folder / "notes.txt", **HOW))
    assert (folder / "notes.txt").read_text() == "my notes\n"


@pytest.mark.parametrize(
    ("candidates", "settings", "says"),
    [
        ([{"spce": "a:B"}], {}, "check_many: spce: unknown key. Did you mean spec?"),
        ([{"args": {}}], {}, "spec: missing; it names the model"),
        (["a.py:B"], {"trget": "iOS17"}, "trget: unknown key. Did you mean target?"),
        (["a.py:B"], {"target": "iOS71"}, "unknown target 'iOS71'"),
    ],
)
def test_a_mistake_is_told_before_anything_runs(candidates: Any, settings: Any, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        list(check_many(candidates, **settings))
    assert says in str(caught.value)


def test_a_script_without_a_guard_is_told_once(folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import convlint\nlist(convlint.check_many(['net.py:Net'], results='rows', processes=2))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    last = done.stderr.splitlines()[-1]
    assert last.startswith("convlint.errors.UsageError: the processes of check_many cannot start.")
    assert done.stderr.count("Traceback") == 1, "that of the call, and none of a worker"
    assert not (tmp_path / "rows").exists()


def test_processes_that_die_take_only_their_own_candidate_with_them(folder: Path) -> None:
    candidates = [candidate(width=width) for width in range(1, 6)]
    candidates[2:2] = [candidate(die=True, width=98)]
    rows = list(check_many(candidates, processes=2, **HOW))
    assert widths(rows) == [1, 2, 3, 4, 5, 98]
    (died,) = [row for row in rows if row["error"]]
    assert died["args"] == {"die": True, "width": 98}
    assert "BrokenProcessPool" in died["error"]


@pytest.mark.cluster
def test_an_executor_that_breaks_is_replaced(folder: Path) -> None:
    candidates = [candidate(die=True, width=97), candidate(width=1), candidate(width=2)]
    with ProcessPoolExecutor(1, get_context("spawn")) as executor:
        rows = list(check_many(candidates, executor=executor, processes=1, **HOW))
    assert widths(rows) == [1, 2, 97]
    assert sum(row["error"] is not None for row in rows) == 1


@pytest.mark.cluster
def test_a_local_cluster_whose_worker_is_killed(folder: Path) -> None:
    import dask
    import distributed

    candidates = [candidate(width=width) for width in range(1, 7)]
    candidates[3:3] = [candidate(die=True, width=99)]
    quiet = {"distributed.scheduler.allowed-failures": 0, "distributed.logging.distributed": "critical"}
    with dask.config.set(quiet):
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster:
            with distributed.Client(cluster) as client:
                rows = list(check_many(candidates, executor=client.get_executor(), **HOW))
    assert widths(rows) == [1, 2, 3, 4, 5, 6, 99]
    failed = [row for row in rows if row["error"] is not None]
    # What waited on the worker that died may be counted as killed with it: that is for dask to say.
    assert 99 in widths(failed)
    assert len(failed) <= 2
    assert all("KilledWorker" in row["error"] for row in failed)


def test_two_processes_on_the_command_line(convlint: Convlint, tmp_path: Path) -> None:
    write_project(
        tmp_path, CONFIG_OF_BAD + CONFIG + CONFIG.replace("good", "lost", 1).replace("Good", "Lost")
    )
    alone, two = (
        convlint("check", "--all", "-j", jobs, "--format", "json", "--no-trial") for jobs in ("1", "2")
    )
    assert alone.code == two.code == 3
    names = [[entry["model"] for entry in json.loads(ran.out)["reports"]] for ran in (alone, two)]
    assert names == [["bad", "good", "lost"]] * 2
    findings = [json.loads(ran.out)["reports"][0]["findings"] for ran in (alone, two)]
    assert findings[0] == findings[1] != []
    assert "the model says hello" in two.err
    assert f"{os.sep}many.py" not in two.err
