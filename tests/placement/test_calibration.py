"""Numbers of a chip that are fitted to measurements, on programs that are written down here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from test_plan import operation, planned

from convlint.errors import FileError, SettingsError
from convlint.model.fitted import Fitted
from convlint.model.placement import COMPUTE_UNITS, ComputeUnits, Plan
from convlint.placement.chips import find_device
from convlint.placement.estimate import FACTORS
from convlint.placement.fitted import fitted_path, fitted_text, read_fitted, with_fitted
from convlint.placement.fitting import calibrate
from convlint.placement.forecast import plan_operations
from convlint.placement.measured_plans import read_samples

SIZES = {"a": (14, 128, 56), "b": (20, 512, 7), "c": (8, 1024, 7), "d": (20, 96, 80), "e": (6, 512, 4)}


def program(name: str) -> list[Any]:
    """Convolutions of some depth, channels and size: some bound by arithmetic, some by weights."""
    depth, channels, size = SIZES[name]
    shape = (1, channels, size, size)
    return [operation("conv", *([index - 1] if index else []), shape=shape) for index in range(depth)]


def model(name: str, chip: str = "M4", fitted: Fitted | None = None) -> Plan:
    device = find_device(chip, None)
    device = with_fitted(device, (fitted,) if fitted is not None else ())
    return plan_operations(name, program(name), device, "mil", "cpu+ane")


def fit_of(**factors: float) -> Fitted:
    return Fitted("M4", factors, 4, 3, "2026-01-02")


def measured(folder: Path, name: str, truth: Fitted, units: tuple[ComputeUnits, ...] = ("cpu+ane",)) -> str:
    """A plan by the shipped numbers, beside what a chip with other numbers takes."""
    real = {choice.compute_units: choice.latency_ms.mid for choice in model(name, fitted=truth).choices}
    data = model(name).to_dict() | {"compared": {"predict_ms": {words: real[words] for words in units}}}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(data))
    return str(path)


def test_the_parts_of_a_plan_are_its_times() -> None:
    plan = model("b")
    for op in plan.ops:
        slowest = max(op.parts[name] for name in ("arithmetic", "values", "weights"))
        assert op.times["ANE"] == pytest.approx(slowest + op.parts["each op"])
    assert [len(choice.units) for choice in plan.choices] == [len(plan.ops)] * len(COMPUTE_UNITS)


def test_a_sample_by_shipped_numbers_is_the_plan(tmp_path: Path) -> None:
    units = tuple(COMPUTE_UNITS)
    (samples,) = read_samples([measured(tmp_path, "a", fit_of(), units)]).values()
    assert {sample.compute_units for sample in samples} == set(units)
    for sample in samples:
        assert sample.predict({}) == pytest.approx(sample.milliseconds), sample.compute_units


@pytest.mark.parametrize("factors", [{"weights": 2.0}, {"GPU": 0.5, "arithmetic": 1.6}, {"CPU": 3.0}])
def test_a_sample_follows_the_factors_as_a_plan_does(tmp_path: Path, factors: dict[str, float]) -> None:
    (samples,) = read_samples([measured(tmp_path, "a", fit_of(**factors), tuple(COMPUTE_UNITS))]).values()
    for sample in samples:
        assert sample.predict(factors) == pytest.approx(sample.milliseconds), sample.compute_units


def test_a_plan_that_was_made_with_fitted_numbers_gives_the_shipped_ones_back(tmp_path: Path) -> None:
    fitted = fit_of(GPU=0.5, CPU=2.0, arithmetic=1.5)
    plan = model("a", fitted=fitted)
    times = {choice.compute_units: choice.latency_ms.mid for choice in model("a").choices}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(plan.to_dict() | {"measured": {"predict_ms": times}}))
    for sample in read_samples([str(path)])["M4"]:
        assert sample.predict({}) == pytest.approx(sample.milliseconds)


def test_a_slower_chip_is_found_and_foretold(tmp_path: Path) -> None:
    truth = fit_of(weights=2.0)
    files = [measured(tmp_path, name, truth) for name in SIZES]
    found = calibrate("M4", read_samples(files)["M4"], "2026-01-02")
    assert found.before > 0.15
    assert found.after < 0.05
    assert set(found.fitted.factors) == {"weights"}
    assert found.fitted.factors["weights"] == pytest.approx(2.0, rel=0.1)
    assert (found.fitted.measurements, found.fitted.models) == (5, 5)


def test_two_causes_are_told_apart(tmp_path: Path) -> None:
    truth = fit_of(arithmetic=1.7, GPU=0.5)
    files = [measured(tmp_path, name, truth, ("cpu+ane", "cpu+gpu")) for name in SIZES]
    factors = calibrate("M4", read_samples(files)["M4"], "2026-01-02").fitted.factors
    assert set(factors) == {"arithmetic", "GPU"}
    assert factors["arithmetic"] == pytest.approx(1.7, rel=0.1)
    assert factors["GPU"] == pytest.approx(0.5, rel=0.1)


def test_noise_that_says_nothing_leaves_the_shipped_numbers(tmp_path: Path) -> None:
    files = []
    for index, name in enumerate(SIZES):
        path = Path(measured(tmp_path, name, fit_of()))
        data = json.loads(path.read_text())
        data["compared"]["predict_ms"]["cpu+ane"] *= 1.3 if index % 2 else 1 / 1.3
        path.write_text(json.dumps(data))
        files.append(str(path))
    found = calibrate("M4", read_samples(files)["M4"], "2026-01-02")
    assert found.fitted.factors == {}
    assert found.before == pytest.approx(0.3)


def test_the_same_measurement_counts_once(tmp_path: Path) -> None:
    path = measured(tmp_path, "a", fit_of())
    assert len(read_samples([path, path])["M4"]) == 1


def without(data: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in keys}


def test_every_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    plan = json.loads(Path(measured(tmp_path, "a", fit_of())).read_text())
    spoilt = {
        "text": "plain",
        "list": [1, 2],
        "no plan": {"predict": {"samples": [1.0]}},
        "no time": without(plan, "compared"),
        "negative": plan | {"compared": {"predict_ms": {"cpu+ane": -1.0}}},
        "words": plan | {"compared": {"predict_ms": {"cpu+ane": "fast"}}},
        "aten": plan | {"level": "aten"},
        "unknown chip": plan | {"chip": "Snapdragon"},
        "old": plan | {"ops": [without(op, "parts") for op in plan["ops"]]},
    }
    files = []
    for name, data in spoilt.items():
        (tmp_path / f"{name}.json").write_text(data if isinstance(data, str) else json.dumps(data))
        files.append(str(tmp_path / f"{name}.json"))
    files += [str(tmp_path / "absent"), str(tmp_path)]
    with pytest.raises(FileError) as raised:
        read_samples(files)
    problems = raised.value.problems
    assert len(problems) == len(files)
    for file, problem in zip(files, problems, strict=True):
        assert problem.startswith(file)
    words = ("not JSON", "no plan", "no plan", "no time", "-1.0 is no time", "'fast' is no time")
    words += ("PyTorch's own ops", "no plan", "plan again", "cannot be read", "a folder")
    for word, problem in zip(words, problems, strict=True):
        assert word in problem


def test_what_is_written_is_read_and_used(tmp_path: Path) -> None:
    path = fitted_path(tmp_path)
    assert read_fitted(tmp_path) == ()
    path.parent.mkdir()
    fitted = fit_of(**dict.fromkeys(FACTORS, 1.5))
    path.write_text(fitted_text([fitted]))
    assert read_fitted(tmp_path) == (fitted,)
    plan, shipped = model("a", fitted=fitted), model("a")
    assert plan.latency_ms.mid == pytest.approx(1.5 * shipped.latency_ms.mid, rel=0.02), (
        "but what each op costs"
    )
    assert any(
        note.startswith("chip numbers fitted to 4 measurements of 2026-01-02 (3 models)")
        for note in plan.notes
    )
    assert sum(plan.spent_on.values()) == pytest.approx(plan.latency_ms.mid)
    other = plan_operations("a", program("a"), with_fitted(find_device("M2", None), (fitted,)), "mil")
    assert other.fitted is None, "the numbers are of one chip"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chip = 3", "a list is needed"),
        ("[[chip]", "not valid TOML"),
        ("[[chip]]\nname = 'M4'", "missing"),
        ("[[chip]]\nname='M4'\ndate='x'\nmeasurements=1\nmodels=1\nfactors={wieghts=1.0}", "unknown key"),
        ("[[chip]]\nname='M4'\ndate='x'\nmeasurements=1\nmodels=1\nfactors={weights=0.0}", "above 0"),
        ("[[chip]]\nname='M4'\ndate='x'\nmeasurements=1\nmodels=1\nfactors={weights=nan}", "above 0"),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = fitted_path(tmp_path)
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(SettingsError, match=message):
        read_fitted(tmp_path)


def test_a_plan_of_one_op_has_parts_too() -> None:
    assert planned([operation("conv")]).spent_on
