"""Results in a notebook: run in a real Jupyter, and looked at in Chromium."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import reports
from browser import chromium
from pictures import HOSTILE, blocks, plan_of
from PIL import Image

from benchmarks import sample_notebook
from convlint.errors import UsageError
from convlint.model import Site
from convlint.model.applied import Applied, EditedCell
from convlint.model.fixed import Fixed
from convlint.model.parity import Divergence, Errors, Example, Parity

CELL = """
import torch, convlint

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)

    def forward(self, x):
        z = self.conv(x)
        steps = torch.diff(z, dim=-1)
        return helper(steps) + torch.linalg.matrix_exp(z[..., :8, :8]).mean()

def helper(x):
    return torch.addcdiv(x, x, x + 2.0)
"""
CELLS = (
    CELL.strip(),
    "x = torch.rand(1, 3, 16, 16)\nnet, conv = Net().train(), torch.nn.Conv2d(3, 8, 3)\n"
    "before = torch.get_rng_state()",
    "report = convlint.check(net, x)\nreport",
    "fixed = convlint.fix(net, x)\nfixed",
    "convlint.plan(conv, x)",
    "convlint.parity(conv, x)",
    "report.findings[0]",
    "print(report)",
    "convlint.convert(conv, x)\nNone",
    "net.training, bool((torch.get_rng_state() == before).all()), Net.forward.__code__.co_firstlineno",
    "exec(fixed.cells[0].after)\nconvlint.check(Net(), x)",
    "import sys\nsys.path.insert(0, 'site-packages')\nimport far\n\nclass Outer(torch.nn.Module):\n"
    "    def forward(self, x):\n        return far.away(x)\n\n"
    "found = convlint.check(Outer(), torch.rand(8, 4)).findings[0]\nfound.caller.source, found",
)


FIRST_CELL = len(sample_notebook.cells_of_the_page())


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("notebook")
    library = folder / "site-packages" / "far.py"
    library.parent.mkdir()
    library.write_text("import torch\n\ndef away(x):\n    return torch.hypot(x, x)\n", encoding="utf-8")
    return sample_notebook.run_in_jupyter([*sample_notebook.cells_of_the_page(), *CELLS], folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def plain(book: Any, number: int) -> str:
    return str(sample_notebook.shown_by(book.cells[FIRST_CELL + number])["text/plain"])


def card(book: Any, number: int) -> str:
    return str(sample_notebook.shown_by(book.cells[FIRST_CELL + number])["text/html"])


def printed(book: Any) -> str:
    return str(book.cells[FIRST_CELL + 7].outputs[0].text)


def test_the_functions_print_nothing_and_leave_the_model_alone(book: Any) -> None:
    outputs = [(cell.source, output.output_type) for cell in book.cells for output in cell.outputs]
    assert [source for source, kind in outputs if kind != "execute_result"] == ["print(report)"]
    assert plain(book, 9) == "(True, True, 8)"


def test_a_result_is_one_line(book: Any) -> None:
    report, fixed, plan, parity, finding = (plain(book, number) for number in range(2, 7))
    assert report.startswith("<Report Net for iOS17: Does not convert as it is")
    assert report.endswith(" errors)>")
    assert fixed == "<Fixed for iOS17: Does not convert: 1 refusal left after 2 changes.>"
    assert plan.startswith("<Plan Conv2d on A17 Pro, iOS17: About ")
    assert parity.startswith("<Parity equal at float32 for iOS17, 3 runs: largest error ")
    assert finding == "<Finding error CL102 diff at cell In[4]:10: aten.diff.default has no converter>"
    assert all("\n" not in text and len(text) < 320 for text in (report, fixed, plan, parity, finding))


def test_a_model_of_a_cell_has_lines(book: Any) -> None:
    shown = card(book, 2)
    assert "cell In[4]:10" in shown
    assert "cell In[4]:14" in shown
    assert html.escape("+ steps = z[..., 1:] - z[..., :-1]") in shown
    assert "coreml_ops" not in shown, "beside a cell no helper file is written"
    assert "cell In[4]:10: aten.diff" in printed(book)
    assert "`convlint fix` shows" not in printed(book)


def test_fix_shows_the_edited_cell(book: Any) -> None:
    shown = card(book, 3)
    assert html.escape("-         steps = torch.diff(z, dim=-1)") in shown
    assert html.escape("+         steps = z[..., 1:] - z[..., :-1]") in shown
    assert html.escape("+     return x + x / (x + 2.0)") in shown
    assert "coremltools still refuses aten.linalg_matrix_exp.default." in shown
    whole = html.unescape(re.findall(r'<pre class="whole">(.*?)</pre>', shown, re.DOTALL)[0])
    assert whole.strip() == CELL.strip().replace("torch.diff(z, dim=-1)", "z[..., 1:] - z[..., :-1]").replace(
        "torch.addcdiv(x, x, x + 2.0)", "x + x / (x + 2.0)"
    )
    assert "aten.diff" not in card(book, 10), "the edited cell does what was said of it"


def test_the_line_of_a_cell_that_calls_a_library_is_named(book: Any) -> None:
    assert "'return far.away(x)'" in plain(book, 11)
    assert "far.py:4: aten.hypot.default" in plain(book, 11)


def test_the_picture_of_the_page_is_what_its_cells_show(browser: Any, book: Any) -> None:
    """``python -m benchmarks.sample_notebook`` takes it anew."""
    page = browser.new_page(viewport={"width": 964, "height": 600})
    page.set_content(sample_notebook.page_with(book.cells[:FIRST_CELL]))
    text = page.locator("body").inner_text()
    assert "edited" in text
    assert "coremltools converts it" in text
    assert Image.open(sample_notebook.PICTURE).text[sample_notebook.MARK] == sample_notebook.digest_of(text)
    page.close()


SITE = Site(HOSTILE[1], 3, HOSTILE[0], HOSTILE[2])
FIXED = Fixed(
    None,
    None,
    "yes",
    tuple(Applied(f"aten.op{number}.default", "rewrite", HOSTILE[0], site=SITE) for number in range(7)),
    target="iOS17",
    notes=HOSTILE,
    checked=(HOSTILE[1],),
    cells=(EditedCell(HOSTILE[0], f"a\n{HOSTILE[1]}\n", f"a\n{HOSTILE[0]}\n", (), (HOSTILE[2],)),),
)
FIRST = Divergence(
    HOSTILE[0], HOSTILE[1], HOSTILE[2], HOSTILE[4], SITE, None, Errors(), "", Example(1.0, 2.0)
)
PARITY = Parity(
    "differs",
    "iOS17",
    "float16",
    "export",
    3,
    0.01,
    Errors(0.5, 0.25),
    FIRST,
    HOSTILE[0],
    remarks=HOSTILE,
)


def results() -> list[Any]:
    (found, *_) = reports.FINDINGS
    finding = replace(found, message=HOSTILE[0], site=SITE, op=HOSTILE[1], module=HOSTILE[4])
    plan = replace(plan_of(blocks(6), 3, HOSTILE[0]), notes=HOSTILE)
    report = replace(
        reports.REPORT,
        model=HOSTILE[0],
        findings=(finding, *reports.FINDINGS),
        notes=HOSTILE,
        plan=plan,
        parity=PARITY,
    )
    return [report, finding, FIXED, plan, PARITY]


@pytest.mark.parametrize("result", results(), ids=lambda result: type(result).__name__)
def test_a_card_is_text_alone(browser: Any, result: Any) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(f"<body>{result._repr_html_()}")
    assert page.evaluate("window.pwned") is None
    assert page.locator("script, img, iframe, link, [href^=javascript], [onerror]").count() == 0
    assert asked == []
    assert "<script>window.pwned=1</script>" in page.locator(".convlint").evaluate("card => card.textContent")
    assert "\u202e" not in page.content()
    assert "\n" not in repr(result)
    assert "\x1b" not in repr(result)
    page.close()


def brightness(colour: str) -> float:
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3]) / 3


@pytest.mark.parametrize(
    ("scheme", "body", "dark"),
    [
        ("light", "<body>", False),
        ("dark", "<body>", True),
        ("light", '<body data-jp-theme-light="false" style="--jp-layout-color0:#111">', True),
        ("dark", '<body data-jp-theme-light="true" style="--jp-layout-color0:#fff">', False),
        ("light", '<body class="vscode-dark">', True),
    ],
)  # fmt: skip
def test_a_card_is_light_or_dark_as_the_notebook_is(browser: Any, scheme: str, body: str, dark: bool) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.set_content(f"{body}{reports.REPORT._repr_html_()}")
    colours = page.locator(".convlint").evaluate(
        "card => [getComputedStyle(card).backgroundColor, getComputedStyle(card).color,"
        " getComputedStyle(card.querySelector('.severity.error')).backgroundColor]"
    )
    paper, ink, mark = map(brightness, colours)
    assert (paper < 60, ink > 180) == (dark, dark)
    assert (mark > 110) == dark, "the marks follow too"
    page.close()


def test_a_long_line_scrolls_in_its_box(browser: Any) -> None:
    site = Site(
        "/nowhere/net.py", 3, "x = " + " + ".join(f"value_{number}" for number in range(99)), "forward"
    )
    page = browser.new_page(viewport={"width": 500, "height": 600})
    page.set_content(f"<body>{replace(reports.FINDINGS[1], site=site)._repr_html_()}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 500
    page.close()


def test_the_page_of_a_result_is_written(tmp_path: Path) -> None:
    report, _, _, plan, _ = results()
    for number, result in enumerate((report, plan)):
        file = tmp_path / "new" / f"page{number}.html"
        result.html(file)
        result.html(str(file))  # over its own
        assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    mine = tmp_path / "mine.html"
    mine.write_text("<p>mine</p>", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"html\(\) .*mine.html exists and is not a report that convlint wrote"
    ):
        report.html(mine)
    assert mine.read_text(encoding="utf-8") == "<p>mine</p>"
