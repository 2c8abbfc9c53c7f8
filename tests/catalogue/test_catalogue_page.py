"""The page of the catalogue in a real browser: searched, sorted, drawn, linked; by mouse, key and thumb."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Opened, chromium, opened
from conftest import ROOT
from pictures import HOSTILE
from some_entries import catalogue_of, entry, places, refused

from convlint.catalogue.entry import Entry
from convlint.tools.catalogue_page import MARK, content, on_page_content

__all__ = ["catalogue_of"]

ASSETS = ROOT / "docs" / "assets"
ENTRIES = (
    entry("acme/quick", parameters=2_000_000, gflops=0.5, places=places(0.4)),
    entry("acme/large", parameters=90_000_000, gflops=40.0, places=places(9.0)),
    entry("acme/finder", task="detection", **refused("source")),
    entry("other/finder two", task="detection", **refused()),
    entry("other/gone", unbuilt="ImportError: no module named gone", doors=(), places=(), parameters=0),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def page_of(entries: tuple[Entry, ...] = ENTRIES, scheme: str = "default") -> str:
    """The page as the site has it, with its script and style inside, and of the theme the colours alone."""
    script = (ASSETS / "catalogue.js").read_text(encoding="utf-8")
    style = (ASSETS / "catalogue.css").read_text(encoding="utf-8")
    body = content(entries)
    for reference, inside in (
        ('<link rel="stylesheet" href="../assets/catalogue.css">', f"<style>{style}</style>"),
        ('<script src="../assets/catalogue.js"></script>', f"<script>{script}</script>"),
    ):
        assert reference in body
        body = body.replace(reference, inside)
    theme = "--md-default-fg-color: #111; --md-default-bg-color: #fff"
    viewport = '<meta name="viewport" content="width=device-width">'
    return (
        f"<!DOCTYPE html><meta charset=utf-8>{viewport}<style>body {{ {theme} }}</style>"
        f'<body data-md-color-scheme="{scheme}">{body}'
    )


def names(shown: Opened) -> list[str]:
    return [str(name) for name in shown.page.locator("tbody th a").all_text_contents()]


def test_it_is_searched_filtered_and_sorted(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of(), tmp_path) as shown:
        page = shown.page
        assert names(shown) == [each.name for each in sorted(ENTRIES, key=lambda each: each.name)]
        page.get_by_role("searchbox").fill("FIND other:")
        assert names(shown) == ["other/finder two"]
        assert page.get_by_role("status").inner_text() == "1 of 5 architectures"
        page.get_by_role("searchbox").fill("")
        page.get_by_label("Task").select_option("detection")
        assert names(shown) == ["acme/finder", "other/finder two"]
        page.get_by_label("does not convert").uncheck()
        assert names(shown) == ["acme/finder"]
        page.get_by_label("does not convert").check()
        page.get_by_label("Task").select_option("")
        page.get_by_label("Source").select_option("acme")
        by_latency = page.get_by_role("button", name="ms on A17 Pro")
        by_latency.press("Enter")
        assert names(shown) == ["acme/quick", "acme/finder", "acme/large"]
        assert page.locator("th.latency").first.get_attribute("aria-sort") == "ascending"
        page.keyboard.press("Enter")  # the heading has kept the focus
        assert names(shown) == ["acme/large", "acme/finder", "acme/quick"]
        assert page.locator("tbody td.latency").first.inner_text() == "9 (4.5 to 18)"
        page.get_by_label("Chip").select_option("A15")
        assert page.locator("tbody td.latency").first.inner_text() == "18 (9 to 36)"


def test_the_drawing_has_a_point_for_each_and_says_which_has_no_forecast(
    browser: Any, tmp_path: Path
) -> None:
    with opened(browser, page_of(), tmp_path) as shown:
        page = shown.page
        drawing = page.locator(".drawing svg")
        assert [drawing.locator(f".dot.{key}").count() for key in ("as-is", "fixed", "no")] == [2, 1, 1]
        assert "grey: no forecast" in drawing.text_content()
        left = drawing.locator(".dot.as-is").first.bounding_box()
        page.get_by_label("Latency against").select_option("gflops")
        assert drawing.locator(".title", has_text="GFLOPs").count() == 1
        assert drawing.locator(".dot.as-is").first.bounding_box()["x"] != left["x"]
        drawing.focus()
        told = page.locator(".told")
        page.keyboard.press("ArrowRight")
        assert told.inner_text() == "acme/quick: converts as it is, 2 M parameters, 0.4 (0.2 to 0.8) ms"
        page.keyboard.press("End")
        assert told.inner_text().startswith("acme/large:")
        page.keyboard.press("Enter")
        assert page.url.endswith("#acme/large")
        assert page.locator(".detail h2").inner_text() == "acme/large"
        drawing.locator(".dot.no").click()
        assert page.url.endswith("#other/finder%20two")


def test_a_link_opens_its_entry_and_back_closes_it(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of(), tmp_path) as shown:
        page = shown.page
        detail = page.locator(".detail")
        assert detail.is_hidden()
        page.get_by_role("link", name="other/finder two").click()
        text = detail.inner_text()
        assert "Does not convert." in text
        assert "aten.linalg_eigh.default x2: no converter" in text
        assert detail.locator("code").inner_text() == "convlint check 'other:finder two'"
        assert detail.evaluate("element => element === document.activeElement")
        page.go_back()
        assert detail.is_hidden()
        page.get_by_role("link", name="acme/finder").click()
        assert "forecast of 3 ms (1.5 to 6), 75% of the time on the Neural Engine" in detail.inner_text()
        page.goto(page.url.partition("#")[0] + "#other/gone")
        assert "Could not be measured: ImportError: no module named gone" in detail.inner_text()
        page.goto(page.url.partition("#")[0] + "#acme/nothing")
        assert "no entry of this name" in detail.inner_text()
        detail.get_by_role("link", name="Close").click()
        assert detail.is_hidden()
        shown.requests[1:] = []  # links within the page


def test_many_entries_are_shown_step_by_step(browser: Any, tmp_path: Path) -> None:
    many = tuple(entry(f"acme/n{number:03}", places=places(1 + number)) for number in range(400))
    with opened(browser, page_of(many), tmp_path) as shown:
        assert len(names(shown)) == 60
        shown.page.get_by_role("button", name="Show 240 more of 340").click()
        shown.page.get_by_role("button", name="Show 100 more of 100").click()
        assert len(names(shown)) == 400
        assert shown.page.locator(".dot.as-is[transform]").count() == 400


@pytest.mark.parametrize("scheme", ["default", "slate"])
def test_it_fits_a_phone_and_its_colours_can_be_told_apart(browser: Any, tmp_path: Path, scheme: str) -> None:
    with opened(browser, page_of(scheme=scheme), tmp_path, has_touch=True) as shown:
        page = shown.page
        page.set_viewport_size({"width": 390, "height": 800})
        page.get_by_role("link", name="acme/quick").tap()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.locator(".detail").bounding_box()
        assert 0 <= box["y"] < 400, "its name is in sight"
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
        assert page.locator("tbody th a").first.bounding_box()["width"] > 50, "a name is one line"
        colours = {
            page.locator(f".dot.{key}").first.evaluate("element => getComputedStyle(element).stroke")
            for key in ("as-is", "fixed", "no")
        }
        assert len(colours) == 3


def test_hostile_names_are_text(browser: Any, tmp_path: Path) -> None:
    hostile = tuple(entry(f"acme/{name}", family=name, task=name) for name in HOSTILE)
    with opened(browser, page_of(hostile), tmp_path) as shown:
        shown.page.locator("tbody th a").first.click()
        assert shown.page.evaluate("window.pwned") is None
        assert shown.page.locator("tbody tr").count() == len(HOSTILE)


class _Page:
    class file:
        src_uri = "catalogue.md"


def test_the_hook_replaces_the_mark_of_its_page_alone(
    catalogue_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MARK in (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    file = catalogue_of(ENTRIES)
    assert "acme/quick" in on_page_content(f"<p>before</p>{MARK}", _Page())
    file.write_bytes(b"no archive")
    assert "The table is missing: the catalogue" in on_page_content(MARK, _Page())
    monkeypatch.setattr(_Page.file, "src_uri", "index.md")
    assert on_page_content(MARK, _Page()) == MARK
