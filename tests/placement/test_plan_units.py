"""Which compute units to ask for, on programs that are written down here, and on several chips."""

from __future__ import annotations

import pytest

from convlint.errors import UsageError
from convlint.model import TensorArg, TensorMeta
from convlint.model.placement import COMPUTE_UNITS, ComputeUnits, Interval, Plan, Share, UnitChoice, best_of
from convlint.model.unit_choice import PYTHON, SWIFT, cost_of_all
from convlint.placement.chips import chips, devices_for, find_device
from convlint.placement.forecast import plan_operations
from convlint.placement.operations import Operation
from convlint.placement.what_if import shuffles_of

SHARE = Share({"ANE": 0.0, "GPU": 0.0, "CPU": 1.0}, {"ANE": 0.0, "GPU": 0.0, "CPU": 1.0})


def choice(units: ComputeUnits, milliseconds: float, crossings: int = 0) -> UnitChoice:
    return UnitChoice(units, Interval(milliseconds, milliseconds, milliseconds), SHARE, crossings)


def linears(count: int, shape: tuple[int, ...] = (16, 196, 768)) -> list[Operation]:
    width = shape[-1]
    data, weight = TensorMeta(shape, "float16"), TensorMeta((width, width), "float16")
    inputs = (TensorArg("x", data, "computed", False), TensorArg("w", weight, "parameter", True))
    return [
        Operation("linear", f"l{at}", inputs, (data,), (at - 1,) if at else (), {"depth": width})
        for at in range(count)
    ]


def planned(operations: list[Operation], chip: str, units: ComputeUnits = "all") -> Plan:
    return plan_operations("model", operations, find_device(chip, None), "mil", units)


class TestChoices:
    def test_every_choice_has_a_forecast_whatever_was_asked_for(self) -> None:
        for units in COMPUTE_UNITS:
            plan = planned(linears(12), "M4 Pro", units)
            assert {each.compute_units for each in plan.choices} == set(COMPUTE_UNITS)
            asked = next(each for each in plan.choices if each.compute_units == units)
            assert asked.latency_ms.mid == pytest.approx(plan.latency_ms.mid)

    def test_the_unit_to_ask_for_depends_on_the_chip(self) -> None:
        """As it was measured: a vision tower is faster on the engine of M4 Pro, and on the GPU of M5 Max."""
        best = {chip: planned(linears(48), chip).best for chip in ("M4 Pro", "M5 Max")}
        assert {chip: each.compute_units for chip, each in best.items() if each} == {
            "M4 Pro": "cpu+ane",
            "M5 Max": "cpu+gpu",
        }

    def test_a_chip_without_an_open_engine_is_not_offered_it(self) -> None:
        assert {each.compute_units for each in planned(linears(4), "A11").choices} == {"cpu", "cpu+gpu"}

    def test_of_two_alike_the_one_that_draws_less(self) -> None:
        best = best_of([choice("all", 1.0), choice("cpu+gpu", 1.0), choice("cpu+ane", 1.05)])
        assert best is not None
        assert best.compute_units == "cpu+ane"
        faster = best_of([choice("all", 1.0), choice("cpu+gpu", 1.0), choice("cpu+ane", 1.5)])
        assert faster is not None
        assert faster.compute_units == "cpu+gpu"
        assert best_of([]) is None

    def test_a_split_that_costs_more_than_a_pinned_unit_is_told(self) -> None:
        told = cost_of_all([choice("all", 2.0, crossings=3), choice("cpu+ane", 1.0), choice("cpu+gpu", 1.5)])
        assert told == "all costs 2 times as long as cpu+ane, with 3 values copied between units"
        assert cost_of_all([choice("all", 1.0), choice("cpu+ane", 1.0)]) == ""

    def test_the_python_lines_are_coremltools_own(self) -> None:
        ct = pytest.importorskip("coremltools")
        for units, line in PYTHON.items():
            assert hasattr(ct.ComputeUnit, line.rpartition(".")[2]), units
        assert set(SWIFT) == set(PYTHON) == set(COMPUTE_UNITS)


class TestSeveralChips:
    def test_a_list_keeps_its_order_and_names_each_once(self) -> None:
        devices = devices_for("M4, A15,a17pro,A15", None, "iOS17")
        assert [device.name for device in devices] == ["M4, iOS17", "A15, iOS17", "A17 Pro, iOS17"]

    def test_all_are_those_that_can_run_the_model(self) -> None:
        """A chip that begins with a later system runs what was converted for an earlier one."""
        names = {device.chip.name: device.target for device in devices_for("all", None, "iOS17")}
        assert names["A12"] == "iOS17"
        assert names["A18"] == "iOS18"
        assert "A11" not in names, "its last system is iOS16"
        assert "M4 Pro" not in names, "no iPad has it"
        macs = {device.chip.name for device in devices_for("all", "macOS15", "iOS17")}
        assert {"M1", "M4 Pro", "M5 Max"} <= macs

    def test_an_unknown_chip_in_a_list_is_named(self) -> None:
        with pytest.raises(UsageError, match="unknown chip 'A99'"):
            devices_for("A15,A99", None, "iOS17")

    def test_every_assumed_figure_has_words(self) -> None:
        for name, chip in chips().items():
            if chip.assumed:
                plan = planned(linears(1), name)
                assert any(f"of {name}, no source gives" in note for note in plan.notes)


class TestShuffles:
    def shuffled(self, permuted: tuple[int, ...]) -> list[Operation]:
        image, split = (1, 64, 56, 56), (1, 2, 32, 56, 56)
        metas = [TensorMeta(shape, "float16") for shape in (image, split, permuted)]
        inputs = [(TensorArg("x", meta, "computed", False),) for meta in metas]
        return [
            Operation("relu", "a", inputs[0], (metas[0],)),
            Operation("reshape", "b", inputs[0], (metas[1],), (0,)),
            Operation("transpose", "c", inputs[1], (metas[2],), (1,)),
        ]

    def test_a_channel_shuffle_is_a_what_if(self) -> None:
        operations = self.shuffled((1, 32, 2, 56, 56))
        assert shuffles_of(operations) == [2]
        told = [each.assumption for each in planned(operations, "M4", "cpu+ane").what_if]
        assert any(text.startswith("the channel shuffle leaves the Neural Engine") for text in told)

    def test_another_transpose_of_five_axes_is_none(self) -> None:
        operations = self.shuffled((1, 2, 32, 56, 56))
        assert shuffles_of(operations) == []
        assert not any("shuffle" in each.assumption for each in planned(operations, "M4").what_if)
