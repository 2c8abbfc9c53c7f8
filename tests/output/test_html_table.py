"""The table of ops, the panel of an op, permalinks, copying and keys of the page, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import reports
from browser import Opened, chromium, opened
from pictures import blocks, large_plan, plan_of

from convlint.cli.program import main
from convlint.model import Report
from convlint.model.placement import Plan
from convlint.model.run import Outcome, Run
from convlint.output.html.page import render_html

PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def page_of(*results: Report | Plan) -> str:
    outcomes = [
        Outcome(each.model, each.model, None, each)
        if isinstance(each, Report)
        else Outcome(each.model, each.model, None, None, plan=each)
        for each in results
    ]
    return render_html(Run(tuple(outcomes), "."))


def to_table(shown: Opened) -> None:
    shown.page.get_by_role("button", name="Show the ops as a table").click()


def column(shown: Opened, number: int) -> list[str]:
    return [each.strip() for each in shown.page.locator(f"tbody td:nth-child({number})").all_text_contents()]


def test_the_table_sorts_and_filters(browser: Any, tmp_path: Path) -> None:
    plan = plan_of(blocks(6))
    with opened(browser, page_of(plan), tmp_path) as shown:
        page = shown.page
        to_table(shown)
        assert page.locator("thead th").all_text_contents() == [
            "#", "op", "module", "line", "shape", "unit", "cause", "ms",
        ]  # fmt: skip
        assert len(column(shown, 1)) == len(plan.ops)
        assert not page.locator(".stage").is_visible()
        page.get_by_role("button", name="ms", exact=True).click()
        times = [float(each) for each in column(shown, 8)]
        assert times == sorted(times, reverse=True)
        assert page.locator("th[aria-sort=descending]").inner_text() == "ms"
        page.get_by_role("button", name="op", exact=True).click()
        assert column(shown, 2) == sorted(op.kind for op in plan.ops)
        page.get_by_label("Filter the ops").fill("layers.3 norm")
        assert set(column(shown, 2)) == {"layer_norm"}
        assert {each.split(".")[2] for each in column(shown, 3)} == {"3"}
        page.get_by_label("Filter the ops").fill("")
        page.get_by_label("Unit").select_option("CPU")
        off = [op for op in plan.ops if op.unit == "CPU"]
        assert len(column(shown, 1)) == len(off)
        assert f"{len(off)} of {len(plan.ops)} ops" in page.get_by_role("status").inner_text()
        page.get_by_label("only with findings").check()
        assert column(shown, 1) == []


def test_only_ops_with_findings(browser: Any, tmp_path: Path) -> None:
    hypot = next(each for each in reports.FINDINGS if each.rule.code == "CL104")
    report = replace(reports.REPORT, findings=(replace(hypot, calls=hypot.calls[:2]),))
    with opened(browser, page_of(report), tmp_path) as shown:
        to_table(shown)
        everything = len(column(shown, 1))
        shown.page.get_by_label("only with findings").check()
        assert 0 < len(column(shown, 1)) < everything
        assert shown.page.locator("tbody tr").count() == shown.page.locator("tbody tr:has(.badge)").count()
        badge = shown.page.locator("tbody .badge", has_text="CL104").first
        badge.click()
        assert shown.page.locator("article#CL104").evaluate("element => element.matches(':target')")


def test_a_row_opens_the_panel_of_its_op(browser: Any, tmp_path: Path) -> None:
    plan = plan_of(blocks(6))
    ops = tuple(replace(op, flops=2_000_000, weight_bytes=1500) for op in plan.ops)
    with opened(browser, page_of(replace(plan, ops=ops)), tmp_path) as shown:
        page = shown.page
        to_table(shown)
        page.locator("tbody tr").nth(4).click()
        panel = page.locator(".details")
        text = panel.inner_text()
        assert "layer_norm aten.layer_norm.default" in text
        assert "2 MFLOP" in text
        assert "1.5 kB" in text
        assert page.evaluate("location.hash") == "#op-4"
        panel.get_by_role("link", name="conv", exact=True).click()
        assert page.evaluate("location.hash") == "#op-3"
        assert page.locator("tr.chosen td").first.inner_text() == "3"
        panel.get_by_role("button", name="Close").click()
        assert not panel.is_visible()
        assert page.evaluate("location.hash") == ""
        page.locator("tbody tr").nth(1).click()
        assert panel.is_visible()
        page.keyboard.press("Escape")
        assert not panel.is_visible()


NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, stride=2)
        self.norm = nn.BatchNorm2d(32)

    def forward(self, x):
        return self.norm(self.stem(x)).flatten(1)
"""


@pytest.mark.parametrize("trial", ["none", "auto"])
def test_the_panel_has_arguments_and_weights(browser: Any, project: Path, tmp_path: Path, trial: str) -> None:
    (project / "nets.py").write_text(NET, encoding="utf-8")
    words = ["check", "nets.py:Net", "--input", "1x3x32x32", "--html", "page.html", "--quiet"]
    assert main([*words, "--no-trial"] if trial == "none" else words) == 0
    with opened(browser, (project / "page.html").read_text(encoding="utf-8"), tmp_path) as shown:
        shown.page.keyboard.press("t")
        shown.page.locator("tbody tr", has_text="conv").first.click()
        text = shown.page.locator(".details").inner_text()
        assert "stride=[2, 2]" in text, "of the convolution, also where a norm is folded into it"
        assert "weight float32[32x3x3x3]" in text
        assert "FLOP" in text
        assert "nets.py:" in text


