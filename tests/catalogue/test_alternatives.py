"""What is named where a model does not convert: entries that were measured, near it, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from some_entries import catalogue_of, entry, places, refused, widths
from torch import nn

import convlint
from convlint.catalogue import store
from convlint.catalogue.alternatives import Part, Subject, Wanted, alternatives
from convlint.catalogue.entry import Door, Entry, Equal, Repairs
from convlint.cli.program import main
from convlint.model.run import Outcome, Run
from convlint.output.github import render_github
from convlint.output.html.page import render_html
from convlint.output.markdown import render_markdown
from convlint.output.terminal import render_text
from convlint.runs.cache.codec import decode_report, encode_report

__all__ = ["catalogue_of"]

MINE = entry("acme/mine", task="detection", **refused())
WHOLE = Subject((Part("", ("acme.nets.Mine",), 10_000_000),), ((1, 3, 224, 224),))
WANTED = Wanted("A17 Pro", coremltools="9.0")


def named(entries: list[Entry], subject: Subject = WHOLE, wanted: Wanted = WANTED) -> list[str]:
    return [each.name for each in alternatives([MINE, *entries], subject, wanted)]


def finder(name: str, **fields: Any) -> Entry:
    return entry(name, task="detection", **fields)


def test_the_nearest_of_the_task_are_named_those_that_convert_as_they_are_first() -> None:
    entries = [
        finder("a/same_size", **refused("graph")),
        finder("a/half", parameters=5_000_000),
        finder("a/triple", parameters=30_000_000),
        finder("a/double", parameters=21_000_000),
        entry("a/classifier"),
    ]
    assert named(entries) == ["a/half", "a/double", "a/triple"]
    assert named(entries[:2]) == ["a/half", "a/same_size"]


@pytest.mark.parametrize(
    "far",
    [
        finder("a/huge", parameters=51_000_000),
        finder("a/tiny", parameters=490_000),
        finder("a/wide", inputs=("1x3x1024x1024 float32",)),
        finder("a/video", inputs=("1x3x16x64x64 float32",)),
        finder("a/two_pictures", inputs=("1x3x224x224 float32", "1x3x224x224 float32")),
        finder("a/refused", **refused()),
        finder("a/in_part", **refused("part")),
        finder("a/unbuilt", unbuilt="ImportError", doors=()),
        finder("a/wrong", equal=Equal("differs", 0.5)),
        finder("a/frozen", but="error CL389 frozen-by-trace at nets.py:3: int() freezes a value"),
        finder("a/reduced", reduced=True),
        finder("a/unsafe", **{**refused("graph"), "repairs": Repairs("graph", 2, unsafe=True)}),
        finder("a/undated", date=""),
        entry("a/mine_again", task="detection", classes=MINE.classes),
    ],
    ids=lambda far: far.name,
)
def test_what_is_far_or_does_not_hold_is_not_named(far: Entry) -> None:
    assert named([far]) == []


def test_one_of_a_family_is_enough() -> None:
    entries = [
        finder("a/yolo_s", family="yolo"),
        finder("b/yolo_m", family="YOLO"),
        finder("a/other", parameters=40_000_000),
    ]
    assert named(entries) == ["a/yolo_s", "a/other"]


def test_a_frontend_that_was_asked_for_has_to_convert_it() -> None:
    doors = (Door("export", "9.0", False), Door("torchscript", "9.0", True))
    traced = finder("a/traced", doors=doors, equal=Equal("not compared", None, "too large"))
    later = finder("a/later", doors=(Door("export", "9.0", False), Door("export", "9.1", True)))
    (found,) = alternatives([MINE, traced, later], WHOLE, WANTED)
    assert "numbers not compared, measured 2026-01-02" in found.sentence
    assert "converts as it is through torchscript: a/traced" in found.sentence
    assert named([traced, later], wanted=replace(WANTED, frontend="export")) == []


def test_with_a_limit_only_what_keeps_it_is_named() -> None:
    entries = [
        finder("a/slow", places=places(5.0)),
        finder("a/fast", places=places(1.0), parameters=2_000_000),
    ]
    assert named(entries, wanted=replace(WANTED, max_ms=2.0)) == ["a/fast"]
    assert named(entries, wanted=replace(WANTED, chip="A15", max_ms=1.9)) == []


def test_a_model_is_known_by_its_bases_its_package_what_it_wraps_and_its_shapes() -> None:
    near = [finder("a/finder"), entry("a/classifier")]
    own = Part("", ("user.Own", "acme.nets.Mine"), 10_000_000)
    wrapper = (Part("", ("user.Wrapper",), 10_000_000), Part("net", ("acme.nets.Mine",), 9_900_000))
    backbone = (Part("", ("user.Wrapper",), 10_000_000), Part("net", ("acme.nets.Mine",), 5_000_000))
    assert named(near, replace(WHOLE, parts=(own,))) == ["a/finder"]
    assert named(near, replace(WHOLE, parts=wrapper)) == ["a/finder"]
    sibling = Part("", ("lib.detection.other.Net",), 10_000_000)
    known = [finder(f"a/{name}", classes=(f"lib.detection.{name}.Net",)) for name in ("one", "two")]
    assert named([known[0], entry("a/classifier")], replace(WHOLE, parts=(sibling,))) == []
    assert named(known, replace(WHOLE, parts=(sibling,))) == ["a/one", "a/two"]
    unknown = replace(WHOLE, parts=backbone)
    assert named(near, unknown) == []
    assert named(near, replace(unknown, outputs=((1, 1000),))) == ["a/classifier"]
    assert named(near, replace(unknown, outputs=((1, 3, 224, 224),))) == [], (
        "a picture again, or three classes"
    )


def test_a_part_is_matched_by_strides_and_widths() -> None:
    features = widths((8, 192), (16, 384))
    entries = [
        entry("a/equal", features=widths((4, 96), (8, 192), (16, 384), (32, 768))),
        entry("a/near", features=widths((8, 128), (16, 256))),
        entry("a/narrow", features=widths((8, 64), (16, 128))),
        entry("a/coarse", features=widths((16, 384), (32, 768))),
        entry("a/itself", features=features, classes=("user.Body",)),
        finder("a/finder"),
    ]
    part = Part("body", ("user.Body",), 8_000_000, features)
    found = alternatives([MINE, *entries], replace(WHOLE, blamed=part), WANTED)
    assert [each.sentence.partition(" (")[0] for each in found] == [
        "for body: same strides and widths, converts as it is: a/equal",
        "for body: same strides, similar widths, converts as it is: a/near",
    ]
    one = replace(part, features=features[:1])
    assert named(entries, replace(WHOLE, blamed=one)) == ["a/equal", "a/near"], "a backbone that is known"
    unknown = [each for each in entries if each.name != "a/itself"]
    assert named(unknown, replace(WHOLE, blamed=one)) == ["a/finder"], "one map alone says too little"

    both = replace(WHOLE, blamed=part, alone=False)
    assert named(entries, both) == ["a/finder"], "more than the part is refused: the whole goes first"
    assert named(entries[:2], both) == ["a/equal", "a/near"]


class Block(nn.Module):
    """Has an op that Core ML lacks, whatever is changed."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(2)
        _, vectors = torch.linalg.eigh(flat @ flat.transpose(1, 2))
        return (vectors @ flat).reshape(x.shape)


