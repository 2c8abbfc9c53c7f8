"""A plan as text, Markdown and JSON, hostile names included, and the order in which it tells things."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import reports
from pictures import HOSTILE, SOURCE, plan_of

from convlint.model import Finding, Site
from convlint.model.placement import Advice, Blocker, Interval, Plan
from convlint.output.json import dumps
from convlint.output.order import shown_order, wins_of
from convlint.output.plan import plan_text
from convlint.output.plan_markdown import render_plan_markdown

LAYOUT = Advice(
    rule="CL227",
    name="transformer-layout",
    message="96 linear layers on channels-last tensors",
    confidence="documented",
    site=Site("nets.py", 4, "x = self.up(x)", "forward"),
    modules=("blocks.0.up", "blocks.1.up"),
    replacements=("the whole stream channels-first: convlint fix --for ane",),
)


@pytest.fixture
def hostile() -> Plan:
    plan = plan_of([f"{name.replace('.', '')}.b" for name in HOSTILE], 3, HOSTILE[0])
    site = Site(HOSTILE[1], 3, HOSTILE[3], HOSTILE[2])
    blockers = tuple(
        replace(each, reason=HOSTILE[1], site=site, op=HOSTILE[3], modules=(HOSTILE[2], "a|b"))
        for each in plan.blockers
    )
    advice = replace(LAYOUT, message=HOSTILE[3], site=site, modules=(HOSTILE[4],), replacements=HOSTILE)
    return replace(plan, blockers=blockers, advice=(advice,), notes=HOSTILE)


def test_a_terminal_is_not_steered_by_names(hostile: Plan) -> None:
    text = plan_text(hostile)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x00" not in text
    assert "right\\u202eleft␛[31m␀" in text
    assert HOSTILE[0] in text


def test_markdown_shows_names_as_text(hostile: Plan) -> None:
    text = render_plan_markdown(hostile)
    assert re.search(r"(?<!\\)<", text) is None, "every bracket is escaped"
    assert "\x1b" not in text
    rows = [line for line in text.splitlines() if line.startswith("| CL227")]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 5


def test_json_gives_names_as_they_are(hostile: Plan) -> None:
    read = json.loads(dumps(hostile.to_dict()))
    assert read["model"] == HOSTILE[0]
    assert read["advice"][0]["message"] == HOSTILE[3]
    assert read["blockers"][0]["modules"] == [HOSTILE[2], "a|b"]


def test_times_have_no_exponents() -> None:
    assert str(Interval(183.4, 267.2, 1401.0)) == "267 ms (180 to 1400)"
    assert str(Interval(0.000012, 0.00002, 0.5)) == "0.00002 ms (0.000012 to 0.5)"


def test_advice_names_the_command_that_follows_it() -> None:
    plan = replace(plan_of(["blocks.0"], 3), advice=(LAYOUT,))
    text = plan_text(plan)
    assert "advice CL227 transformer-layout: 96 linear layers on channels-last tensors" in text
    assert "help: the whole stream channels-first: convlint fix --for ane" in text
    assert "convlint fix --for ane |" in render_plan_markdown(plan)


def test_findings_stand_in_the_order_of_what_mending_them_would_win() -> None:
    (first, *_) = reports.FINDINGS
    sites = [Site("nets.py", line, "", "forward") for line in (1, 2, 3)]
    error = replace(first, severity="error", site=sites[0])
    found: list[Finding] = [replace(first, severity="warning", site=site) for site in sites[1:]]
    blockers = tuple(
        Blocker(
            "conv",
            "",
            (0,),
            "",
            "reported",
            SOURCE,
            Interval(0, win, 9),
            (1, 1),
            (0, 0),
            first.rule.code,
            site,
        )
        for site, win in zip(sites, (0.0, 0.1, 0.7), strict=True)
    )
    wins = wins_of(replace(plan_of(["a"]), blockers=blockers))
    assert [wins[first.rule.code, site].mid for site in sites[1:]] == [0.1, 0.7]
    assert shown_order([*found, error], wins) == [error, found[1], found[0]]
    assert shown_order([*found, error], {}) == [error, *found]
