"""Bad input through the real command line: one clear paragraph, the right exit code, no traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from conftest import ROOT, Convlint, Ran

MODELS = """
import sys
import torch
from torch import nn

print("user code prints")

class Good(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        print("and again")
        if width > 100:
            raise ValueError(f"width {width} is too large")
        if width < 0:
            sys.exit(0)
        self.layer = nn.Linear(width, 4)

    def forward(self, x):
        return self.layer(x)

class Raises(nn.Module):
    def forward(self, x):
        raise RuntimeError("forward is not ready")

class Nothing(nn.Module):
    def forward(self, x):
        return None

class Text(nn.Module):
    def forward(self, x):
        return "text"

class Empty(nn.Module):
    pass

class Hangs(nn.Module):
    def __init__(self):
        super().__init__()
        while True:
            pass

number = 3
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "models.py").write_text(MODELS, encoding="utf-8")
    return tmp_path


def assert_told(ran: Ran, code: int, *facts: str) -> None:
    errors = [line for line in ran.err.splitlines() if line.startswith("convlint: error: ")]
    assert len(errors) == 1, ran
    for fact in facts:
        assert fact in errors[0]
    assert "Traceback" not in ran.out + ran.err
    assert ran.code == code
    assert "user code prints" not in ran.out


GOOD = ("models.py:Good", "--input", "1x3")

CASES: dict[str, tuple[tuple[str, ...], int, tuple[str, ...]]] = {
    "unknown module": (("nowhere.at.all:Net", "--input", "1x3"), 3, ("there is no module 'nowhere'",)),
    "misspelt module": (
        ("torchvison.models:resnet50", "--input", "1x3"),
        3,
        ("Did you mean torchvision.models?",),
    ),
    "unknown file": (("model.py:Good", "--input", "1x3"), 3, ("no file model.py", "Did you mean models.py?")),
    "unknown attribute": (("models.py:Goood", "--input", "1x3"), 3, ("no attribute 'Goood'", "mean Good?")),
    "attribute of the wrong kind": (("models.py:number", "--input", "1x3"), 3, ("an object of type int",)),
    "malformed spec": (("models.py", "--input", "1x3"), 2, ("malformed model spec", "it defines Good")),
    "constructor that raises": (
        (*GOOD, "--arg", "width=101"),
        3,
        ("ValueError: width 101 is too large", "models.py:13", "raise ValueError(f"),
    ),
    "constructor that exits": ((*GOOD, "--arg", "width=-1"), 3, ("it called sys.exit(0)", "models.py:15")),
    "constructor that hangs": (("models.py:Hangs", "--input", "1", "--timeout", "1"), 3, ("took too long",)),
    "unknown argument": ((*GOOD, "--arg", "widht=4"), 2, ("no argument 'widht'", "Did you mean width?")),
    "malformed argument": ((*GOOD, "--arg", "width"), 2, ("malformed --arg 'width'",)),
    "broken expression": ((*GOOD, "--arg-expr", "width=1 +"), 2, ("not a Python expression",)),
    "missing input": (
        ("models.py:Good",),
        2,
        ("no input is given", "forward takes x", "--input 1x3x224x224"),
    ),
    "malformed input": (("models.py:Good", "--input", "1xthree"), 2, ("malformed input spec '1xthree'",)),
    "zero size": (("models.py:Good", "--input", "1x0"), 2, ("size 0 must be above 0",)),
    "unknown dtype": (("models.py:Good", "--input", "1x3:flaot32"), 2, ("Did you mean float32?",)),
    "unknown target": ((*GOOD, "--target", "iOS71"), 2, ("unknown target 'iOS71'", "Did you mean iOS17?")),
    "unknown rule to select": ((*GOOD, "--select", "CL999x"), 2, ("CL999x",)),
    "unknown rule to ignore": ((*GOOD, "--ignore", "hypott"), 2, ("hypott",)),
    "unknown rule for why": ((*GOOD, "--why", "CL999"), 2, ("CL999",)),
    "no such rule path": ((*GOOD, "--rule-path", "nowhere"), 2, ("rules cannot be loaded",)),
}

