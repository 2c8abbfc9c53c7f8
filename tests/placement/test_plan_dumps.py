"""What a Mac said of a model, beside the plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from test_plan import chain, planned

from convlint.errors import FileError
from convlint.placement.dumps import compare_with_dump, read_dump


def written(folder: Path, text: str) -> Path:
    path = folder / "dump"
    path.write_text(text)
    return path


def entry(kind: str, preferred: str, *supported: str) -> dict[str, object]:
    return {"function": "main", "operator": f"ios18.{kind}", "preferred": preferred, "supported": supported}


def test_json_and_lines_say_the_same(tmp_path: Path) -> None:
    listed = {
        "compute_units": "CPU_AND_NE",
        "operations": [
            entry("conv", "ANE", "ANE", "CPU"),
            {"operator": "const"},
            entry("relu", "CPU", "CPU"),
        ],
    }
    dump = read_dump(written(tmp_path, json.dumps(listed)))
    assert dump.compute_units == "cpu+ane"
    lines = "m\t0\tios18.conv\tconv_0\tANE\tCPU,ANE\t0.9\nm\t1\tios18.relu\trelu_0\tCPU\tCPU\t0.1\n"
    lines += "nms\t-\tERROR\n"
    other = read_dump(written(tmp_path, lines))
    assert [(op.kind, op.preferred, op.supported) for op in dump.ops] == [
        (op.kind, op.preferred, op.supported) for op in other.ops
    ]
    assert [op.name for op in other.ops] == ["conv_0", "relu_0"]


@pytest.mark.parametrize(("everything", "units"), [(True, "all"), (False, "cpu+ane")])
def test_a_report_of_anemll_profile_is_read(tmp_path: Path, everything: bool, units: str) -> None:
    """The keys are those that its source writes."""
    common = {"function": "main", "cost": 0.1}
    report = {
        "tool": "anemll-profile",
        "compute": {"mode": "", "compute_units_all": everything},
        "measured_prediction": {"status": "ok", "average_ms": 0.75},
        "ordered_placements": [
            common | {"index": 0, "name": "a", "type": "ios18.conv", "device": "ANE", "ane_supported": True},
            common
            | {"index": 1, "name": "b", "type": "ios18.cumsum", "device": "CPU", "ane_supported": False},
        ],
    }
    dump = read_dump(written(tmp_path, json.dumps(report)))
    assert dump.compute_units == units
    assert [(op.kind, op.name, op.preferred, op.supported) for op in dump.ops] == [
        ("conv", "a", "ANE", ("ANE", "CPU")),
        ("cumsum", "b", "CPU", ("CPU",)),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "no ops with a unit"), ("{", "not JSON"), ("[1, 2]", "no ops"), ('{"operations": 3}', "no ops")],
)
def test_what_is_no_dump_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileError, match=message):
        read_dump(written(tmp_path, text))
    with pytest.raises(FileError, match="cannot be read"):
        read_dump(tmp_path / "absent")


def test_ops_are_matched_in_order_and_each_difference_says_why(tmp_path: Path) -> None:
    plan = planned(chain(*["conv"] * 12, "cumsum", "relu"))
    told = [entry("conv", "ANE", "ANE", "CPU")] * 11 + [
        entry("conv", "CPU", "CPU"),
        entry("cumsum", "ANE", "ANE", "CPU"),
        entry("sigmoid", "CPU", "CPU"),
    ]
    found = compare_with_dump(plan, read_dump(written(tmp_path, json.dumps(told))), "a Mac")
    assert found.unmatched == 1, "the sigmoid"
    differing = {op.kind: op.why for op in found.ops if op.why}
    assert "no rule for that" in differing["conv"]
    assert "a rule of the plan refuses" in differing["cumsum"]
    assert found.agreement == pytest.approx(11 / 13)


def test_names_go_before_order(tmp_path: Path) -> None:
    plan = planned(chain("conv", "conv"))
    plan = replace(plan, ops=tuple(replace(op, name=f"conv_{op.index}") for op in plan.ops))
    lines = "m\t0\tios18.conv\tconv_1_cast_fp16\tCPU\tCPU\t1\nm\t1\tios18.conv\tconv_0\tANE\tCPU,ANE\t1\n"
    found = compare_with_dump(plan, read_dump(written(tmp_path, lines)), "a Mac")
    assert [(op.name, op.preferred) for op in found.ops] == [("conv_0", "ANE"), ("conv_1", "CPU")]
