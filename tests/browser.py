"""One headless Chromium for all tests of a process, and pages that remember what went wrong in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser. Without one the tests are skipped, unless ``CONVLINT_REQUIRE_BROWSER`` is set."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        reason = "there is no Chromium here: apt-get install chromium"
        if os.environ.get("CONVLINT_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(_FLAGS))
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page of the browser, with its complaints and all that it asked for from anywhere."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def chosen(self) -> Any:
        """The item of the picture that is chosen."""
        return self.page.locator(".chosen")

    def in_sight(self, item: Any) -> bool:
        """Whether the middle of an item lies within the picture's window."""
        self.page.wait_for_timeout(350)  # the picture glides there
        box, stage = item.bounding_box(), self.page.locator(".stage").first.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        across = stage["x"] <= x <= stage["x"] + stage["width"]
        return bool(across and stage["y"] <= y <= stage["y"] + stage["height"])


@contextmanager
def opened(browser: Any, text: str, folder: Path, **options: Any) -> Iterator[Opened]:
    """The page ``text``, opened from a file as a user would; it must have had no complaint when it closes."""
    file = folder / "report.html"
    file.write_text(text, encoding="utf-8")
    page = browser.new_page(viewport={"width": 1280, "height": 860}, **options)
    result = Opened(page)
    page.on("console", lambda message: result.complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: result.complaints.append(str(error)))
    page.on("request", lambda request: result.requests.append(request.url))
    page.goto(file.as_uri())
    # A selector: the page's own policy forbids what a polled expression needs.
    page.wait_for_selector("html[data-painted]", state="attached")
    yield result
    assert result.complaints == []
    assert result.requests == [file.as_uri()]
    page.close()
