"""axe (https://github.com/dequelabs/axe-core) finds nothing in the page, whatever is shown of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import reports
from browser import chromium, opened
from pictures import blocks, plan_of

from convlint.model.run import Outcome, Run
from convlint.output.html.page import render_html

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def complaints(page: Any) -> list[str]:
    """What axe says of the page as it is now."""
    found = page.evaluate("axe.run().then(found => JSON.stringify(found.violations))")
    return [
        f"{each['id']}: {each['help']}\n  {node['html'][:160]}\n  {node['failureSummary']}"
        for each in json.loads(found)
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(browser: Any, tmp_path: Path, scheme: str, width: int) -> None:
    outcomes = (
        Outcome("a", "a", None, reports.REPORT, plan=plan_of(blocks(6))),
        Outcome("b", "b", None, reports.CLEAN),
    )
    text = render_html(Run(outcomes, "."))
    with opened(browser, text, tmp_path, color_scheme=scheme, bypass_csp=True) as shown:
        page = shown.page
        page.set_viewport_size({"width": width, "height": 860})
        page.evaluate(AXE)
        assert complaints(page) == []
        page.get_by_role("button", name="Open every module").click()
        page.get_by_label("Find a module or an op", exact=True).fill("layer")
        page.locator(".op").first.dispatch_event("click")
        assert complaints(page) == [], "with an op chosen"
        page.get_by_label("Find a module or an op", exact=True).fill("")
        page.get_by_role("button", name="Show the ops as a table").click()
        assert complaints(page) == [], "with the table"
        for fold in page.locator("details").all():
            fold.evaluate("element => element.open = true")
        page.get_by_label("Model", exact=True).select_option("m1")
        assert complaints(page) == [], "of the second model"


def test_axe_would_find_something(browser: Any, tmp_path: Path) -> None:
    text = render_html(Run((Outcome("a", "a", None, reports.REPORT),), ".")).replace('lang="en"', "")
    with opened(browser, text, tmp_path, bypass_csp=True) as shown:
        shown.page.evaluate(AXE)
        assert any("lang" in complaint for complaint in complaints(shown.page))
