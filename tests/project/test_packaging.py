"""What is shipped, and what is loaded."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

PACKAGE = ROOT / "convlint"
HEAVY = ("torch", "coremltools", "rich", "networkx", "numpy")


def loaded_after(code: str) -> set[str]:
    """Heavy modules that a fresh Python has loaded after ``code``."""
    report = f"\nimport sys, json\nsys.stderr.write(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-c", code + report],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["check", "--help"],
        ["plan", "--help"],
        ["plan", "a:b", "--chip", "A99"],
        ["rule", "RULE"],
        ["rules", "list"],
        ["rules", "test", "--help"],
        ["rules", "new", "Not A Name"],
        ["baseline", "--help"],
        ["completion", "bash"],
        ["check", "--changed", "nothing.py"],
        ["rule", "nope"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_the_command_line_is_light(arguments: list[str]) -> None:
    code = json.loads(
        subprocess.run(
            [sys.executable, "-m", "convlint", "rules", "--format", "json"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    )["rules"][0]["code"]
    words = [code if word == "RULE" else word for word in arguments]
    run = f"""
from convlint.cli.program import main
try:
    main({words!r})
except SystemExit:
    pass
"""
    assert loaded_after(run) == set()


def test_importing_the_package_is_light() -> None:
    assert loaded_after("import convlint; convlint.__version__; dir(convlint); convlint.Report") == set()


def test_importing_the_pytest_plugin_is_light() -> None:
    assert loaded_after("import convlint.pytest_plugin") == set()


def test_the_plugin_loads_convlint_and_nothing_else_of_it() -> None:
    code = "import convlint.pytest_plugin, sys; print(sorted(m for m in sys.modules if 'convlint' in m))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['convlint', 'convlint.pytest_plugin', 'convlint.renderers']"


def test_the_installed_wheel_brings_the_plugin(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    (tmp_path / "tests").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--markers", "-W", "error", "--strict-markers"],
        cwd=tmp_path / "tests",
        env={"PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "@pytest.mark.convlint(**options)" in done.stdout, done


def test_public_names_stay_functions_when_their_modules_are_imported() -> None:
    imported = "from convlint.checking.check import Options; import convlint"
    code = f"{imported}; assert convlint.check.__name__ == 'check'"
    assert "torch" not in loaded_after(f"{code}; assert callable(convlint.check)")


def shipped(names: list[str], inside: str) -> set[str]:
    return {name.removeprefix(inside) for name in names if name.startswith(inside) and name.endswith(".toml")}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source distribution, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    return folder


def test_the_wheel_holds_the_rules(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        rules = {
            str(file.relative_to(ROOT / "rules")): file.read_bytes()
            for file in (ROOT / "rules").rglob("*.toml")
        }
        assert rules
        assert shipped(names, "convlint/_rules/") == set(rules)
        for name, content in rules.items():
            assert archive.read(f"convlint/_rules/{name}") == content
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"convlint"}
    folders = tuple(
        PACKAGE.joinpath(*each.split("/"))
        for each in ("coreml/data", "placement/data", "catalogue/data", "output/html/assets")
    )
    data = {str(file.relative_to(ROOT)) for folder in folders for file in folder.iterdir()}
    assert data <= set(names)
    assert "convlint/py.typed" in names
    of_a_checkout = ("convlint/tools/", "convlint/output/html/web/")
    assert not [name for name in names if name.startswith(of_a_checkout)]


def test_the_wheel_finds_its_rules(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    listed = [
        subprocess.run(
            [sys.executable, "-m", "convlint", "rules"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for folder in (tmp_path, ROOT)
    ]
    assert listed[0] == listed[1] != ""


def test_the_source_distribution_holds_what_a_build_needs(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "convlint/__init__.py"} <= names
    assert any(name.startswith("rules/") for name in names)


_DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml"}
"""Modules whose distribution has another name."""


def test_the_extra_dev_holds_what_the_tests_need() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {
        text.partition(">=")[0] for text in project["optional-dependencies"]["dev"] + project["dependencies"]
    }
    own = {"convlint", "conftest", "reports", "benchmarks", "examples"} | {
        file.stem for file in (ROOT / "tests").rglob("*.py")
    }
    needed = set()
    for file in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                needed |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                needed.add(node.module.partition(".")[0])
    missing = {_DISTRIBUTIONS.get(name, name) for name in needed - own - set(sys.stdlib_module_names)}
    missing -= named | {"numpy"}  # torch brings numpy
    assert not missing
