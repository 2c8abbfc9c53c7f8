"""A report that was written and read is the report that it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from reports import CLEAN, FINDINGS, HYPOT_CALLS, REPORT

from convlint.model import IgnoreComment, Report, Site, Suppression
from convlint.model.compression import Compression, Layer, Row
from convlint.model.parity import Errors, Parity
from convlint.runs.cache.codec import Unreadable, decode_report, encode_report

SITE = Site("models/unet.py", 70)
FULL = replace(
    REPORT,
    suppressed=(Suppression(FINDINGS[0], "comment", "slow, and fine", SITE),),
    ignores=(IgnoreComment(SITE, ("CL201", "hypot"), "", ("hypot",)),),
    asked=(("CL104", "hypot", "support"),),
)


def there_and_back(report: Report) -> Report:
    return decode_report(json.loads(json.dumps(encode_report(report))))


@pytest.mark.parametrize("report", [FULL, CLEAN, replace(CLEAN, graph=None, trial=None, trials=())])
def test_it_comes_back_equal(report: Report) -> None:
    again = there_and_back(report)
    assert again == report
    assert again.to_dict() == report.to_dict()
    assert str(again) == str(report)


def test_measurements_come_back_too() -> None:
    errors = Errors(0.5, 0.25, float("inf"), 12.0)
    layer = Layer("head", 100, 50, errors)
    rows = (Row("int8", "iOS16", 50, errors, (layer,)), Row("int4", "iOS18", detail="not made"))
    measured = replace(
        CLEAN,
        parity=Parity("equal", "iOS18", "float32", "export", 3, 1e-3, errors),
        compression=Compression("iOS18", "float16", "", Row("none", "iOS15", 100, errors), rows),
    )
    assert there_and_back(measured) == measured
    document = encode_report(measured)
    document["nouns"] = [[name.replace("model.parity", "cli"), keys] for name, keys in document["nouns"]]
    with pytest.raises(Unreadable):
        decode_report(document)


def test_odd_numbers_and_letters_come_back() -> None:
    args = {
        "a": float("inf"),
        "b": float("-inf"),
        "c": 1 + 2j,
        "d": (1, (2.5, None)),
        "e": "\ud800\x00é",
        "f": True,
    }
    odd = replace(HYPOT_CALLS[0], args=args)
    report = replace(REPORT, graph=replace(REPORT.graph, calls=(odd,)))  # type: ignore[type-var]
    again = there_and_back(report)
    assert again.graph is not None
    assert again.graph.calls[0].args == args
    assert isinstance(again.graph.calls[0].args["d"][1], tuple)


def test_what_stands_in_many_places_is_written_once() -> None:
    rows = encode_report(REPORT)["rows"]
    again = there_and_back(REPORT)
    assert again.graph is not None
    assert again.findings[1].calls[3] is again.graph.calls[3]
    assert len([row for row in rows if "aten.hypot.default" in row and "self" in str(row)]) == len(
        HYPOT_CALLS
    )


def test_what_json_cannot_say_is_refused() -> None:
    odd = replace(HYPOT_CALLS[0], args={"a": object()})
    with pytest.raises(TypeError):
        encode_report(replace(REPORT, graph=replace(REPORT.graph, calls=(odd,))))  # type: ignore[type-var]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        "text",
        {"nouns": [], "rows": [], "report": None},
        {"nouns": [["Site", ["path"]]], "rows": [], "report": None},
        {"nouns": [["Nobody", []]], "rows": [], "report": None},
        {
            "nouns": [["Site", ["path", "line", "source", "function"]]],
            "rows": [[0, "a", 1, "", ""]],
            "report": {"@": 0},
        },
        {"nouns": [], "rows": [[7]], "report": {"@": 0}},
    ],
)
def test_another_thing_is_unreadable(document: Any) -> None:
    with pytest.raises(Unreadable):
        decode_report(document)
