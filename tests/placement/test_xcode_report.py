"""A performance report of Xcode, in the form of one that was published, beside the plan of its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_plan import chain, planned

from convlint.errors import FileError
from convlint.output.plan import compared_lines
from convlint.placement.chips import chip_of_phone, chips
from convlint.placement.dumps import compare_with_dump, read_dump


def device(kind: str) -> dict[str, Any]:
    return {"deviceType": {kind: {}}}


def operation(kind: str, name: str, preferred: str, *supported: str, weight: float = 0.25) -> dict[str, Any]:
    states = [each for unit in supported for each in (device(unit), {"supported": {}})]
    return {
        "cost": {"weight": weight},
        "deviceUsage": {
            "supported": [device(unit) for unit in supported],
            "preferred": device(preferred),
            "allSupportStates": states,
        },
        "outputs": [{"name": name, "type": {}}],
        "blocks": [],
        "operatorName": f"ios17.{kind}",
        "inputs": {"x": {"bindings": [{"name": {"_0": "input"}}]}},
    }


def report(*operations: dict[str, Any], units: int = 2) -> dict[str, Any]:
    constant = {"outputs": [{"name": "pad", "type": {}}], "blocks": [], "operatorName": "const", "inputs": {}}
    functions = {"main": {"block": {"operations": [constant, *operations]}}}
    return {
        "deviceInfo": {
            "modelName": "iPhone 16 Pro",
            "osNameAndVersionWithoutBuildNumber": "iOS 26.5.2",
            "deviceType": {"iPhone": {}},
        },
        "jsonVersion": 1,
        "modelMetadata": {"fileName": "net", "size": 7622432},
        "computeUnit": units,
        "deviceResults": {
            "load": {"samples": [2.1, 0.022], "numOperations": 3},
            "predict": {"samples": [0.0256, 0.0128, 0.0127], "numOperations": 3},
            "availableComputeDevices": [device("neuralEngine"), device("gpu"), device("cpu")],
            "modelStructure": {"program": {"_0": {"functions": functions}}},
        },
    }


def written(folder: Path, data: dict[str, Any]) -> Path:
    path = folder / "net.mlperf"
    path.mkdir()
    (path / "report.json").write_text(json.dumps(data))
    return path


def test_a_report_has_units_of_ops_and_the_median_prediction(tmp_path: Path) -> None:
    told = report(
        operation("conv", "a_cast_fp16", "neuralEngine", "cpu", "gpu", "neuralEngine", weight=0.75),
        operation("cumsum", "b", "cpu", "cpu"),
    )
    path = written(tmp_path, told)
    dump = read_dump(path)
    assert dump == read_dump(path / "report.json")
    assert (dump.compute_units, dump.device, dump.system) == ("all", "iPhone 16 Pro", "iOS 26.5.2")
    assert dump.milliseconds == pytest.approx(12.8)
    assert [(op.kind, op.name, op.preferred, op.supported, op.weight) for op in dump.ops] == [
        ("conv", "a_cast_fp16", "ANE", ("ANE", "GPU", "CPU"), 0.75),
        ("cumsum", "b", "CPU", ("CPU",), 0.25),
    ]


@pytest.mark.parametrize(("number", "units"), list(enumerate(["cpu", "cpu+gpu", "all", "cpu+ane"])))
def test_the_number_of_the_compute_units(tmp_path: Path, number: int, units: str) -> None:
    told = report(operation("conv", "a", "cpu", "cpu"), units=number)
    assert read_dump(written(tmp_path, told)).compute_units == units


@pytest.mark.parametrize(
    "spoilt",
    [
        {"deviceResults": {}},
        {"deviceResults": {"predict": {"samples": "12"}, "modelStructure": []}},
        {"deviceResults": {"modelStructure": {"program": {"_0": {"functions": {"main": 3}}}}}},
        {"deviceResults": {"predict": {"samples": [None, -1, True]}}, "computeUnit": 9, "deviceInfo": 3},
    ],
)
def test_a_report_that_says_nothing_is_refused(tmp_path: Path, spoilt: dict[str, Any]) -> None:
    with pytest.raises(FileError, match="no ops with a unit in it, and no time of a prediction"):
        read_dump(written(tmp_path, spoilt))


def test_a_folder_without_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"report\.json: cannot be read"):
        read_dump(tmp_path)


def test_an_iphone_is_known_by_its_chip() -> None:
    known = {
        "iPhone 16 Pro": "A18 Pro", "iPhone 16 Pro Max": "A18 Pro", "iPhone 16": "A18", "iPhone 16e": "A18",
        "iPhone 12 mini": "A14", "iPhone 14 Plus": "A15", "iPhone 14 Pro Max": "A16", "iPhone XS Max": "A12",
        "iPhone 15 Pro": "A17 Pro", "iPhone 13": "A15", "iPhone 17 Pro Max": "A19 Pro", "iPhone 17": "A19",
    }  # fmt: skip
    assert {name: chip_of_phone(name) for name in known} == known
    for name in ("", "iPhone", "iPhone 1", "MacBook Pro", "iPad Air 11-inch (M2)", "iPhone 99"):
        assert chip_of_phone(name) is None
    assert set(known.values()) <= set(chips())


def test_whole_predictions_are_compared_and_what_is_furthest_off(tmp_path: Path) -> None:
    plan = planned(chain(*["conv"] * 11, "cumsum"), chip="A18 Pro", units="all")
    convolutions = [operation("conv", "", "neuralEngine", "cpu", "neuralEngine", weight=0.01)] * 11
    told = report(*convolutions, operation("cumsum", "", "cpu", "cpu", weight=0.89))
    found = compare_with_dump(plan, read_dump(written(tmp_path, told)), "net.mlperf")
    assert found.predict_ms == {"all": pytest.approx(12.8)}
    assert sum(op.told_ms or 0.0 for op in found.ops) == pytest.approx(12.8)
    whole, made, furthest = compared_lines(found, plan)
    ratio = plan.latency_ms.mid / 12.8
    assert whole.startswith("a prediction with all: measured 12.8 ms, planned")
    assert whole.endswith(f"{ratio:.2f} times the measured")
    assert made.startswith("the estimate with all is made of: ")
    assert "cumsum 11, planned" in furthest
    assert sum(plan.spent_on.values()) == pytest.approx(plan.latency_ms.mid)