AT_CAPTURE: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "wrong shape": (("models.py:Good", "--input", "1x7"), ("models.py:19",)),
    "wrong dtype": (("models.py:Good", "--input", "1x3:int64"), ("models.py:19",)),
    "wrong input name": (("models.py:Good", "--input", "image=1x3"), ("image",)),
    "too many inputs": ((*GOOD, "--input", "1x3"), ("forward",)),
    "forward that raises": (("models.py:Raises", "--input", "1"), ("forward is not ready", "models.py:23")),
    "no tensor output": (("models.py:Nothing", "--input", "1"), ("output",)),
    "text output": (("models.py:Text", "--input", "1"), ("output",)),
    "empty model": (("models.py:Empty", "--input", "1"), ("forward",)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("models")
def test_bad_input_is_told(convlint: Convlint, case: str) -> None:
    arguments, code, facts = CASES[case]
    assert_told(convlint("check", *arguments), code, *facts)


@pytest.mark.parametrize("case", AT_CAPTURE)
@pytest.mark.usefixtures("models")
def test_what_shows_when_the_model_runs_is_told(convlint: Convlint, case: str) -> None:
    """As an error or as a report whose verdict is unknown: with the user's line, and exit code 3."""
    arguments, facts = AT_CAPTURE[case]
    ran = convlint("check", *arguments)
    assert ran.code == 3, ran
    assert all(fact in ran.out + ran.err for fact in facts), ran
    assert "Traceback" not in ran.out + ran.err
    assert "user code prints" not in ran.out


@pytest.mark.parametrize("case", ["unknown attribute", "constructor that raises", "malformed input"])
@pytest.mark.usefixtures("models")
def test_bad_input_is_json_where_json_was_asked_for(convlint: Convlint, case: str) -> None:
    arguments, code, facts = CASES[case]
    ran = convlint("check", *arguments, "--format", "json")
    document = json.loads(ran.out)
    assert document["schema_version"] == 1
    assert document["error"]["exit_code"] == ran.code == code
    assert all(fact in document["error"]["message"] for fact in facts)


@pytest.mark.usefixtures("models")
def test_a_model_that_prints_does_not_spoil_json(convlint: Convlint) -> None:
    ran = convlint("check", *GOOD, "--format", "json")
    assert json.loads(ran.out)["convertible"] == "yes"
    assert "user code prints" in ran.err
    assert ran.code == 0


@pytest.mark.usefixtures("models")
def test_what_is_printed_at_exit_does_not_spoil_json(convlint: Convlint, models: Path) -> None:
    late = "\nimport atexit, os\natexit.register(print, 'late')\natexit.register(os.system, 'echo late')\n"
    (models / "models.py").write_text(MODELS + late, encoding="utf-8")
    ran = convlint("check", *GOOD, "--format", "json", "--no-trial", fresh=True)
    assert "error" not in json.loads(ran.out)
    assert ran.err.count("late") == 2


@pytest.mark.usefixtures("models")
def test_broken_rule_files_are_told_all_at_once(convlint: Convlint, models: Path) -> None:
    rules = models / "rules"
    rules.mkdir()
    (rules / "CL190-one.toml").write_text("code = 3\n", encoding="utf-8")
    (rules / "CL191-two.toml").write_text("not toml at all", encoding="utf-8")
    ran = convlint("check", *GOOD, "--rule-path", "rules")
    assert ran.code == 2
    assert "CL190-one.toml" in ran.err
    assert "CL191-two.toml" in ran.err
    assert "Traceback" not in ran.err


def test_an_unknown_rule_is_told_with_the_nearest(convlint: Convlint) -> None:
    known = convlint("rules", "list", "--format", "json")
    code = json.loads(known.out)["rules"][0]["code"]
    assert_told(convlint("rule", code + "9"), 2, f"no rule '{code}9'", "Did you mean")


def test_the_list_of_rules_and_each_rule(convlint: Convlint) -> None:
    listed = json.loads(convlint("rules", "list", "--format", "json").out)["rules"]
    assert listed
    assert len(convlint("rules").out.splitlines()) == len(listed)
    for word in (listed[0]["code"], listed[0]["name"], listed[0]["code"].lower()):
        ran = convlint("rule", word)
        assert ran.out.startswith(f"# {listed[0]['code']} {listed[0]['name']}: {listed[0]['title']}\n")
        assert ran.code == 0


@pytest.mark.usefixtures("models")
def test_a_broken_configuration_is_told(convlint: Convlint, models: Path) -> None:
    (models / "pyproject.toml").write_text("[tool.convlint]\ntrget = 'iOS17'\n", encoding="utf-8")
    assert_told(convlint("check", *GOOD), 2, "pyproject.toml: tool.convlint", "Did you mean target?")


def test_nothing_to_check_is_told(convlint: Convlint) -> None:
    assert_told(convlint("check"), 2, "no model is named")


@pytest.mark.parametrize("missing", ["coremltools", "coremltools.libmilstoragepython"])
@pytest.mark.usefixtures("models")
def test_without_coremltools_the_rules_still_answer(convlint: Convlint, models: Path, missing: str) -> None:
    hide = f"""
        from importlib.machinery import PathFinder
        find_spec = PathFinder.find_spec
        def hide(name, path=None, target=None):
            hidden = name == {missing!r} or name.startswith({missing + "."!r})
            return None if hidden else find_spec(name, path, target)
        PathFinder.find_spec = hide
    """
    (models / "sitecustomize.py").write_text(textwrap.dedent(hide), encoding="utf-8")
    ran = convlint("check", *GOOD, "--trial", "full", PYTHONPATH=f"{models}{os.pathsep}{ROOT}")
    assert ran.code in (0, 1)
    assert "Traceback" not in ran.out + ran.err
    assert "trial" in ran.out
    assert "coremltools" in ran.out


@pytest.mark.usefixtures("models")
def test_debug_shows_the_traceback(convlint: Convlint) -> None:
    ran = convlint("check", *GOOD, "--arg", "width=101", "--debug")
    assert "Traceback" in ran.err
    assert ran.code == 1


def test_a_closed_pipe_is_quiet() -> None:
    command = (
        f"{sys.executable} -m convlint check --help | head -n 1; {sys.executable} -m convlint rules | true"
    )
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""


@pytest.mark.usefixtures("models")
def test_ctrl_c_ends_with_130(models: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "convlint", "check", "models.py:Hangs", "--input", "1"],
        cwd=models,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "user code prints\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines() == ["convlint: interrupted"]


@pytest.mark.usefixtures("models")
def test_progress_is_for_terminals(convlint: Convlint) -> None:
    assert "\x1b" not in convlint("check", *GOOD, "--no-trial").err