class Body(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 8, 8)
        self.block = Block()
        self.down = nn.Conv2d(8, 16, 2, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fine = self.block(self.stem(x))
        return fine, self.down(fine).permute(0, 2, 3, 1)


class Finder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Body()
        self.fine, self.coarse = nn.Conv2d(8, 4, 1), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fine, coarse = self.body(x)
        return self.fine(fine), self.coarse(coarse)


class Flat(Body):
    """A body that calls such an op by itself."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fine = self.stem(x)
        flat = fine.flatten(2)
        fine = (torch.linalg.eigh(flat @ flat.transpose(1, 2))[1] @ flat).reshape(fine.shape)
        return fine, self.down(fine).permute(0, 2, 3, 1)


class Stuck(Finder):
    """Its head has such an op as well."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = Block()


@pytest.fixture
def bodies(catalogue_of: Any) -> Any:
    inputs = ("1x3x64x64 float32",)
    same = widths((8, 8), (16, 16))
    return catalogue_of(
        [
            entry(
                "acme/body", features=same, parameters=3000, inputs=inputs, versions=(("coremltools", "8.0"),)
            ),
            entry("acme/stuck", features=same, parameters=3000, inputs=inputs, **refused()),
        ]
    )


def test_a_check_names_what_could_stand_in_for_the_refused_part(bodies: Any) -> None:
    """What is refused lies in ``body.block``; ``body`` is what hands on feature maps, one channels last."""
    report = convlint.check(Finder(), torch.zeros(1, 3, 64, 64))
    assert report.convertible == "no"
    (found,) = report.alternatives
    said = (
        "for body: same strides and widths, converts as it is: acme/body"
        " (3 k parameters, 1 to 4 ms on A17 Pro, measured 2026-01-02 with coremltools 8.0)"
    )
    assert found.sentence == said
    assert f"other  {said}\n" in render_text(report)
    assert said in str(report)
    assert json.loads(json.dumps(report.to_dict()))["alternatives"][0]["sentence"] == said
    kept = decode_report(json.loads(json.dumps(encode_report(report))))
    assert kept.alternatives == report.alternatives
    run = Run((Outcome("m", "m", None, report),), ".")
    assert f"%0A{said}\n" in render_github(run)
    page = render_html(run)
    assert found.name in page
    assert f"{found.reason}: {found.facts}" in page
    assert "- for body: same strides and widths, converts as it is: acme/body (3 k" in render_markdown(run)
    assert said in report._repr_html_()


def test_a_backbone_that_torch_fx_made_is_known_too(bodies: Any) -> None:
    """torch names no module for what its forward does between the modules that it calls."""
    model = Finder()
    model.body = torch.fx.symbolic_trace(Flat())
    report = convlint.check(model, torch.zeros(1, 3, 64, 64))
    assert [(each.name, each.instead_of) for each in report.alternatives] == [("acme/body", "body")]


def test_a_part_is_named_although_more_is_refused(bodies: Any) -> None:
    report = convlint.check(Stuck(), torch.zeros(1, 3, 64, 64))
    assert [(each.name, each.instead_of) for each in report.alternatives] == [("acme/body", "body")]


def test_a_bad_catalogue_is_a_remark_and_the_check_is_done(bodies: Any) -> None:
    bodies.write_bytes(b"no archive")
    report = convlint.check(Finder(), torch.zeros(1, 3, 64, 64))
    assert report.convertible == "no"
    assert report.alternatives == ()
    assert any(note.startswith("no alternatives are named: the catalogue") for note in report.notes)


class Fine(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)


class Mended(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.hypot(x, x)


@pytest.mark.parametrize("model", [Fine, Mended])
def test_the_catalogue_is_not_even_read_for_a_model_that_ships(model: type[nn.Module], bodies: Any) -> None:
    """As it is, or after changes: a damaged file would be a remark."""
    bodies.write_bytes(b"no archive")
    report = convlint.check(model(), torch.zeros(1, 4))
    assert report.alternatives == ()
    assert not any("catalogue" in note for note in report.notes)
    assert "alternatives" not in report.seconds


NET = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.Flatten())
        self.append(nn.Linear(64 * 60 * 60, 9))
"""


def test_a_plan_that_misses_its_limit_names_what_keeps_it(
    catalogue_of: Any, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its shapes say what it is for; the chip that misses the limit most is the one that counts."""
    (project / "net.py").write_text(NET)
    usual = {"inputs": ("1x3x64x64 float32",), "parameters": 2_000_000}
    catalogue_of([entry("acme/fast", places=places(0.0001), **usual), entry("acme/slow", **usual)])
    words = ["plan", "net.py:Net", "--input", "1x3x64x64", "--chip", "A15,A17Pro", "--format", "json"]
    assert main([*words, "--max-ms", "0.001"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["alternatives"]
    said = "takes and gives what classification does, converts as it is: acme/fast"
    assert found["sentence"].startswith(said)
    assert found["chip"] == "A15"
    assert main([*words[:-2], "--max-ms", "0.001"]) == 1
    assert f"\nother  {said}" in capsys.readouterr().out
    assert main([*words, "--max-ms", "1000"]) == 0
    assert json.loads(capsys.readouterr().out)["alternatives"] == []
    bad = catalogue_of([])
    bad.write_bytes(b"no archive")
    assert main([*words[:-2], "--max-ms", "0.001"]) == 1
    assert "note  no alternatives are named: the catalogue" in capsys.readouterr().out


@pytest.mark.corpus
def test_a_detector_of_two_stages_is_told_of_detectors_that_were_measured(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the catalogue that is shipped, as a user asks."""
    spec = "torchvision.models.detection:fasterrcnn_resnet50_fpn"
    words = ["--arg-expr", "weights=None", "--arg-expr", "weights_backbone=None", "--format", "json"]
    assert main(["check", spec, *words, "--input", "1x3x320x320", "--no-cache"]) == 1
    found = json.loads(capsys.readouterr().out)["alternatives"]
    assert found
    measured = {each.name: each for each in store.read()}
    for each in found:
        shown = measured[each["name"]]
        assert (shown.task, shown.converts, shown.date) == ("detection", each["converts"], each["date"])
        assert "rcnn" not in shown.name
