"""``[tool.convlint]``: read strictly, every mistake with its file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from convlint.config import ModelSettings, Project, Settings, find_project
from convlint.errors import UsageError
from convlint.inputs import InputSpec

WHOLE = """
[tool.convlint]
target = "ios18"
frontend = "export"
trial = "none"
select = ["CL1", "ane"]
ignore = ["hypot"]
rule-paths = ["more/rules"]
fail-on = "warning"
timeout = 30

[[tool.convlint.models]]
name = "segmenter"
spec = "my/models.py:Segmenter"
args = { width = 64 }
arg-exprs = { config = "pkg.Config()" }
inputs = ["image=1x3x512x512:float32"]
target = "macos15"
trial = "full"

[[tool.convlint.models]]
spec = "my/models.py:Other"
"""
MODEL = '[[tool.convlint.models]]\nspec = "a.py:B"\n'


def settings_of(folder: Path, text: str) -> Project:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return find_project(folder)


def test_the_whole_table(tmp_path: Path) -> None:
    project = settings_of(tmp_path, WHOLE)
    base = Settings("iOS18", "export", None, ("CL1", "ane"), ("hypot",), "warning", 30.0)
    assert project.settings == base
    assert project.root == str(tmp_path)
    assert project.rule_paths == (str(tmp_path / "more/rules"),)
    assert project.model("segmenter") == ModelSettings(
        "segmenter",
        "my/models.py:Segmenter",
        {"width": 64},
        {"config": "pkg.Config()"},
        (InputSpec("image", (1, 3, 512, 512), "float32"),),
        Settings("macOS15", "export", "full", ("CL1", "ane"), ("hypot",), "warning", 30.0),
    )
    assert project.models[1] == ModelSettings("my/models.py:Other", "my/models.py:Other", settings=base)


def test_the_file_is_found_upward_past_files_without_the_table(tmp_path: Path) -> None:
    settings_of(tmp_path, WHOLE)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    assert find_project(below).root == str(tmp_path)


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    project = find_project(tmp_path)
    assert project == Project()
    assert (project.settings.target, project.settings.trial) == ("iOS17", "frontend")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('trget = "iOS17"', "tool.convlint has an unknown key 'trget'. Did you mean target?"),
        ('fail_on = "note"', "unknown key 'fail_on'. Did you mean fail-on?"),
        ("zzzzzzzz = 1", "Known keys: target, frontend"),
        ('target = "iOS71"', "tool.convlint.target: unknown target 'iOS71'. Did you mean iOS17?"),
        ("target = 17", "tool.convlint.target must be a string that is not empty, not 17"),
        (
            'frontend = "exprot"',
            "must be one of export, torchscript, auto, not 'exprot'. Did you mean export?",
        ),
        ("trial = false", "tool.convlint.trial must be one of frontend, passes, full, none, not False"),
        ('select = "CL1"', "tool.convlint.select must be a list of strings, not 'CL1'"),
        ("ignore = [1]", "tool.convlint.ignore must be a list of strings"),
        ("timeout = 0", "must be a number of seconds above 0"),
        ("timeout = true", "must be a number of seconds above 0"),
        ("timeout = inf", "must be a number of seconds above 0"),
        ("models = 3", "tool.convlint.models must be tables"),
        (
            '[[tool.convlint.models]]\nnme = "x"',
            "tool.convlint.models[0] has an unknown key 'nme'. Did you mean name?",
        ),
        ('[[tool.convlint.models]]\nname = "x"', "tool.convlint.models[0] has no key 'spec'"),
        (MODEL + MODEL, "tool.convlint.models has two models named 'a.py:B'"),
        (MODEL + 'inputs = ["0x3"]', "tool.convlint.models[0].inputs: malformed input spec '0x3'"),
        (MODEL + 'inputs = "1x3"', "tool.convlint.models[0].inputs must be a list of strings"),
        (MODEL + "args = [1]", "tool.convlint.models[0].args must be a table"),
        (MODEL + "args = {'a b' = 1}", "cannot be the name of an argument"),
        (MODEL + "arg-exprs = {a = 1}", "tool.convlint.models[0].arg-exprs.a must be a string"),
        (MODEL + "arg-exprs = {a = '1 +'}", "is not a Python expression"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        settings_of(tmp_path, f"[tool.convlint]\n{text}\n")
    assert str(caught.value).startswith("pyproject.toml: tool.convlint")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[tool.convlint]\ntarget = [", "pyproject.toml is not valid TOML"),
        (b"[tool]\nconvlint = 3", "tool.convlint must be a table"),
        (b"[tool.convlint]\ntarget = '\xff'", "pyproject.toml is not valid TOML"),
    ],
)
def test_a_broken_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        find_project()


def test_an_unknown_model_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Did you mean segmenter\?"):
        settings_of(tmp_path, WHOLE).model("segmentr")
    with pytest.raises(UsageError, match=r"no \[\[tool.convlint.models\]\]"):
        Project().model("x")
