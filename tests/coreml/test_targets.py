"""The table of deployment targets against coremltools' own."""

from __future__ import annotations

import coremltools
import pytest

from convlint.coreml.targets import OPSETS, TARGETS, normalise_target, opset, order
from convlint.errors import UsageError


def test_the_table_is_that_of_coremltools() -> None:
    members = dict(coremltools.target.__members__)
    for name, equal in TARGETS.items():
        assert members[name].name == equal
        assert order(name) == sorted(members[release].value for release in OPSETS).index(members[name].value)


def test_nothing_from_ios15_on_is_missing() -> None:
    oldest = coremltools.target.iOS15.value
    modern = {name for name, member in coremltools.target.__members__.items() if member.value >= oldest}
    assert modern == set(TARGETS)


def test_letter_case_does_not_count() -> None:
    assert normalise_target("ios17") == "iOS17"
    assert normalise_target(" MACOS14 ") == "macOS14"
    assert opset("macos14") == "iOS17"
    assert order("tvOS26") > order("watchOS11") > order("iOS15")


@pytest.mark.parametrize("text", ["iOS71", "iOS14", "", "windows"])
def test_an_unknown_target_is_told_with_the_known_ones(text: str) -> None:
    with pytest.raises(UsageError, match="Known targets: iOS15"):
        normalise_target(text)


def test_the_nearest_target_is_named() -> None:
    with pytest.raises(UsageError, match=r"Did you mean iOS17\?"):
        normalise_target("iOS71")
