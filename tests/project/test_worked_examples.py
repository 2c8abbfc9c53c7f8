"""The worked examples of the README and of the pages on inputs and outputs show what convlint prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from conftest import ROOT

from convlint.cli.program import main

PAGES = ("flexible-shapes", "images", "states", "types-and-names")
COMMAND = re.compile(r"^```bash\n(convlint .*?)\n```\n\n```text\n(.*?)^```", re.MULTILINE | re.DOTALL)
REPORT = re.compile(r"report: begin -->\n```text\n\$ (convlint .*?)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SECONDS = re.compile(r"\d+\.\d\d")
MODEL = re.compile(r"^```python\n(# (\w+\.py)\n.*?)^```", re.MULTILINE | re.DOTALL)


def example(page: str) -> tuple[dict[str, str], list[tuple[str, str]]]:
    """The files of a page, and each of its commands with the output shown."""
    text = (ROOT / "docs" / f"{page}.md").read_text("utf-8")
    files = {name: code for code, name in MODEL.findall(text)}
    commands = COMMAND.findall(text)
    assert files
    assert commands
    return files, commands


@pytest.mark.parametrize("page", PAGES)
def test_the_output_shown_is_the_output(page: str, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files, commands = example(page)
    for name, code in files.items():
        (project / name).write_text(code, encoding="utf-8")
    for command, shown in commands:
        code = main([*shlex.split(command)[1:], "--no-cache"])
        assert capsys.readouterr().out == shown, command
        assert code == (1 if " error " in shown else 0)


REPORTS = [
    pytest.param(*found, id=found[0].split()[2], marks=[pytest.mark.corpus] * ("swin" in found[0]))
    for page in ("README.md", "docs/reading-a-report.md")
    for found in REPORT.findall((ROOT / page).read_text("utf-8"))
]


@pytest.mark.parametrize(("command", "shown"), REPORTS)
def test_the_reports_shown_are_the_reports(
    command: str, shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All but the seconds; ``python -m benchmarks.sample_report`` writes them anew."""
    monkeypatch.chdir(ROOT)
    code = main([*shlex.split(command)[1:], "--no-cache"])
    assert code == (0 if "✓" in shown else 1)
    printed = capsys.readouterr().out
    assert SECONDS.sub("0", printed.strip()) == SECONDS.sub("0", shown.strip())
    most = {"torchvision.models:resnet50": 12, "torchvision.models:swin_t": 40}
    assert len(shown.strip().splitlines()) <= most.get(command.split()[2], 45)


def test_there_is_a_report_of_each_kind() -> None:
    assert len(REPORTS) == 4
