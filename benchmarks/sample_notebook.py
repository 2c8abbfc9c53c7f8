"""The picture of docs/notebook.md: ``python -m benchmarks.sample_notebook`` runs its cells and takes it.

The cells are the Python blocks of the page. They run in Jupyter, and Chromium shows what comes out.
"""

from __future__ import annotations

import hashlib
import html
import io
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "notebook.md"
PICTURE = ROOT / "docs" / "notebook.png"
MARK = "shows"
"""The entry of the picture that has the digest of its text."""
_CELL = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_STYLE = """body { margin: 0; padding: 20px; background: #fff; font: 14px/1.5 system-ui, sans-serif }
.cell { max-width: 920px; margin: 0 0 10px; padding: 9px 14px; border: 1px solid #dfe4ea; border-radius: 4px;
background: #f7f7f7; font: 12.5px/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap }
.cell b { float: left; width: 56px; color: #307fc1; font-weight: 400 }
.cell code { display: block; margin-left: 56px }
.convlint { margin: 0 0 18px }"""


def cells_of_the_page() -> list[str]:
    """The cells, without the last one, which writes files."""
    return [cell.strip() for cell in _CELL.findall(PAGE.read_text(encoding="utf-8"))][:-1]


def run_in_jupyter(cells: Sequence[str], folder: Path) -> Any:
    """The notebook of these cells after a real kernel has run it in ``folder``; it stops at no error."""
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python", "language": "python"}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CONVLINT_CACHE": "0"}
    client = NotebookClient(
        book, timeout=240, allow_errors=True, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    return book


def shown_by(cell: Any) -> Mapping[str, str]:
    """What a cell shows as its result, by type; empty where it shows none."""
    results = [output["data"] for output in cell.outputs if output.output_type == "execute_result"]
    return results[-1] if results else {}


def page_with(cells: Sequence[Any]) -> str:
    """Cells that have run, with their cards, as one page."""
    parts = []
    for number, cell in enumerate(cells, 1):
        parts.append(f'<div class="cell"><b>[{number}]:</b><code>{html.escape(cell.source)}</code></div>')
        parts.append(shown_by(cell).get("text/html", ""))
    return f"<!DOCTYPE html><meta charset='utf-8'><style>{_STYLE}</style><body>{''.join(parts)}"


def digest_of(text: str) -> str:
    """The digest of what a page says, without the numbers, which differ from one machine to another."""
    return hashlib.sha256(_NUMBER.sub("0", " ".join(text.split())).encode()).hexdigest()


def main() -> int:
    """Run the cells and write docs/notebook.png."""
    from PIL import Image, PngImagePlugin
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        page = page_with(run_in_jupyter(cells_of_the_page(), Path(folder)).cells)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        shown = browser.new_page(viewport={"width": 964, "height": 600}, device_scale_factor=1.5)
        shown.set_content(page)
        text, data = shown.locator("body").inner_text(), shown.screenshot(full_page=True)
        browser.close()
    about = PngImagePlugin.PngInfo()
    about.add_text(MARK, digest_of(text))
    picture = Image.open(io.BytesIO(data)).convert("RGB").quantize(128)
    picture.save(PICTURE, optimize=True, pnginfo=about)
    return 0


if __name__ == "__main__":
    sys.exit(main())
