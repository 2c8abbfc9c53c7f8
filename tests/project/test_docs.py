"""The pages of the rules: generated, complete, and as old as the rules themselves."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from conftest import ROOT

from convlint.rules.rulebook import Rulebook, load_rulebook
from convlint.tools.docs import FOLDER, SCHEMA, bugs, index, pages, replacements, schema_text, stale, write

RULEBOOK = load_rulebook()


def test_the_pages_are_up_to_date() -> None:
    assert FOLDER == ROOT / "docs" / "rules"
    assert stale(RULEBOOK) == [], "run `make docs`"


def test_the_schema_of_the_configuration_is_up_to_date() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == schema_text(), "run `make docs`"


def test_every_rule_has_a_page_that_the_index_links() -> None:
    links = set(re.findall(r"\]\(([^)./]+\.md)\)", index(RULEBOOK)))
    assert links == {f"{rule.code}-{rule.name}.md" for rule in RULEBOOK}
    assert links | {"index.md"} == set(pages(RULEBOOK))


def test_the_list_of_wrong_conversions_is_made_of_the_rules_that_say_so() -> None:
    page = bugs(RULEBOOK)
    wrong = {rule.code for rule in RULEBOOK if rule.differs == "float32"}
    assert set(re.findall(r"\[(CL\d+)\]", page)) == wrong
    row = next(line for line in page.splitlines() if "[CL320]" in line)
    assert "`aten.add.Tensor`" in row
    assert "coremltools <9.1.dev0" in row


def test_a_page_says_what_its_rule_says() -> None:
    for rule in RULEBOOK:
        page = pages(RULEBOOK)[f"{rule.code}-{rule.name}.md"]
        assert page.startswith(f"# {rule.code} {rule.name}: {rule.title}\n")
        said = re.search(r"^A finding says: `(.*)`$", page, re.MULTILINE)
        words = [
            part for part in re.split(r"(?<!\{)\{[^{}]*\}(?!\})", rule.message) if re.search(r"\w{3}", part)
        ]
        assert (said is not None) == bool(words and rule.matches), rule.code
        assert all(part.replace("{{", "{").replace("}}", "}") in page for part in words), rule.code
        assert rule.why in page
        assert all(source in page for source in rule.sources)
        assert all(example.code.strip() in page for example in (*rule.bad, *rule.good))
        assert all(replacement.title in page for replacement in rule.replacements)


def test_writing_brings_the_folder_up_to_date_and_says_what_changed(tmp_path: Path) -> None:
    assert set(write(RULEBOOK, tmp_path)) == set(pages(RULEBOOK))
    assert write(RULEBOOK, tmp_path) == []
    first = RULEBOOK.rules[0]
    changed = Rulebook((replace(first, why="Otherwise."), *RULEBOOK.rules[2:]))
    gone = RULEBOOK.rules[1]
    names = write(changed, tmp_path)
    assert names == sorted([f"{first.code}-{first.name}.md", f"{gone.code}-{gone.name}.md", "index.md"])
    assert "Otherwise." in (tmp_path / names[0]).read_text(encoding="utf-8")
    assert not (tmp_path / f"{gone.code}-{gone.name}.md").exists()


def test_every_replacement_with_code_is_a_line_that_leads_to_its_rule() -> None:
    lines = replacements(RULEBOOK).splitlines()
    for rule in RULEBOOK:
        coded = [each for each in rule.replacements if each.kind == "rewrite" and each.before]
        found = [line for line in lines if f"[{rule.code} {rule.name}](rules/" in line]
        assert len(found) == len(coded), rule.code
    row = next(line for line in lines if "[CL104 hypot]" in line)
    assert row.startswith("| `torch.hypot(x, y)` | `torch.sqrt(x * x + y * y)` | may differ")
    assert all(re.sub(r"\\\|", "", line).count("|") == 5 for line in lines if line.startswith("| "))
