"""The command line in one process, with a stand-in for the check: options, formats, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from reports import CLEAN, REPORT

from convlint.checking.options import Options
from convlint.cli.program import main
from convlint.errors import ModelError
from convlint.interface.inputs import InputSpec
from convlint.interface.outputs import OutputSpec

SOURCE = "import torch\nclass Net(torch.nn.Module):\n  def forward(self, x, mask): pass\n"
CONFIG = """
[tool.convlint]
target = "iOS16"
ignore = ["ane"]
rule-paths = ["more"]
[[tool.convlint.models]]
name = "first"
spec = "net.py:Net"
inputs = ["1x3"]
target = "iOS18"
[[tool.convlint.models]]
name = "second"
spec = "net.py:Net"
inputs = ["1x5"]
trial = "none"
"""


@dataclass
class Checks:
    """A stand-in for :mod:`convlint.checking.check` that remembers what it was asked."""

    asked: list[tuple[str, tuple[InputSpec, ...], Options]] = field(default_factory=list)
    answer: Callable[[str], Any] = lambda name: replace(CLEAN, model=name)

    def check_source(
        self, name: str, source: Any, options: Options, progress: Callable[[str], None], early: Any = None
    ) -> Any:
        progress("checking")
        source.build()
        self.asked.append((name, source.specs, options))
        return self.answer(name)


@pytest.fixture
def checks(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checks]:
    (project / "net.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.setenv("CONVLINT_CACHE", "0")
    checks = Checks()
    module = ModuleType("convlint.checking.check")
    module.check_source = checks.check_source  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "convlint.checking.check", module)
    return checks


def test_options_reach_the_check(checks: Checks, project: Path) -> None:
    arguments = (
        "check net.py:Net --input x=1x3 --input 2:int64 --target macos14 --frontend export --trial full"
    )
    more = (
        "--timeout 77 --save-package out.mlpackage --select CL1,ane --select CL2 --ignore hypot --rule-path r"
    )
    last = "--coremltools 9.1.dev1 --why CL104 --fail-on note --output-type y:image(bgr)"
    assert main([*arguments.split(), *more.split(), *last.split()]) == 0
    (name, inputs, options) = checks.asked[0]
    assert name == "net.py:Net"
    assert inputs == (InputSpec("x", (1, 3), "float32"), InputSpec(None, (2,), "int64"))
    assert options == Options(
        target="macOS14",
        frontend="export",
        trial="full",
        select=("CL1", "ane", "CL2"),
        ignore=("hypot",),
        fail_on="note",
        timeout=77.0,
        rule_paths=("r",),
        coremltools="9.1.dev1",
        why="CL104",
        output=str(project / "out.mlpackage"),
        outputs=(OutputSpec("y", "bgr"),),
    )


def test_without_options_the_defaults_hold(checks: Checks) -> None:
    main(["check", "net.py:Net", "--input", "1x3"])
    options = checks.asked[0][2]
    assert (options.target, options.frontend, options.trial) == ("iOS17", "auto", "passes")
    main(["check", "net.py:Net", "--input", "1x3", "--no-trial"])
    assert checks.asked[1][2].trial is None


def test_all_configured_models_are_checked(
    checks: Checks, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text(CONFIG, encoding="utf-8")
    checks.answer = lambda name: replace(REPORT if name == "second" else CLEAN, model=name)
    assert main(["check", "--ignore", "hypot"]) == 1
    first, second = (asked[2] for asked in checks.asked)
    assert (first.target, first.trial, first.ignore) == ("iOS18", "passes", ("hypot",))
    assert (second.target, second.trial) == ("iOS16", None)
    assert first.rule_paths == (str(project / "more"),)
    assert capsys.readouterr().out.splitlines()[-1] == "2 models: 1 converts, 1 does not convert"


def test_one_configured_model_with_the_command_line_over_it(checks: Checks, project: Path) -> None:
    (project / "pyproject.toml").write_text(CONFIG, encoding="utf-8")
    assert main(["check", "--model", "second", "--trial", "passes", "--input", "7"]) == 0
    (name, inputs, options) = checks.asked[0]
    assert (name, inputs, options.trial) == ("second", (InputSpec(None, (7,), "float32"),), "passes")


def test_a_configured_model_is_found_from_a_folder_below(
    checks: Checks, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "pyproject.toml").write_text(CONFIG, encoding="utf-8")
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    assert main(["check", "--model", "first"]) == 0


def test_the_worst_model_decides_and_the_others_are_checked(
    checks: Checks, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text(CONFIG, encoding="utf-8")

    def answer(name: str) -> Any:
        if name == "first":
            raise ModelError("its forward raises")
        return replace(REPORT, model=name)

    checks.answer = answer
    assert main(["check", "--format", "json"]) == 3
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["schema_version"], document["exit_code"]) == (1, 3)
    assert document["reports"][0]["error"]["message"] == "its forward raises"
    assert document["reports"][1]["model"] == "second"
    assert captured.err == "convlint: error: first: its forward raises\n"


def test_json_of_one_model_is_its_report(checks: Checks, capsys: pytest.CaptureFixture[str]) -> None:
    checks.answer = lambda name: replace(REPORT, model=name)
    assert main(["check", "net.py:Net", "--input", "1x3", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["model"] == "net.py:Net"


def test_concise_puts_findings_on_stdout_and_the_verdict_on_stderr(
    checks: Checks, capsys: pytest.CaptureFixture[str]
) -> None:
    checks.answer = lambda name: replace(REPORT, model=name)
    main(["check", "net.py:Net", "--input", "1x3", "--format", "concise"])
    captured = capsys.readouterr()
    assert all("[" in line or "trial error" in line for line in captured.out.splitlines())
    assert "Does not convert" in captured.err
    main(["check", "net.py:Net", "--input", "1x3", "--format", "concise", "-q"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("check", "no model is named"),
        ("check net.py:Net", "Its forward takes x, mask."),
        ("check net.py:Net --model first", "either SPEC or --model"),
        ("check --model first", "no [[tool.convlint.models]]"),
        ("check net.py:Net --input 1x3 --timeout 0", "--timeout must be"),
        ("check net.py:Net --input 1x3 --timeout x", "invalid float value"),
        ("check net.py:Net --input 1x3 --save-package o --trial passes", "leave --trial passes out"),
        ("check net.py:Net --input 1x3 --select ,", "--select names no rule"),
        ("check net.py:Net --input 1x3 --trial full --no-trial", "not allowed with"),
        ("check net.py:Net --input 1x3 --coremltools nine", "not a version"),
        ("check net.py:Net --inptu 1x3", "Did you mean --input?"),
        ("check net.py:Net another", "unknown argument 'another'"),
        ("check net.py:Net --format jsno", "Did you mean json?"),
        ("chekc net.py:Net", "Did you mean check?"),
        ("", "no command is given"),
        ("rule", "CODE|NAME"),
    ],
)
@pytest.mark.usefixtures("checks")
def test_a_wrong_command_line_is_told(arguments: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments.split()) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("convlint: error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err
    assert captured.out == ""


def test_options_for_one_model_are_refused_for_several(
    checks: Checks, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "pyproject.toml").write_text(CONFIG, encoding="utf-8")
    assert main(["check", "--input", "1x3"]) == 2
    assert "--input is for one model, and 2 are to be checked" in capsys.readouterr().err


def test_a_mistake_of_ours_is_no_traceback(checks: Checks, capsys: pytest.CaptureFixture[str]) -> None:
    def answer(name: str) -> Any:
        raise IndexError("odd")

    checks.answer = answer
    assert main(["check", "net.py:Net", "--input", "1x3"]) == 3
    assert capsys.readouterr().err.startswith("convlint: internal error: IndexError: odd (")
    with pytest.raises(IndexError):
        main(["check", "net.py:Net", "--input", "1x3", "--debug"])


def test_ctrl_c_is_130(checks: Checks) -> None:
    def answer(name: str) -> Any:
        raise KeyboardInterrupt

    checks.answer = answer
    assert main(["check", "net.py:Net", "--input", "1x3"]) == 130


def test_doctor_says_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("python", "torch", "coremltools", "numpy", "rich", "networkx"))
    assert "libmilstoragepython  loads" in out
    assert main(["doctor", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["healthy"] is True


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], ["check", "--help"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0
        assert "convlint check torchvision.models:resnet50 --input 1x3x224x224" in capsys.readouterr().out
