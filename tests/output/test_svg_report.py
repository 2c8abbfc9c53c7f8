"""The drawing of the modules: well-formed, folded, and harmless whatever the names."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import reports
from pictures import HOSTILE, blocks, plan_of

from convlint.model.placement import Plan
from convlint.model.run import Outcome, Run
from convlint.output.html.module_diagram import Part, diagram_of
from convlint.output.html.picture import Picture, picture_of
from convlint.output.html.svg import UNIT_COLOURS, drawing, render_svg

SVG = "{http://www.w3.org/2000/svg}"


def drawing_of_plan(plan: Plan) -> str:
    return render_svg(Run((Outcome(plan.model, plan.model, plan=plan),), "."))


def picture(plan: Plan) -> Picture:
    picture = picture_of(None, plan)
    assert picture is not None
    return picture


def all_parts(part: Part) -> list[Part]:
    return [part, *(inner for child in part.parts for inner in all_parts(child))]


def test_blocks_that_are_alike_are_drawn_once() -> None:
    plan = plan_of(blocks(24))
    drawn = ET.fromstring(drawing(picture(plan)))
    words = ["".join(each.itertext()) for each in drawn.iter(f"{SVG}text")]
    assert "×24" in words or any(text.startswith("0 … 23") for text in words)
    assert drawn.find(f"{SVG}style") is None


def test_every_node_is_in_exactly_one_part_of_each_level() -> None:
    plan = plan_of([*blocks(3), "head", "", "tail.a", "tail.b"])
    root = diagram_of(picture(plan))
    for part in all_parts(root):
        inner = [node for child in part.parts for node in child.nodes]
        assert len(inner) == len(set(inner))
        if part.parts and part.repeats == 1:
            assert sorted(inner) == sorted(part.nodes)


def test_parts_do_not_overlap_and_lie_inside() -> None:
    root = diagram_of(picture(plan_of([*blocks(3), "head", "", "tail.a", "tail.b"])))
    for part in all_parts(root):
        for number, one in enumerate(part.parts):
            assert one.x >= 0
            assert one.x + one.width <= part.width + 0.01
            assert one.y >= 0
            assert one.y + one.height <= part.height + 0.01
            for other in part.parts[number + 1 :]:
                apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
                assert apart_x or one.y + one.height <= other.y or other.y + other.height <= one.y


def test_the_bars_have_the_colours_of_the_units() -> None:
    text = drawing_of_plan(plan_of(blocks(4)))
    assert UNIT_COLOURS["ANE"] in text
    assert UNIT_COLOURS["CPU"] in text
    assert UNIT_COLOURS["GPU"] not in text
    assert "prefers-color-scheme: dark" in text


def test_hostile_names_stay_text() -> None:
    plan = plan_of([name.replace(".", "") for name in HOSTILE], 3, HOSTILE[0])
    text = drawing_of_plan(plan)
    drawn = ET.fromstring(text)
    assert {each.tag.removeprefix(SVG) for each in drawn.iter()} <= {
        "svg", "title", "style", "defs", "marker", "path", "rect", "g", "text", "tspan"
    }  # fmt: skip
    assert not re.search(r"[\x00-\x08\u202e]", text)
    assert any(HOSTILE[0].replace(".", "") in "".join(each.itertext()) for each in drawn.iter(f"{SVG}tspan"))


def test_what_was_not_captured_says_so() -> None:
    report = replace(reports.REPORT, graph=None)
    text = render_svg(Run((Outcome(report.model, report.model, None, report),), "."))
    assert "Nothing was captured" in text
    ET.fromstring(text)


def test_a_report_without_a_plan_is_drawn_too() -> None:
    text = render_svg(Run((Outcome("unet", "unet", None, reports.REPORT),), "."))
    assert "encoder" in text
    ET.fromstring(text)
