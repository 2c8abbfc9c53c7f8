"""Options as one would look for them: one name for one thing, older names that still work, a short help."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Convlint

from convlint.cli.help import Parser, shown
from convlint.cli.parser import USAGES, build_parser

NET = """
import torch

class Net(torch.nn.Linear):
    def __init__(self):
        super().__init__(64, 64)

class Hard(torch.nn.Module):
    def forward(self, x):
        y = torch.hypot(x, x)
        return torch.hypot(y, -x) + torch.diff(x).sum()
"""
HARD = ("net.py:Hard", "--input", "1x64")
ESCAPE = "\x1b["


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    return tmp_path


def parsers() -> Iterator[tuple[str, Parser]]:
    for action in build_parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def without_times(text: str) -> str:
    """The text without fractions, which are times here."""
    return re.sub(r"\d+\.\d+(e-?\d+)?", "#", text)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("check {} --trial none --output-file r.json", "check {} --trial none --report r.json"),
        ("check {} --no-trial --html r.x", "check {} --trial none --report html:r.x"),
        ("check {} --no-trial --svg r.x", "check {} --trial none -o svg:r.x"),
        ("plan {} --no-trial --html r.html", "plan {} --trial none -o r.html"),
        ("plan {} --trial none --svg r.svg", "plan {} --trial none -o r.svg"),
        ("check {} --trial full --output r.mlpackage", "check {} --save-package r.mlpackage"),
        ("check {} --diff-coremltools 9.0 9.1.dev1", "upgrade 9.0 9.1.dev1 {}"),
        ("check {} --show-settings --target iOS18", "config --trial passes --target iOS18"),
        ("check {} --show-settings --format json", "config --format json"),
        ("plan {} --no-trial", "plan {} --trial none"),
        ("baseline write --no-trial", "baseline write --trial none"),
    ],
)
def test_an_older_name_does_the_same(convlint: Convlint, net: Path, old: str, new: str) -> None:
    configured = "{}" not in new or "baseline" in new
    if configured:
        (net / "convlint.toml").write_text(
            '[[models]]\nname = "a"\nspec = "net.py:Hard"\ninputs = ["1x64"]\n'
        )
    given = "" if configured else "net.py:Net --input 1x64"
    seen = []
    for words in (old, new):
        for path in [*net.glob("r.*"), *net.glob("convlint-*")]:
            path.rename(net / f"{len(seen)}-{path.name}")
        ran = convlint(*words.format(given).split(), CONVLINT_FAIL_ON="error")
        files = sorted(path for path in net.glob("r.*"))
        content = [without_times(path.read_text()) if path.is_file() else path.name for path in files]
        said = ran.out.replace('trial = "passes"  # the command line', 'trial = "passes"  # default')
        seen.append((ran.code, without_times(said), [path.name for path in files], content))
    assert seen[0] == seen[1]
    assert seen[0][0] in (0, 1), seen
    assert bool(seen[0][2]) == (" r." in old)


def test_a_check_that_compresses_still_does(convlint: Convlint, net: Path) -> None:
    words = ("net.py:Net", "-i", "1x64", "--precision", "mixed")
    old = convlint("check", *words, "--compress", "palettize:2", "--format", "json")
    new = convlint("compress", *words, "--to", "palettize:2", "--format", "json")
    assert (old.code, new.code) == (0, 0)
    tables = [json.loads(ran.out)["compression"] for ran in (old, new)]
    assert [row["setting"] for row in tables[1]["rows"]] == ["palettize:2"]
    assert tables[0]["precision"] == tables[1]["precision"] == "mixed"
    assert tables[0]["rows"][0]["errors"] == tables[1]["rows"][0]["errors"]
    assert without_times(json.dumps(tables[0])) == without_times(json.dumps(tables[1]))
    text = convlint("compress", *words[:3], "--to", "palettize:2").out
    assert "palettize:2  iOS16" in text
    assert text.splitlines()[1] == "✓ Converts as it is."
    assert "CL4" not in text, "sizes and errors alone"
    refused = convlint("compress", *HARD, "--to", "int8")
    assert refused.code == 1
    assert "CL104 hypot" in refused.out, "what stops it is shown in place of a table"
    nothing = convlint("compress", *words[:3])
    assert (nothing.code, "give --to SETTINGS" in nothing.err) == (2, True)


def test_older_names_are_not_shown(convlint: Convlint) -> None:
    older = ("--no-trial", "--output-file", "--html", "--svg", "--output", "--show-settings", "--door")
    older += ("--diff-coremltools", "--compress")
    scripts = [convlint("completion", shell).out for shell in ("bash", "fish")]
    for option in older:
        word = re.compile(rf"(?<![\w-])(--|-l ){option[2:]}(?![\w-])")
        assert not any(word.search(script) for script in scripts), option
        for name, parser in parsers():
            assert not word.search(parser.format_full_help()), (name, option)
    assert convlint("check", "net.py:Net", "--output-fil", "x").err.count("--output-file") == 0


def test_one_name_means_one_thing() -> None:
    """An option that several commands have takes the same values and has the same short form."""
    forms: dict[str, set[object]] = {}
    for _, parser in parsers():
        for action in filter(shown, parser._actions):
            for option in action.option_strings:
                if option.startswith("--"):
                    forms.setdefault(option, set()).add(tuple(action.option_strings))
    assert {option: found for option, found in forms.items() if len(found) > 1} == {}
    by_name = dict(parsers())
    running = ("check", "fix", "plan", "compress", "compare", "upgrade", "baseline")
    for option in ("--timeout", "--quiet", "--converters", "--as-trained", "--target", "--input", "--color"):
        assert [name for name in running if option not in by_name[name].options()] == [], option
    for option in ("--report", "--format"):
        assert [n for n in running if n != "baseline" and option not in by_name[n].options()] == [], option
    for name in running:
        for action in by_name[name]._actions:
            if "--timeout" in action.option_strings:
                assert action.help == (
                    "stop each step (the model's own code, each conversion) after this many seconds;"
                    " default: 120"
                )
    assert {*USAGES} == {*by_name}


@pytest.mark.parametrize("command", ["check", "plan", "fix", "compress", "compare", "upgrade", "config"])
def test_the_help_is_short_and_says_where_the_rest_is(convlint: Convlint, command: str) -> None:
    def listed(text: str) -> list[str]:
        return re.findall(r"^  (?:-\w, )?(--[a-z-]+)", text, re.M)

    short, full = (convlint(command, word, COLUMNS="100").out for word in ("--help", "--help-all"))
    options = [option for option in listed(short) if option not in ("--help", "--help-all")]
    assert 4 <= len(options) <= 11, options
    left = len(listed(full)) - len(listed(short))
    assert f"{left} more options: `convlint {command} --help-all`" in short
    assert {"--timeout", "--config"} <= {*listed(full)}
    assert "more options:" not in full
    assert "examples:" in short
    assert "exit codes" in short


def test_a_report_goes_where_its_ending_says(convlint: Convlint, net: Path) -> None:
    endings = ("html", "svg", "sarif", "json", "md", "xml", "txt")
    files = [word for ending in endings for word in ("-o", f"out/r.{ending}")]
    ran = convlint("check", *HARD, "--trial", "none", *files, "-o", "md:notes", "-o", "gitlab:gl")
    assert ran.code == 1, ran
    heads = {path.name: path.read_text(encoding="utf-8")[:60] for path in (net / "out").iterdir()}
    starts = {
        "html": "<!DOCTYPE html>", "svg": "<svg", "sarif": '{\n  "$schema"', "json": '{\n  "schema_version"',
        "md": "<!-- convlint -->", "xml": "<?xml", "txt": "net.py:Hard",
    }  # fmt: skip
    assert {*heads} == {f"r.{ending}" for ending in endings}
    for ending, start in starts.items():
        assert heads[f"r.{ending}"].startswith(start)
    assert (net / "notes").read_text().startswith("<!-- convlint -->")
    assert json.loads((net / "gl").read_text())[0]["check_name"].startswith("CL")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("plan", *HARD, "-o", "p.sarif"),
            "this command writes no sarif; it writes terminal, json, markdown",
        ),
        (("fix", *HARD, "--report", "f.html"), "it writes terminal, json"),
        (("fix", *HARD, "--report", "f"), "write FORMAT:PATH, for example json:f"),
        (("check", *HARD, "-o", "jsno:p"), "Did you mean json?"),
        (("fix", *HARD, "--emit", "a.py", "--report", "txt:a.py"), "name one file"),
        (("check", *HARD, "--trial", "passes", "--save-package", "p"), "leave --trial passes out"),
        (("check", *HARD, "--trial", "none", "--save-package", "p"), "leave --trial none out"),
        (("plan", *HARD, "--precision", "float61"), "Did you mean float16"),
        (("check", *HARD, "--color", "allways"), "Did you mean always?"),
        (("upgrade", "9.0"), "TO"),
    ],
)
def test_what_does_not_fit_is_refused(
    convlint: Convlint, net: Path, words: tuple[str, ...], says: str
) -> None:
    ran = convlint(*words)
    assert (ran.code, says in ran.err) == (2, True), ran
    assert [path.name for path in net.iterdir() if path.name != "__pycache__"] == ["net.py"]


def test_colours_are_chosen(convlint: Convlint, net: Path) -> None:
    words = ("check", *HARD, "--trial", "none")
    assert ESCAPE not in convlint(*words).out
    for more in (("--color", "always"), ("--color=always",)):
        assert f"{ESCAPE}1;31merror" in convlint(*words, *more, NO_COLOR="1").out
    assert ESCAPE in convlint(*words, FORCE_COLOR="1").out
    assert ESCAPE in convlint(*words, "--color", "auto", FORCE_COLOR="1").out
    for variables in ({"FORCE_COLOR": "1"}, {}):
        assert ESCAPE not in convlint(*words, "--color", "never", **variables).out
    assert ESCAPE not in convlint(*words, FORCE_COLOR="1", NO_COLOR="1").out
    assert ESCAPE in convlint("plan", "net.py:Net", "-i", "1x64", "--trial", "none", "--color", "always").out
    coloured = convlint(*words, "--color", "always", "-o", "r.txt")
    assert ESCAPE in coloured.out
    assert ESCAPE not in (net / "r.txt").read_text(), "a file has none"
    plan = ("plan", "net.py:Net", "-i", "1x64", "--trial", "none", "--color", "always", "-o", "plan.txt")
    assert ESCAPE in convlint(*plan).out
    assert ESCAPE not in (net / "plan.txt").read_text()


def test_statistics_count_the_findings_of_each_rule(convlint: Convlint, net: Path) -> None:
    words = ("check", *HARD, "--trial", "none", "--statistics")
    ran = convlint(*words)
    assert ran.code == 1
    *rows, empty, total = ran.out.splitlines()
    assert [row.split()[:4] for row in rows] == [
        ["2", "error", "CL104", "hypot"],
        ["1", "error", "CL102", "diff"],
    ]
    assert (empty, total) == ("", "3 findings of 2 rules in 1 model")
    document = json.loads(convlint(*words, "--format", "json").out)
    first = document["statistics"][0]
    assert (first["code"], first["findings"], first["models"]) == ("CL104", 2, 1)
    convlint(*words, "-o", "r.json")
    assert len(json.loads((net / "r.json").read_text())["findings"]) == 3, "a file has the findings"
    clean = convlint("check", "net.py:Net", "-i", "1x64", "--trial", "none", "--statistics", "-q")
    assert (clean.code, clean.out) == (0, "0 findings in 1 model\n")


CONFIGURED = """
rule-paths = ["lint"]
[[models]]
name = "good"
spec = "net.py:Net"
inputs = ["1x64"]
"""


class TestConfig:
    def test_what_can_be_used_is_told(self, convlint: Convlint, net: Path) -> None:
        (net / "convlint.toml").write_text(CONFIGURED.replace('rule-paths = ["lint"]', ""))
        ran = convlint("config", "--check")
        assert (ran.code, ran.out) == (0, "convlint.toml: 1 model, no mistakes. No model was run.\n")
        document = json.loads(convlint("config", "--check", "--format", "json").out)
        assert document["models"] == ["good"]

    def test_every_mistake_is_told_at_once(self, convlint: Convlint, net: Path) -> None:
        more = (
            'spec = "nte.py:Net"\nconverters = ["mine.py"]\n[[models]]\nname = "b"\nspec = "net.py:Net"\n'
            'ignore = ["hypto"]\n'
        )
        (net / "convlint.toml").write_text(
            'baseline = "known.json"\nchip = "A99"\n' + CONFIGURED.replace('spec = "net.py:Net"\n', more, 1)
        )
        ran = convlint("config", "--check")
        assert ran.code == 2
        for said in (
            "lint", "known.json", "good: spec: there is no file nte.py",
            "good: converters: there is no file mine.py", "b: 'hypto' selects no rule", "hypot", "A99",
        ):  # fmt: skip
            assert said in ran.err, said

    def test_what_cannot_be_read_is_told(self, convlint: Convlint, net: Path) -> None:
        (net / "convlint.toml").write_text('tagret = "iOS17"\nfail-on = "eror"\n')
        ran = convlint("config", "--check")
        assert ran.code == 2
        assert "target" in ran.err
        assert "error" in ran.err