def test_permalinks_lead_to_ops_and_findings(browser: Any, tmp_path: Path) -> None:
    text = page_of(reports.REPORT, plan_of(blocks(6)))
    with opened(browser, text, tmp_path) as shown:
        page = shown.page

        def go(fragment: str) -> None:
            page.goto("about:blank")
            page.goto((tmp_path / "report.html").as_uri() + fragment)
            page.wait_for_selector("html[data-painted]", state="attached")

        go("#CL104")
        finding = page.locator("article#CL104")
        assert finding.evaluate("element => element.matches(':target') && element === document.activeElement")
        assert "hypot" in finding.inner_text()
        go("#m1-op-4")
        assert page.locator("section.model:visible").get_attribute("id") == "m1"
        assert "layer_norm" in shown.chosen().get_attribute("aria-label")
        page.wait_for_timeout(350)
        assert "layer_norm" in page.locator(".details:visible").inner_text()
        page.evaluate("location.hash = '#op-0'")
        page.wait_for_timeout(400)
        assert page.locator("section.model:visible").get_attribute("id") == "m0"
        go("#op-99999")
        assert page.locator("section.model:visible").get_attribute("id") == "m0"
        go("#nothing")
        assert page.locator(".details:visible").count() == 0
        shown.requests[:] = shown.requests[:1]


def test_findings_of_one_rule_have_permalinks_of_their_own(browser: Any, tmp_path: Path) -> None:
    text = page_of(reports.REPORT)
    with opened(browser, text, tmp_path) as shown:
        links = [each.get_attribute("href") for each in shown.page.locator("article.finding h3 > a").all()]
        assert len(set(links)) == len(links) == len(reports.FINDINGS)
        for link in links:
            assert shown.page.locator(f"article{link}").count() == 1


def test_what_to_write_instead_is_copied(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of(reports.REPORT), tmp_path) as shown:
        page = shown.page
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        finding = page.locator("article#CL104")
        finding.get_by_role("button", name="Copy what to write instead").first.click()
        page.wait_for_timeout(200)
        assert page.evaluate("navigator.clipboard.readText()") == "return torch.sqrt(x * x + y * y)"
        assert "Copied" in finding.inner_text()


def test_keys_work_before_anything_is_clicked(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of(plan_of(blocks(6))), tmp_path) as shown:
        page = shown.page
        page.keyboard.press("b")
        assert "blocking op" in shown.chosen().get_attribute("aria-label")
        page.keyboard.press("Escape")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("ArrowDown")
        assert shown.chosen().count() == 1
        page.keyboard.press("t")
        assert page.locator("tbody").is_visible()
        page.keyboard.press("/")
        page.keyboard.type("tbft")
        assert page.get_by_label("Filter the ops").input_value() == "tbft", "letters of a field are its own"
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("t")
        assert page.locator(".stage").is_visible()


def test_thousands_of_rows_come_as_they_are_scrolled_to(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of(large_plan(6000)), tmp_path) as shown:
        page = shown.page
        started = page.evaluate("performance.now()")
        to_table(shown)
        assert page.evaluate("performance.now()") - started < 2000
        assert page.locator("tbody tr").count() < 1000
        page.locator(".rows").evaluate("element => element.scrollTop = element.scrollHeight")
        page.wait_for_timeout(300)
        assert page.locator("tbody tr").count() > 150
        page.evaluate("location.hash = '#op-5990'")
        page.wait_for_timeout(300)
        assert page.locator("tr.chosen td").first.inner_text() == "5990"


def test_a_phone_shows_verdict_and_findings_first(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of(reports.REPORT), tmp_path) as shown:
        page = shown.page
        page.set_viewport_size(PHONE)
        tops = [
            page.locator(place).first.bounding_box()["y"]
            for place in (".verdict", "article.finding", ".stage", ".made")
        ]
        assert tops == sorted(tops)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        page.get_by_role("link", name="To the picture").click()
        page.wait_for_timeout(200)
        assert page.locator(".stage").bounding_box()["y"] < PHONE["height"]


def test_a_forecast_of_what_does_not_convert_says_when_it_holds(browser: Any, tmp_path: Path) -> None:
    plan = plan_of(blocks(2))
    assert reports.REPORT.convertible == "no"
    outcome = Outcome("m", "m", None, reports.REPORT, plan=plan)
    with opened(browser, render_html(Run((outcome,), ".")), tmp_path) as shown:
        head = shown.page.locator(".shares h2").inner_text()
        repaired = reports.REPORT.repair is not None and reports.REPORT.repair.converts
        assert head == "Where it would run " + ("after the changes" if repaired else "if all of it converted")
    with opened(browser, page_of(plan), tmp_path) as shown:
        assert shown.page.locator(".shares h2").inner_text() == "Where it would run"
