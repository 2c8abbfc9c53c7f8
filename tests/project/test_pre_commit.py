"""The hook, run by the real pre-commit in a throwaway repository whose path has a space in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT, Ran
from small_project import CONFIG, CONFIG_OF_BAD, LAYERS, write_project

HOOKS = """
repos:
  - repo: {hooks}
    rev: {revision}
    hooks:
      - id: convlint
        verbose: true
"""
PROGRAM = """#!/bin/sh
echo run >> {log}.runs
exec {python} -X importtime -m convlint "$@" 2> {log}
"""


@dataclass(frozen=True, slots=True)
class Repository:
    """A git repository with the hook installed, and the log of what the hook imported last."""

    folder: Path
    log: Path
    environment: dict[str, str]

    def run(self, *command: str) -> Ran:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def commit(self, message: str) -> Ran:
        self.run("git", "add", "-A")
        self.log.unlink(missing_ok=True)
        return self.run("git", "commit", "-m", message)

    def commits(self) -> int:
        return len(self.run("git", "log", "--oneline").out.splitlines())

    def imported(self) -> set[str]:
        lines = self.log.read_text(encoding="utf-8").splitlines()
        return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    place = tmp_path_factory.mktemp("hook")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "CONVLINT_"))},
        "PYTHONPATH": str(ROOT),
        "PATH": f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(place / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    log = place / "imports.log"
    (place / "bin").mkdir()
    program = place / "bin" / "convlint"
    program.write_text(PROGRAM.format(python=sys.executable, log=log))
    program.chmod(0o755)
    hooks = Repository(place / "hooks", log, environment)
    hooks.folder.mkdir()
    shutil.copy(ROOT / ".pre-commit-hooks.yaml", hooks.folder)
    hooks.run("git", "init", "-q")
    hooks.commit("the hook")
    revision = hooks.run("git", "rev-parse", "HEAD").out.strip()
    repository = Repository(write_project(place / "a repository"), log, environment)
    (repository.folder / ".pre-commit-config.yaml").write_text(
        HOOKS.format(hooks=hooks.folder, revision=revision)
    )
    repository.run("git", "init", "-q")
    installed = repository.run(sys.executable, "-m", "pre_commit", "install")
    assert installed.code == 0, installed
    return repository


def test_a_good_commit_passes_and_later_ones_cost_nothing(repository: Repository) -> None:
    first = repository.commit("a model that converts")
    assert first.code == 0, first
    assert "convlint" in first.err
    assert "torch" in repository.imported()
    assert repository.commits() == 1

    (repository.folder / "nets" / "other.py").write_text("x = 2\n")
    second = repository.commit("an unrelated change")
    assert second.code == 0, second
    assert not {"torch", "coremltools", "rich", "numpy"} & repository.imported()
    assert repository.commits() == 2

    (repository.folder / "notes.md").write_text("nothing for the hook\n")
    before = Path(f"{repository.log}.runs").read_text()
    assert repository.commit("no Python at all").code == 0
    assert Path(f"{repository.log}.runs").read_text() == before


def test_a_bad_commit_is_refused_with_the_finding(repository: Repository) -> None:
    before = repository.commits()
    layers = repository.folder / "nets" / "layers.py"
    layers.write_text(LAYERS.replace("torch.relu(self.linear(x))", "torch.hypot(x, self.linear(x))"))
    refused = repository.commit("a layer that does not convert")
    assert refused.code != 0
    told = [line for line in refused.err.splitlines() if "CL104" in line]
    assert [line.partition(" has no")[0] for line in told] == [
        "nets/layers.py:11: CL104 error aten.hypot.default"
    ], "a line for the committer, not a report"
    assert repository.commits() == before

    layers.write_text(LAYERS)
    assert repository.run(sys.executable, "-m", "pre_commit", "run", "--all-files").code == 0
    assert not {"torch", "coremltools"} & repository.imported(), "back to a state that was checked before"


def test_a_file_that_was_renamed_away_is_noticed(repository: Repository) -> None:
    before = repository.commits()
    layers, renamed = repository.folder / "nets" / "layers.py", repository.folder / "nets" / "blocks.py"
    layers.rename(renamed)
    refused = repository.commit("a module that is imported under its old name")
    assert refused.code != 0
    assert repository.commits() == before
    renamed.rename(layers)
    repository.run("git", "add", "-A")


def test_another_model_is_refused_by_itself(repository: Repository) -> None:
    (repository.folder / "convlint.toml").write_text(CONFIG + CONFIG_OF_BAD)
    bad = repository.run("convlint", "check", "--changed", "nets/bad.py", "--format", "concise")
    assert bad.code == 1
    assert bad.out.splitlines() == [
        "nets/bad.py:7: CL104 error aten.hypot.default has no converter"
        " (help: spell hypot out as a square root (may differ for some inputs; equal within 1e-05)) [hypot]"
    ]
    gone = repository.run("convlint", "check", "--changed", "nets/nowhere.py")
    assert gone.code == 0


def test_two_hooks_at_once_do_not_disturb_each_other(repository: Repository) -> None:
    command = ["convlint", "check", "--model", "good", "--format", "concise"]
    running = [
        subprocess.Popen(
            command, cwd=repository.folder, env=repository.environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    assert [process.wait(timeout=240) for process in running] == [0, 0, 0]
    for process in running:
        assert process.stdout is not None
        process.stdout.close()
