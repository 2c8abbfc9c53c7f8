"""The page of a report, in a real browser: what it shows, how it is used, and that it asks for nothing."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import reports
from browser import chromium, opened
from conftest import ROOT
from pictures import HOSTILE, blocks, large_plan, plan_of

from convlint.errors import UsageError
from convlint.model import Report, Site
from convlint.model.placement import Plan
from convlint.model.run import Outcome, Run
from convlint.output.html.page import render_html

WEB = ROOT / "convlint" / "output" / "html" / "web"
ASSETS = ROOT / "convlint" / "output" / "html" / "assets"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


def page_of(report: Report) -> str:
    return render_html(Run((Outcome(report.model, report.model, None, report),), "."))


def page_of_plan(plan: Plan, report: Report | None = None) -> str:
    return render_html(Run((Outcome(plan.model, plan.model, None, report, plan=plan),), "."))


def test_a_plan_is_shown_with_its_units_crossings_and_blockers(browser: Any, tmp_path: Path) -> None:
    plan = plan_of(blocks(6))
    with opened(browser, page_of_plan(plan), tmp_path) as shown:
        page = shown.page
        assert page.locator("h1").inner_text() == plan.model
        assert "A17 Pro, iOS17" in page.locator(".facts").inner_text()
        assert page.locator(".share").count() == 2
        names = page.locator(".closed .name").all_text_contents()
        assert {"0", "5"} <= set(names)  # encoder and its layers were opened, since they are all of it
        assert page.locator(".closed .crossings").count() > 0
        page.get_by_role("button", name="Open every module").click()
        assert page.locator(".route.crossing").count() == len(plan.crossings)
        assert page.locator(".op.unit-CPU").count() == sum(op.unit == "CPU" for op in plan.ops)
        assert page.locator(".op.blocks").count() == len(plan.blockers[0].ops)
        labels = set(page.locator(".crossing-label").all_text_contents())
        assert any("ANE → CPU" in label for label in labels)


def test_the_link_of_a_finding_moves_the_picture_to_its_op(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of(reports.REPORT), tmp_path) as shown:
        finding = shown.page.locator("article.finding", has_text="CL104")
        finding.locator("summary", has_text="other ops").click()
        link = finding.locator("a[data-show]", has_text="encoder.layers.11.attn")
        assert shown.chosen().count() == 0
        link.click()
        assert shown.chosen().get_attribute("aria-label") == "hypot, float32[1x4x8x8], 1 error"
        assert shown.in_sight(shown.chosen())
        details = shown.page.locator(".details")
        assert "encoder.layers.11.attn" in details.inner_text()
        details.get_by_role("link", name="CL104 hypot").click()
        assert finding.evaluate("element => element === document.activeElement || element.matches(':target')")


def test_a_blocker_leads_to_its_ops(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of_plan(plan_of(blocks(6))), tmp_path) as shown:
        shown.page.locator(".blocker a[data-show]").first.click()
        assert "layer_norm" in shown.chosen().get_attribute("aria-label")
        assert "CPU" in shown.chosen().get_attribute("aria-label")
        assert shown.in_sight(shown.chosen())
        assert "a norm over this axis" in shown.page.locator(".details").inner_text()


def test_search_finds_a_module_and_an_op(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of_plan(plan_of(blocks(30))), tmp_path) as shown:
        field = shown.page.get_by_role("combobox")
        field.fill("layers.17.mlp")
        assert shown.page.get_by_role("option").first.inner_text().split("\n")[0] == "mlp"
        field.press("Enter")
        assert shown.in_sight(shown.chosen())
        assert "encoder.layers.17.mlp" in shown.page.locator(".details").inner_text()
        field.fill("layer_norm_10")
        field.press("ArrowDown")
        field.press("ArrowUp")
        field.press("Enter")
        assert "layer_norm_10" in shown.page.locator(".details").inner_text()
        field.fill("no such thing")
        assert "Nothing has this" in shown.page.get_by_role("listbox").inner_text()


def test_hostile_names_show_as_text(browser: Any, tmp_path: Path) -> None:
    plan = plan_of([f"{name.replace('.', '')}.{name.replace('.', '')}" for name in HOSTILE], 3, HOSTILE[0])
    site = Site(HOSTILE[1], 3, HOSTILE[0], HOSTILE[2])
    ops = tuple(
        replace(op, kind=HOSTILE[1], reason=HOSTILE[2], source="javascript:window.pwned=1", site=site)
        for op in plan.ops
    )
    (found, *_) = reports.FINDINGS
    finding = replace(found, message=HOSTILE[0], site=site, op=HOSTILE[1], module=HOSTILE[4])
    report = replace(reports.REPORT, model=HOSTILE[0], findings=(finding,), notes=HOSTILE)
    text = page_of_plan(replace(plan, ops=ops), report)
    assert len(re.findall("<script", text)) == len(re.findall("</script>", text)) == 2
    with opened(browser, text, tmp_path) as shown:
        page = shown.page
        assert page.evaluate("window.pwned") is None
        assert page.locator("h1").inner_text() == HOSTILE[0]
        assert page.title() == f"{HOSTILE[0]} - convlint"
        page.get_by_role("button", name="Open every module").click()
        page.locator(".op").first.click()
        assert HOSTILE[1] in page.locator(".details").inner_text()
        page.get_by_role("combobox").fill("onerror")
        assert page.get_by_role("option").count() > 0
        assert page.locator("img").count() == 0
        assert page.locator("a[href^='javascript']").count() == 0
        assert "\u202e" not in page.content()
        assert "\\u202e" in page.locator("body").inner_text()
        assert page.evaluate("window.pwned") is None


def test_the_keyboard_reaches_everything(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of_plan(plan_of(blocks(30))), tmp_path) as shown:
        page = shown.page
        keys = page.keyboard
        page.locator(".canvas").focus()
        keys.press("ArrowDown")
        first = shown.chosen().get_attribute("aria-label")
        assert first.startswith("encoder")
        assert shown.chosen().get_attribute("aria-expanded") == "true"
        keys.press("ArrowLeft")
        assert shown.chosen().get_attribute("aria-expanded") == "false"
        keys.press("ArrowRight")
        keys.press("ArrowRight")
        assert shown.chosen().get_attribute("aria-label").startswith("layers")
        keys.press("ArrowRight")
        keys.press("End")
        assert shown.in_sight(shown.chosen())
        keys.press("b")
        assert "blocking op" in shown.chosen().get_attribute("aria-label")
        assert shown.chosen().evaluate("element => element === document.activeElement")
        assert shown.in_sight(shown.chosen())
        keys.press("Escape")
        assert shown.chosen().count() == 0
        keys.press("/")
        assert page.evaluate("document.activeElement.getAttribute('role')") == "combobox"
        page.locator(".cell").first.focus()
        keys.press("ArrowRight")
        keys.press("Enter")
        assert shown.in_sight(shown.chosen())


def test_the_theme_follows_the_system_and_the_button(browser: Any, tmp_path: Path) -> None:
    text = page_of_plan(plan_of(blocks(2)))
    brightness = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3))"
    for scheme in ("light", "dark"):
        with opened(browser, text, tmp_path, color_scheme=scheme) as shown:
            dark = shown.page.evaluate(brightness) < 80
            assert dark == (scheme == "dark")
            shown.page.get_by_role("button", name="Light or dark").click()
            assert (shown.page.evaluate(brightness) < 80) != dark


def test_paper_gets_everything(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of(reports.REPORT), tmp_path, color_scheme="dark") as shown:
        page = shown.page
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        stage = page.locator(".stage").bounding_box()
        for leaf in page.locator(".leaves > g").all():
            box = leaf.bounding_box()
            assert stage["y"] - 1 <= box["y"]
            assert box["y"] + box["height"] <= stage["y"] + stage["height"] + 1
        assert not page.locator(".controls").is_visible()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        page.emulate_media(media="screen")
        assert page.pdf()[:5] == b"%PDF-"


def test_six_thousand_ops_are_painted_within_a_second(browser: Any, tmp_path: Path) -> None:
    text = page_of_plan(large_plan(6000))
    painted = []
    for _ in range(3):  # other work on the machine may disturb one
        with opened(browser, text, tmp_path) as shown:
            painted.append(int(shown.page.evaluate("document.documentElement.dataset.painted")))
            if painted[-1] >= 1000:
                continue
            page = shown.page
            page.get_by_role("button", name="Open every module").click()
            page.get_by_role("combobox").fill("gelu_5999")
            page.get_by_role("combobox").press("Enter")
            assert shown.in_sight(shown.chosen())
            assert page.locator(".op").count() < 1000, "what is out of sight is not in the document"
            break
    print(f"6,000 ops: {len(text) / 1e6:.1f} MB, first paint of the closed picture after {min(painted)} ms")
    assert min(painted) < 1000


def test_twenty_thousand_ops_in_one_module_can_be_opened(browser: Any, tmp_path: Path) -> None:
    with opened(browser, page_of_plan(plan_of(["flat"], 20_000)), tmp_path) as shown:
        assert 1 < shown.page.locator(".leaves > g").count() < 100
        shown.page.get_by_role("combobox").fill("layer_norm_19999")
        shown.page.get_by_role("combobox").press("Enter")
        assert shown.in_sight(shown.chosen())


def test_several_models_stand_in_one_page(browser: Any, tmp_path: Path) -> None:
    failed = Outcome("broken", "broken.py:Net", error=UsageError("there is no <file> broken.py."))
    empty = replace(reports.REPORT, model="uncaptured", graph=None, convertible="unknown")
    outcomes = [
        Outcome(each.model, each.model, None, each) for each in (reports.REPORT, reports.CLEAN, empty)
    ]
    with opened(browser, render_html(Run((*outcomes, failed), ".", True)), tmp_path) as shown:
        page = shown.page
        choice = page.get_by_label("Model", exact=True)
        texts = []
        for value in ("m0", "m1", "m2", "m3"):
            choice.select_option(value)
            texts.append(page.locator("section.model:visible").inner_text())
        assert "Does not convert" in texts[0]
        assert "Converts as it is" in texts[1]
        assert "Nothing was found" in texts[1]
        assert "nothing of the model was captured" in texts[2]
        assert "there is no <file> broken.py." in texts[3]


def test_findings_show_their_source_and_what_to_write_instead(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = tmp_path / "models" / "unet.py"
    source.parent.mkdir()
    lines = [f"line_{number} = {number}" for number in range(1, 60)]
    lines[40] = "    return torch.hypot(x, y)"
    source.write_text("\n".join(lines), encoding="utf-8")
    with opened(browser, page_of(reports.REPORT), tmp_path) as shown:
        finding = shown.page.locator("article.finding", has_text="CL104")
        text = finding.inner_text()
        assert finding.locator(".line.here").text_content() == "41    return torch.hypot(x, y)\n"
        assert "line_40 = 40" in text
        assert "line_43 = 43" in text
        assert "- return torch.hypot(x, y)" in text
        assert "+ return torch.sqrt(x * x + y * y)" in text
        changed = shown.page.locator("article.finding", has_text="torch.diff(x[dim]").first
        assert changed.locator(".line").count() == 1, "the file has another line 52 now"


def test_without_scripts_the_findings_and_a_drawing_are_there(browser: Any, tmp_path: Path) -> None:
    file = tmp_path / "plain.html"
    file.write_text(page_of(reports.REPORT), encoding="utf-8")
    page = browser.new_page(java_script_enabled=False)
    page.goto(file.as_uri())
    assert page.locator("article.finding").count() >= len(reports.FINDINGS)
    assert page.locator("noscript svg").is_visible()
    page.close()


def test_the_script_is_that_of_its_sources() -> None:
    digest = hashlib.sha256()
    for name in ["package-lock.json", *sorted(f"src/{file.name}" for file in (WEB / "src").iterdir())]:
        digest.update(f"{name}\n".encode() + (WEB / name).read_bytes())
    script = (ASSETS / "picture.js").read_text(encoding="utf-8")
    assert f"/* sources {digest.hexdigest()} */" in script, "run `npm ci && npm run bundle` in its web folder"
    assert "</script" not in script.lower()


def test_what_is_bundled_has_its_licence() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    licences = (ASSETS / "LICENSES.txt").read_text(encoding="utf-8")
    for name in json.loads((WEB / "package.json").read_text(encoding="utf-8"))["dependencies"]:
        package = lock[f"node_modules/{name}"]
        assert f"{name} {package['version']} ({package['license']})" in licences
    assert "http" not in json.dumps([each.get("resolved", "") for each in lock.values()])


def test_findings_take_few_sheets_of_paper(browser: Any, tmp_path: Path) -> None:
    (first, *_) = reports.FINDINGS
    many = tuple(replace(first, rule=replace(first.rule, code=f"CL9{number:02}")) for number in range(24))
    for findings, most in ((reports.FINDINGS[:2], 2), (many, 4)):
        report = replace(reports.REPORT, findings=findings)
        with opened(browser, page_of_plan(plan_of(blocks(6)), report), tmp_path) as shown:
            pages = len(re.findall(rb"/Type\s*/Page[^s]", shown.page.pdf(format="A4")))
            assert 1 <= pages <= most, f"{len(findings)} findings"


def test_two_models_stand_side_by_side(browser: Any, tmp_path: Path) -> None:
    outcomes = [Outcome(each.model, each.model, None, each) for each in (reports.REPORT, reports.CLEAN)]
    with opened(browser, render_html(Run(tuple(outcomes), ".", True)), tmp_path) as shown:
        page = shown.page
        before, after = page.locator("section#m0"), page.locator("section#m1")
        page.get_by_label("beside it").select_option("m1")
        left, right = before.bounding_box(), after.bounding_box()
        assert left["y"] == right["y"]
        assert abs(left["width"] - right["width"]) < 2
        assert left["x"] + left["width"] <= right["x"] + 1
        assert "Does not convert" in before.locator(".verdict").inner_text()
        assert "Converts as it is" in after.locator(".verdict").inner_text()
        assert after.locator(".canvas").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        after.get_by_role("button", name="Show the ops as a table").click()
        assert after.locator("tbody tr").count() > 0
        assert before.locator("tbody tr").count() == 0
        after.locator("tbody tr").first.click()
        assert page.evaluate("location.hash").startswith("#m1-op-")
        page.keyboard.press("t")
        assert after.locator(".stage").is_visible(), "keys are for the model that was last used"
        page.get_by_label("Model", exact=True).select_option("m1")
        assert page.locator("section.model:visible").count() == 1
        assert page.get_by_label("beside it").input_value() == ""
        page.get_by_label("beside it").select_option("m0")
        assert before.bounding_box()["x"] > after.bounding_box()["x"]
