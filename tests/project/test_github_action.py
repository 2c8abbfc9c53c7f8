"""The action of GitHub: its own scripts, run by bash with the variables that a runner gives them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from conftest import ROOT
from small_project import CONFIG, CONFIG_OF_BAD, write_project

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]


class Runner:
    """Runs the steps that have a script; those that use another action are left out."""

    def __init__(self, folder: Path, **inputs: str) -> None:
        self.folder = folder
        self.summary, self.output = folder / "summary.md", folder / "output"
        self.values = {f"inputs.{name}": text["default"] for name, text in ACTION["inputs"].items()}
        self.values |= {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        (folder / "bin").mkdir()
        python = folder / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        for file in (self.summary, self.output):
            file.touch()

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        (step,) = [step for step in STEPS if step["name"] == name]
        environment = {key: self._filled(value) for key, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]],
            cwd=self.folder / self._filled(step.get("working-directory", ".")),
            env={
                "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "HOME": str(self.folder),
                "RUNNER_TEMP": str(self.folder),
                "GITHUB_ACTION_PATH": str(ROOT),
                "GITHUB_STEP_SUMMARY": str(self.summary),
                "GITHUB_OUTPUT": str(self.output),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        for line in self.output.read_text().splitlines():
            key, _, value = line.partition("=")
            self.values[f"steps.check.outputs.{key}"] = value
        return done

    def _filled(self, text: str) -> str:
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: self.values[found[1]], text)


def test_a_refused_model_fails_after_everything_was_shown(tmp_path: Path) -> None:
    write_project(tmp_path / "work", CONFIG + CONFIG_OF_BAD)
    (tmp_path / "work" / ".git").mkdir()
    runner = Runner(tmp_path, arguments="--model bad --target iOS18", working_directory="work")
    assert runner.run("Install convlint").stdout == "", "it is installed"
    checked = runner.run("Check the models")
    assert checked.returncode == 0, checked.stderr
    first, last = checked.stdout.splitlines()
    assert first.startswith("::error file=nets/bad.py,line=7,title=CL104 hypot%3A bad::")
    assert last.startswith("::error title=bad%3A does not convert%3A CL104 nets/bad.py%3A7::")
    assert "| bad | iOS18 | ❌" in runner.summary.read_text()
    assert runner.values["steps.check.outputs.exit-code"] == "1"
    assert Path(runner.values["steps.check.outputs.sarif"]).exists()
    assert runner.run("Fail where something was found").returncode == 1


def test_a_wrong_configuration_fails_too(tmp_path: Path) -> None:
    (tmp_path / "convlint.toml").write_text("trget = 'iOS17'")
    runner = Runner(tmp_path)
    assert "trget: unknown key" in runner.run("Check the models").stderr
    assert runner.summary.read_text() == ""
    assert runner.run("Fail where something was found").returncode == 2


def test_nothing_of_an_event_is_pasted_into_a_script() -> None:
    """Texts of a pull request are anybody's; in the environment they stay texts."""
    assert [step["name"] for step in STEPS if "${{" in step.get("run", "")] == []
    read = {name for step in STEPS for name in re.findall(r"inputs\.([\w-]+)", str(step))}
    assert read == set(ACTION["inputs"]), "every input is used, and known"
