"""The names of rules: titles without braces, codes of three and four digits, names of before a split."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Convlint
from reports import FINDINGS, REPORT

from convlint.checking.baseline import Baseline
from convlint.model.run import Outcome, Run
from convlint.output.formats import RENDERERS
from convlint.output.rules import rule_markdown
from convlint.rules.rulebook import load_rulebook
from convlint.rules.words import answers

RULEBOOK = load_rulebook()
SPLIT = {"CL198": "elementwise-function", "CL199": "op-to-write-out"}
"""What were two rules of 75 ops, and are one rule a function."""


def test_titles_are_plain_words_each_of_its_own() -> None:
    titles = [rule.title for rule in RULEBOOK]
    assert len(set(titles)) == len(titles)
    assert not [
        title for title in titles if set("{}`") & set(title) or title.endswith(".") or "aten." in title
    ]


@pytest.mark.parametrize("code", SPLIT)
def test_an_old_code_or_name_still_selects_all_that_it_was(code: str) -> None:
    for word in (code, code.lower(), SPLIT[code]):
        chosen = RULEBOOK.select((word,))
        assert len(chosen) == {"CL198": 27, "CL199": 37}[code]
        assert all(rule.aliases == (code, SPLIT[code]) for rule in chosen)
        assert word in RULEBOOK or word.lower() != word
    assert len(RULEBOOK.select((), (code,))) == len(RULEBOOK) - len(RULEBOOK.select((code,)))


@pytest.mark.parametrize(
    ("word", "code", "meant"),
    [
        ("CL110", "CL110", True),
        ("CL110", "CL1101", False),  # a whole code is no beginning of a longer one
        ("CL1101", "CL1101", True),
        ("CL1101", "CL110", False),
        ("CL11", "CL110", True),
        ("CL11", "CL1101", False),  # nor are two digits: CL11 named ten rules before there were four
        ("CL1", "CL1101", True),
        ("CL", "CL1101", True),
        ("C", "CL1101", False),
        ("support", "CL1101", True),
        ("ACME1", "ACME101", True),
        ("CL2", "CL1101", False),
    ],
)
def test_what_a_word_means(word: str, code: str, meant: bool) -> None:
    assert answers(word, code, "name", "support") is meant
    assert answers(word.lower(), code, "name", "support") is meant


def test_the_pages_of_an_old_code_are_named(convlint: Convlint) -> None:
    ran = convlint("rule", "CL198")
    assert ran.code == 0
    assert "CL1100  error  logaddexp" in ran.out
    assert len(ran.out.splitlines()) == 27 + 2
    assert len(json.loads(convlint("rule", "CL198", "--format", "json").out)["rules"]) == 27
    assert convlint("rule", "CL1139").out.startswith("# CL1139 median: torch.median has no converter\n")
    why = convlint("check", "torch.nn:ReLU", "--input", "1x4", "--no-trial", "--why", "CL198")
    assert (why.code, "has become 27 rules" in why.err) == (2, True)


def test_an_old_code_in_a_comment_or_a_baseline_still_silences(convlint: Convlint, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, x):\n"
        "        y = torch.erfc(x)  # convlint: ignore[CL198]\n"
        "        return torch.cummax(y, 1)[0]  # convlint: ignore[op-to-write-out] known\n",
        encoding="utf-8",
    )
    ran = convlint("check", "net.py:Net", "--input", "4x6", "--no-trial", "--format", "json", "--no-cache")
    told = json.loads(ran.out)
    assert {each["finding"]["code"] for each in told["suppressed"]} == {"CL1113", "CL1127"}
    assert [ignore["unused"] for ignore in told["ignores"]] == [[], []]
    finding = replace(FINDINGS[1], rule=replace(FINDINGS[1].rule, code="CL1104", aliases=("CL104", "hypot")))
    report = replace(REPORT, findings=(finding,))
    known = {("CL104", "models/unet.py", "encoder.layers.*.attn"): 1}
    left, stale = Baseline({REPORT.model: known}).apply(report, ".", "error")
    assert (left.findings, stale) == ((), [])


def test_lists_and_code_scanning_show_titles(convlint: Convlint) -> None:
    run = Run((Outcome("unet", "models/unet.py:UNet", ".", replace(REPORT, findings=FINDINGS[1:2])),), ".")
    (log,) = json.loads(RENDERERS["sarif"](run))["runs"]
    rule = log["tool"]["driver"]["rules"][0]
    assert rule["shortDescription"]["text"] == "hypot has no converter"
    assert rule["help"]["markdown"].startswith("# CL104 hypot: hypot has no")
    assert "{" not in convlint("rules", "list").out


def test_a_terminal_gets_a_page_and_a_pipe_gets_markdown(convlint: Convlint) -> None:
    plain = convlint("rule", "CL104").out
    heads = [line for line in plain.splitlines() if line.startswith("## ")]
    assert heads[:3] == ["## Write instead", "## Why", "## When it is reported"], "what to do comes first"
    assert plain.splitlines()[2].startswith("**coremltools refuses it: the model does not convert.**")
    assert "A finding says: `aten.hypot.default has no converter`" in plain
    shown = convlint("rule", "CL104", "--color", "always", COLUMNS="80").out
    assert "##" not in shown
    assert "```" not in shown
    assert re.search(r"^\x1b\[[\d;]*mWrite instead\x1b\[0m", shown, re.MULTILINE), "a heading, at the left"
    assert re.search(r"\x1b\[[\d;]*mclass\x1b\[0m", shown), "code is highlighted"
    assert max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in shown.splitlines()) <= 80
    assert convlint("rule", "CL104", "--color", "always", "--format", "markdown").out == plain


def test_no_rule_opens_with_a_template() -> None:
    for rule in load_rulebook():
        above = rule_markdown(rule).partition("## Examples")[0].partition("- op ")[0]
        said = [line for line in above.splitlines() if line.startswith("A finding says")]
        assert not any("{op}" in line for line in said), rule.code
        first = above.splitlines()[2]
        assert re.match(r"\*\*[A-Z]?[^*]+\.\*\* \((error|warning|note), ", first), (rule.code, first)
