"""The scripts of ``examples/`` run to their end, and say what is true."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT

from examples.digits import story


@pytest.fixture(scope="module")
def story_run(tmp_path_factory: pytest.TempPathFactory) -> story.Story:
    return story.main(tmp_path_factory.mktemp("digits"))


def test_the_architecture_does_not_convert_and_the_fix_makes_it(story_run: story.Story) -> None:
    assert story_run.before.convertible == "no"
    assert {finding.rule.code for finding in story_run.before.errors()} == {"CL102", "CL103", "CL109"}
    assert story_run.after.convertible == "yes"
    assert not list(story_run.after.errors())


def test_the_fix_changed_the_copy_alone(story_run: story.Story) -> None:
    original = story.ARCHITECTURE.read_text("utf-8")
    assert all(word in original for word in ("torch.diff(", "torch.addcmul(", ") & ("))
    fixed = (story_run.package.parent / "net.py").read_text("utf-8")
    assert not any(word in fixed for word in ("torch.diff(", "torch.addcmul(", ") & ("))
    assert story_run.moved_by_fix < 1e-4


def test_training_pays_and_the_program_computes_the_same(story_run: story.Story) -> None:
    assert story_run.accuracy_untrained < 0.4
    assert story_run.accuracy > 0.8
    assert abs(story_run.accuracy_of_program - story_run.accuracy) < 0.01
    for parity in (story_run.untrained, story_run.trained):
        assert parity.status == "equal", parity.detail
        assert 0 < parity.max_rel_error < 2e-2


def test_the_package_is_on_disk(story_run: story.Story) -> None:
    weights = story_run.package / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    assert 20_000 < weights.stat().st_size < 60_000, "14.7 k parameters in float16"


def test_the_page_shows_what_the_script_does() -> None:
    page = (ROOT / "docs" / "end-to-end.md").read_text("utf-8")
    script = Path(story.__file__).read_text("utf-8")
    headings = re.findall(r'heading\("(.*)"\)', script)
    assert len(headings) == 7
    assert all(f"## {heading}" in page for heading in headings)
