"""``convlint init``, ``convlint completion`` and ``convlint check --watch``, through the real program."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from conftest import ROOT, Convlint
from small_project import LAYERS, write_project

from convlint.settings.project import find_project
from convlint.usercode.module_search import models_below

MODELS = """
import torch
import torch.nn as nn
from torch.nn import Module

class Part(nn.Module):
    def forward(self, x): return x

class Whole(Module):
    def __init__(self, width, *, depth=2, heads):
        super().__init__()
        self.part = Part()
    def forward(self, image, mask, scale=1): return self.part(image)

class Base(torch.nn.Module):
    def forward(self, x): return x

class Derived(Base):
    pass

class NoForward(nn.Module): pass
class Plain:
    def forward(self, x): return x
"""


def test_models_are_found_without_running_them(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "models.py").write_text(MODELS + "\nraise SystemExit\n")
    (tmp_path / "broken.py").write_text("def (")
    (tmp_path / "odd.py").write_bytes(b"\xff\xfe")
    (tmp_path / "env" / "lib").mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "env" / "lib" / "x.py").write_text(MODELS.replace("Whole", "Hidden"))
    found = {model.name: model for model in models_below(tmp_path)}
    assert set(found) == {"Whole", "Derived"}
    assert found["Whole"].spec == "sub/models.py:Whole"
    assert (found["Whole"].needs, found["Whole"].takes) == (("width", "heads"), ("image", "mask"))
    assert found["Derived"].takes == ("x",)


class TestInit:
    def init(self, convlint: Convlint, tmp_path: Path, *more: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "convlint", "init", *more],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 0, ran
        return ran.stdout

    def test_asks_before_it_writes(self, convlint: Convlint, tmp_path: Path) -> None:
        (tmp_path / "models.py").write_text(MODELS)
        assert "Nothing was written" in self.init(convlint, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["models.py"]

    def test_writes_a_configuration_that_reads_and_a_hook(self, convlint: Convlint, tmp_path: Path) -> None:
        (tmp_path / "models.py").write_text(MODELS)
        (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x' # mine\n")
        self.init(convlint, tmp_path, "--yes")
        text = (tmp_path / "pyproject.toml").read_text()
        assert text.startswith("[project]\nname = 'x' # mine\n")
        assert "# args = { width = ?, heads = ? }" in text
        tomllib.loads(text)
        project = find_project(tmp_path, environment={})
        assert [model.spec for model in project.models] == ["models.py:Derived", "models.py:Whole"]
        assert [str(spec) for spec in project.models[1].inputs] == [
            "image=1x3x224x224:float32",
            "mask=1x3x224x224:float32",
        ]
        assert (
            "entry: convlint check --format concise --changed"
            in (tmp_path / ".pre-commit-config.yaml").read_text()
        )
        again = convlint("init", "--yes")
        assert (again.code, "already holds a configuration" in again.err) == (2, True)

    def test_a_hook_file_that_is_there_is_left_alone(self, convlint: Convlint, tmp_path: Path) -> None:
        (tmp_path / "models.py").write_text(MODELS)
        (tmp_path / ".pre-commit-config.yaml").write_text("repos: []\n")
        assert ".pre-commit-config.yaml exists; add this" in self.init(convlint, tmp_path, "--yes")
        assert (tmp_path / ".pre-commit-config.yaml").read_text() == "repos: []\n"
        assert (tmp_path / "convlint.toml").is_file()

    def test_a_folder_without_models_is_told(self, convlint: Convlint) -> None:
        ran = convlint("init", "--yes")
        assert (ran.code, "no model was found here" in ran.err) == (2, True)


class TestCompletion:
    def complete(self, convlint: Convlint, tmp_path: Path, *words: str, shell: str = "bash") -> list[str]:
        script = tmp_path / "completion"
        script.write_text(convlint("completion", shell).out)
        asked = " ".join(f"'{word}'" for word in words)
        code = f"source '{script}'; COMP_WORDS=({asked}); COMP_CWORD={len(words) - 1}; _convlint; "
        code += 'printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(
            ["bash", "--norc", "-c", code],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return done.stdout.split()

    def test_bash_knows_commands_options_and_choices(self, convlint: Convlint, tmp_path: Path) -> None:
        assert {"check", "rules", "baseline"} <= set(self.complete(convlint, tmp_path, "convlint", ""))
        assert self.complete(convlint, tmp_path, "convlint", "check", "--rep") == ["--report"]
        assert "sarif" in self.complete(convlint, tmp_path, "convlint", "check", "--format", "")
        assert self.complete(convlint, tmp_path, "convlint", "baseline", "pr") == ["prune"]
        (tmp_path / "some_model.py").write_text("")
        assert self.complete(convlint, tmp_path, "convlint", "check", "some_m") == ["some_model.py"]

    @pytest.mark.parametrize("shell", ["zsh", "fish"])
    def test_the_scripts_of_other_shells_are_read_by_them(
        self, convlint: Convlint, tmp_path: Path, shell: str
    ) -> None:
        text = convlint("completion", shell).out
        assert "--report" in text or "-l report" in text
        program = shutil.which(shell)
        if program is None:
            pytest.skip(f"{shell} is not installed")
        (tmp_path / "script").write_text(text)
        prepare = "autoload -Uz compinit && compinit -u; " if shell == "zsh" else ""
        done = subprocess.run(
            [program, "-c", f"{prepare}source {tmp_path / 'script'}"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_watch_checks_again_what_a_saved_file_reaches(tmp_path: Path) -> None:
    place = write_project(tmp_path / "project")
    log = tmp_path / "log"
    with open(log, "w", encoding="utf-8") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "convlint", "check", "--watch", "--no-trial", "--format", "concise"],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT), "CONVLINT_CACHE": "0"},
            stdout=stream,
            stderr=stream,
        )

    def wait_for(text: str) -> None:
        end = time.monotonic() + 100
        while text not in log.read_text(encoding="utf-8"):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end, log.read_text(encoding="utf-8")
            time.sleep(0.1)

    try:
        wait_for("good: Converts as it is")
        time.sleep(1)
        (place / "nets" / "layers.py").write_text(LAYERS.replace("torch.relu(", "torch.hypot(x, "))
        wait_for("CL104 error")
        (place / "nets" / "other.py").write_text("x = 3\n")
        wait_for("no configured model reaches a changed file")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(timeout=60) == 130
        finally:
            process.kill()
