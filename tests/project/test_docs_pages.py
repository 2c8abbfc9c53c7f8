"""The written pages: their examples parse, their options exist, and the site builds without a warning."""

from __future__ import annotations

import argparse
import ast
import html
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

import convlint
from convlint.catalogue.store import read
from convlint.cli.help import shown
from convlint.cli.parser import USAGES
from convlint.cli.program import build_parser
from convlint.output.formats import FORMATS
from convlint.settings import keys
from convlint.settings.project import find_project

PAGES = sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    found = [
        (page.name, block)
        for page in PAGES
        for name, block in BLOCK.findall(page.read_text("utf-8"))
        if name == language
    ]
    assert found, f"no page shows {language}"
    return found


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """What is shown: the pages name no option by an older name."""
    own = {option for action in parser._actions if shown(action) for option in action.option_strings}
    nested = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return own.union(*(options_of(each) for choices in nested for each in choices.values()))


@pytest.mark.parametrize(("page", "block"), blocks("toml"))
def test_configurations_are_read(tmp_path: Path, page: str, block: str) -> None:
    file = (
        "pyproject.toml"
        if "[tool.convlint" in block.partition("#")[0] or "\n[tool." in block
        else "convlint.toml"
    )
    tomllib.loads(block)
    (tmp_path / file).write_text(block, encoding="utf-8")
    assert find_project(tmp_path, environment={}).models


@pytest.mark.parametrize(("page", "block"), blocks("yaml"))
def test_yaml_is_read(page: str, block: str) -> None:
    assert isinstance(yaml.safe_load(block), dict)


@pytest.mark.parametrize(("page", "block"), blocks("python"))
def test_python_is_parsed(page: str, block: str) -> None:
    ast.parse(block)


def test_options_of_convlint_exist() -> None:
    known = options_of(build_parser())
    commands = [
        line
        for page in PAGES
        for line in page.read_text("utf-8").replace("\\\n", " ").splitlines()
        if re.search(rf"convlint ({'|'.join(USAGES)})\b", line)
    ]
    used = {option for line in commands for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)}
    others = {"--format", "--edit-last", "--create-if-none", "--body-file", "--extra-index-url"}
    assert used - others <= known
    assert "--report" in used


def test_the_page_of_the_configuration_names_every_key_and_variable() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    for table in (keys.SETTINGS, keys.PROJECT, keys.MODEL):
        for name, key in table.items():
            assert f"`{name}`" in text
            if key.of_text is not None:
                assert f"`CONVLINT_{name.replace('-', '_').upper()}`" in text


def test_the_page_of_the_formats_names_every_format() -> None:
    text = (ROOT / "docs" / "ci.md").read_text("utf-8")
    assert all(f"| `{name}` |" in text for name in FORMATS)


def test_the_page_of_the_api_names_everything_public() -> None:
    shown = re.findall(
        r"^::: convlint\.[\w.]*?(\w+)$", (ROOT / "docs" / "python.md").read_text("utf-8"), re.M
    )
    modules = {"mil"}  # shown on the page about parity
    assert set(convlint.__all__) - {"__version__"} - modules <= set(shown)


def test_the_hook_is_the_one_of_the_docs_and_of_init() -> None:
    from convlint.cli.init import _HOOK

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    ((_, shown), *_) = [(page, block) for page, block in blocks("yaml") if "id: convlint" in block]
    for text in (shown, f"repos:\n{_HOOK}"):
        (given,) = yaml.safe_load(text)["repos"][0]["hooks"]
        assert given == {name: hook[name] for name in given}
        assert {"entry", "language", "types", "require_serial"} <= set(given)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING -" not in done.stderr
    page = (tmp_path / "site" / "python" / "index.html").read_text("utf-8")
    assert "Raise an" in page, "the docstrings are on the page"
    heads = re.findall(r"<h3[^>]*>\s*(?:<[^>]+>\s*)*(convlint[\w.]+)", page)
    assert {f"convlint.{name}" for name in set(convlint.__all__) - {"__version__", "mil"}} <= {*heads}
    for place, words in (
        ("", ("report.svg", "What next?")),
        ("rule-language", ("has_converter()", "accepted_arguments()")),
        ("changelog", ("Unreleased", "Keep a Changelog")),
    ):
        text = (tmp_path / "site" / place / "index.html").read_text("utf-8")
        assert all(word in text for word in words), place
        assert "--8&lt;--" not in text
    assert (tmp_path / "site" / "convlint.schema.json").is_file()
    catalogue = (tmp_path / "site" / "catalogue" / "index.html").read_text("utf-8")
    assert all(entry.name in catalogue for entry in read())
    for name in ("catalogue.js", "catalogue.css"):
        assert f"../assets/{name}" in catalogue
        assert (tmp_path / "site" / "assets" / name).is_file()


def test_the_picture_of_a_report_is_drawn_with_the_text_that_it_shows() -> None:
    """Every piece is as wide as its letters: one drawn for a longer text is spread apart."""
    drawing = (ROOT / "docs" / "report.svg").read_text(encoding="utf-8")
    pieces = [
        (float(length), html.unescape(words))
        for length, words in re.findall(r'textLength="([\d.]+)"[^>]*>([^<]+)</text>', drawing)
        if words.strip()
    ]
    assert len(pieces) > 50
    letter = min(length / len(words) for length, words in pieces)
    assert [words for length, words in pieces if abs(length - letter * len(words)) > 0.5] == []
    assert "site-packages" not in drawing
