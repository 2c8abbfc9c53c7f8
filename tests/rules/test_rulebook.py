"""The rulebook: finding, selecting, and loading all files with all their mistakes at once."""

from __future__ import annotations

import pickle
import shutil
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from convlint.errors import RuleError, UsageError
from convlint.model import Rule
from convlint.rules.parts import example_problems
from convlint.rules.rule import CATEGORIES
from convlint.rules.rulebook import Rulebook, load_rulebook, shipped_folder
from convlint.rules.subjects import NAMES, argument_name


@pytest.fixture(scope="module")
def book() -> Rulebook:
    return load_rulebook()


def test_a_rule_is_found_by_code_or_name_in_any_case(book: Rulebook) -> None:
    assert book.find("CL104") is book.find("cl104") is book.find("hypot") is book.find("HYPOT")
    assert "hypot" in book
    assert "CL999" not in book
    assert len(book) == len(list(book)) > 20


def test_an_unknown_rule_is_told_with_the_nearest(book: Rulebook) -> None:
    with pytest.raises(UsageError, match=r"there is no rule 'hypto'\. Did you mean hypot"):
        book.find("hypto")


def codes(book: Rulebook) -> set[str]:
    return {rule.code for rule in book}


def test_rules_are_selected_by_code_prefix_name_and_category(book: Rulebook) -> None:
    assert codes(book.select(["CL104", "diff"])) == {"CL102", "CL104"}
    assert {rule.category for rule in book.select(["CL1"])} == {"support"}
    assert codes(book.select(["ane"])) == codes(book.select(["CL2"]))
    assert codes(book.select([], ["CL1"])) == codes(book) - codes(book.select(["CL1"]))
    assert codes(book.select(["support"], ["hypot"])) == codes(book.select(["CL1"])) - {"CL104"}
    assert codes(book.select(["CL"])) == codes(book)
    assert codes(book.select(list(CATEGORIES))) == codes(book)


def test_an_unknown_word_selects_nothing_and_says_so(book: Rulebook) -> None:
    for words in (["hypto"], ["CL999"], ["C"], [""], ["*"]):
        with pytest.raises(UsageError, match="selects no rule"):
            book.select(words)
        with pytest.raises(UsageError, match="selects no rule"):
            book.select([], words)


def test_the_rulebook_is_plain_data(book: Rulebook) -> None:
    assert pickle.loads(pickle.dumps(book)) == book


def test_a_users_rules_join_the_shipped_ones(book: Rulebook, tmp_path: Path) -> None:
    own = tmp_path / "ACME104-our-hypot.toml"
    text = Path(shipped_folder(), "support", "CL104-hypot.toml").read_text()
    own.write_text(text.replace("CL104", "ACME104").replace('name = "hypot"', 'name = "our-hypot"'))
    for place in (tmp_path, own):
        assert codes(load_rulebook([place])) == codes(book) | {"ACME104"}


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    shutil.copytree(shipped_folder(), tmp_path / "rules")
    support = tmp_path / "rules" / "support"
    hypot = support / "CL104-hypot.toml"
    (support / "CL199-copy.toml").write_text(hypot.read_text().replace("CL104", "CL199"))
    (support / "CL198-hypot.toml").write_text(hypot.read_text().replace("CL104", "CL198"))
    (support / "CL197-broken.toml").write_text("code = ")
    with pytest.raises(RuleError) as caught:
        load_rulebook([tmp_path / "nowhere"], shipped=tmp_path / "rules")
    text = str(caught.value)
    assert "rules/support/CL199-copy.toml: code: the file must be named CL199-hypot.toml" in text
    assert "rules/support/CL197-broken.toml: not TOML" in text
    assert "name: hypot is already the name of rules/support/CL104-hypot.toml" in text
    assert "nowhere: there is no such file or folder" in text


def test_an_empty_folder_of_shipped_rules_is_told(tmp_path: Path) -> None:
    with pytest.raises(RuleError, match="is convlint installed whole"):
        load_rulebook(shipped=tmp_path)


def test_every_shipped_category_is_there_and_every_example_is_python(book: Rulebook) -> None:
    assert {rule.category for rule in book} == set(CATEGORIES)
    assert [problem for rule in book for problem in example_problems(rule)] == []


def test_conditions_of_shipped_rules_name_arguments_that_their_ops_have(book: Rulebook) -> None:
    torch = pytest.importorskip("torch")
    for rule in book:
        for block in rule.matches:
            if block.subject != "op" or "*" in block.names:
                continue
            known = {argument_name(name) for name in _arguments(torch, block.names)}
            assert known, f"{rule.path}: no op of torch is named {block.names}"
            for condition in block.where:
                assert condition.names <= known.union(NAMES["op"]), f"{rule.path}: {condition}"


def _arguments(torch: Any, patterns: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for schema in torch._C._jit_get_all_schemas():
        op = f"{schema.name.replace('::', '.')}.{schema.overload_name or 'default'}"
        if any(fnmatchcase(op, pattern) for pattern in patterns):
            found |= {argument.name for argument in schema.arguments}
    return found


def test_severity_and_confidence_of_shipped_rules_fit_their_category(book: Rulebook) -> None:
    def must_be_error(rule: Rule) -> bool:
        # An odd output is left out and the rest judged, so it only costs its place.
        return rule.category == "capture" and rule.name != "unsupported-output"

    assert all(rule.severity == "error" for rule in book if must_be_error(rule))
    assert all(rule.severity != "error" for rule in book if rule.category == "ane")
