"""``convlint rules test`` and ``rules new``, and ``doctor``, through the real command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ROOT, Convlint, Ran

from convlint.errors import UsageError
from convlint.rules.rule import CATEGORIES, load_rule
from convlint.rules.rulebook import load_rulebook
from convlint.rules.scaffold import new_rule

LIAR = """
code = "MY100"
name = "liar"
severity = "error"
message = "{op}"
confidence = "measured"
sources = ["a test"]
why = "a test"
[[match]]
op = ["aten.relu.default"]
[[bad]]
inputs = [[2]]
code = '''
class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x)  # <- MY100
'''
[[good]]
inputs = [[2]]
code = '''
class Model(nn.Module):
    def forward(self, x):
        return torch.relu(x)
'''
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with one rule of its own that is wrong, found through its configuration."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "MY100-liar.toml").write_text(LIAR, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text('[tool.convlint]\nrule-paths = ["own"]\n', encoding="utf-8")
    return tmp_path


def test_rules_test_tells_what_is_wrong_with_a_rule_of_ones_own(convlint: Convlint, folder: Path) -> None:
    ran = convlint("rules", "test", "MY100", "CL104")
    assert ran.code == 1
    assert ran.err == ""
    lines = ran.out.splitlines()
    assert lines[0].split() == "CL104 hypot passed 1 bad, 1 good, 1 replace".split()
    assert lines[1].split() == "MY100 liar FAILED 1 bad, 1 good".split()
    assert "    [[bad]] 1: STALE" in lines
    assert "    [[good]] 1: FAILED" in lines
    assert "        the rule reports line 3: aten.relu.default" in lines
    assert lines[-1].startswith("2 rules: 1 passed, 1 failed (coremltools ")


def test_rules_test_as_json(convlint: Convlint, folder: Path) -> None:
    ran = convlint("rules", "--format", "json", "test", "liar")
    document = json.loads(ran.out)
    assert (ran.code, document["schema_version"]) == (1, 1)
    (rule,) = document["rules"]
    assert (rule["code"], rule["outcome"]) == ("MY100", "failed")
    assert [proof["outcome"] for proof in rule["proofs"]] == ["stale", "failed"]


def test_an_unknown_rule_is_told_with_the_nearest(convlint: Convlint) -> None:
    ran = convlint("rules", "test", "hypott")
    assert (ran.code, ran.out) == (2, "")
    assert "Did you mean hypot?" in ran.err


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_new_rule_of_any_category_is_valid(category: str, tmp_path: Path) -> None:
    path = new_rule("my-own", category, tmp_path, tmp_path / "shipped")
    rule = load_rule(path)
    assert (rule.category, rule.name, rule.code[:2]) == (category, "my-own", "MY")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert str(tmp_path) not in text


@pytest.mark.timeout(600)
def test_the_examples_of_new_rules_hold(convlint: Convlint, tmp_path: Path) -> None:
    for category in CATEGORIES:
        ran = convlint("rules", "new", f"my-{category}", "--category", category, "--path", "own")
        assert ran.code == 0
    proved = convlint("rules", "test", "MY", "--rule-path", "own", timeout=600)
    assert proved.code == 0, proved.out
    assert len([line for line in proved.out.splitlines() if line.startswith("MY")]) == len(CATEGORIES)


def new(convlint: Convlint, *arguments: str) -> Ran:
    return convlint("rules", "new", *arguments)


def test_a_new_rule_goes_where_the_project_keeps_its_rules(convlint: Convlint, folder: Path) -> None:
    ran = new(convlint, "another")
    assert ran.code == 0
    written = Path(ran.out.strip())
    assert (written.name, written.parent.name) == ("MY101-another.toml", "own")
    assert ran.err == "prove its examples with: convlint rules test MY101\n"


def test_a_new_rule_without_a_project_says_how_it_is_found(convlint: Convlint, tmp_path: Path) -> None:
    ran = new(convlint, "mine", "--category", "ane")
    assert (tmp_path / "rules" / "MY200-mine.toml").is_file()
    assert ran.err == "prove its examples with: convlint rules test MY200 --rule-path rules\n"


def test_a_shipped_rule_goes_into_its_category_under_the_next_free_code(tmp_path: Path) -> None:
    shipped = tmp_path / "rules"
    first = new_rule("one", "ane", shipped, shipped)
    assert first == shipped / "ane" / "CL200-one.toml"
    assert new_rule("two", "ane", shipped, shipped, taken=["CL201"]).name == "CL202-two.toml"
    assert len(load_rulebook(shipped=shipped)) == 2
    full = [f"CL2{number:02d}" for number in range(100)]
    third = new_rule("three", "ane", shipped, shipped, taken=full)
    assert third.name == "CL2100-three.toml"
    assert [rule.category for rule in load_rulebook(shipped=shipped)] == ["ane"] * 3


@pytest.mark.parametrize(
    ("name", "category", "says"),
    [
        ("Not A Name", "support", "cannot be the name of a rule"),
        ("hypot", "support", "there is a rule hypot already"),
        ("fine", "suport", "Did you mean support?"),
    ],
)
def test_a_new_rule_that_cannot_be_is_refused(
    convlint: Convlint, tmp_path: Path, name: str, category: str, says: str
) -> None:
    ran = new(convlint, name, "--category", category)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert not list(tmp_path.rglob("*.toml"))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = new_rule("one", "support", tmp_path, tmp_path / "shipped")
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="there is a rule one already"):
        new_rule("one", "support", tmp_path, tmp_path / "shipped")
    assert new_rule("two", "support", tmp_path, tmp_path / "shipped").name == "MY101-two.toml"
    assert path.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_written_is_told(convlint: Convlint, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    ran = new(convlint, "mine", "--path", "file/below")
    assert ran.code == 2
    assert "cannot write file/below/MY100-mine.toml" in ran.err


def test_doctor_tells_what_the_rules_say_of_the_versions(convlint: Convlint, tmp_path: Path) -> None:
    package = tmp_path / "old" / "coremltools-9.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Name: coremltools\nVersion: 9.0\n", encoding="utf-8")
    numpy = tmp_path / "old" / "numpy-2.4.1.dist-info"
    numpy.mkdir()
    (numpy / "METADATA").write_text("Name: numpy\nVersion: 2.4.1\n", encoding="utf-8")
    paths = f"{tmp_path / 'old'}:{ROOT}"
    ran = convlint("doctor", "--format", "json", PYTHONPATH=paths)
    findings = {finding["code"]: finding for finding in json.loads(ran.out)["findings"]}
    assert findings["CL501"]["message"].startswith(
        "numpy 2.4.1 breaks the TorchScript frontend of coremltools 9.0"
    )
    assert findings["CL501"]["severity"] == "warning"
    assert "warning CL501 numpy-too-new: numpy 2.4.1" in convlint("doctor", PYTHONPATH=paths).out
