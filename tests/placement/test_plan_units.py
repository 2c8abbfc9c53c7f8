"""Which units a plan says to ask for, why it leaves the Neural Engine, and plans of several chips."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_plan import chain, operation, planned, tensor

from convlint.errors import UsageError
from convlint.model import TensorMeta
from convlint.model.placement import ComputeUnits, Interval, Plan
from convlint.output.plan_units import advice_on_units, choice_rows, device_rows, verdict_of
from convlint.placement.chips import chips, devices_for, find_chip, find_device
from convlint.placement.cost import cost_of
from convlint.placement.estimate import gpu_tflops
from convlint.placement.forecast import plan_operations
from convlint.placement.operations import Operation
from convlint.placement.rules import judge_placement
from convlint.placement.segmenter import segmenter_ms


def taking(plan: Plan, **milliseconds: float) -> Plan:
    """The plan with other times of its choices."""
    words = {"all_": "all", "ane": "cpu+ane", "gpu": "cpu+gpu", "cpu": "cpu"}
    times = {words[name]: time for name, time in milliseconds.items()}
    return replace(
        plan,
        choices=tuple(
            replace(choice, latency_ms=Interval(0.0, times[choice.compute_units], 0.0))
            for choice in plan.choices
        ),
    )


class TestChoices:
    @pytest.mark.parametrize(
        ("times", "advised"),
        [
            ({"all_": 4.0, "ane": 2.0, "gpu": 3.0, "cpu": 9.0}, "cpu+ane"),
            ({"all_": 2.05, "ane": 2.0, "gpu": 3.0, "cpu": 9.0}, "all"),
            ({"all_": 2.0, "ane": 9.0, "gpu": 2.0, "cpu": 9.0}, "all"),
            ({"all_": 9.0, "ane": 9.0, "gpu": 2.0, "cpu": 9.0}, "cpu+gpu"),
        ],
    )
    def test_the_fastest_is_advised_but_all_where_it_costs_nothing(
        self, times: dict[str, float], advised: ComputeUnits
    ) -> None:
        plan = taking(planned(chain("conv")), **times)
        assert plan.advised is not None
        assert plan.advised.compute_units == advised
        assert plan.to_dict()["advised"] == advised

    def test_the_advice_has_the_line_to_write_and_what_the_default_costs(self) -> None:
        plan = taking(planned(chain("conv")), all_=4.0, ane=2.0, gpu=2.2, cpu=9.0)
        lines = advice_on_units(plan)
        assert lines[0].endswith("cpu+gpu is within the error of the forecast: measure it")
        assert "2.00 times as long" in lines[1]
        assert ".cpuAndNeuralEngine" in lines[2]
        assert "ct.ComputeUnit.CPU_AND_NE" in lines[3]
        assert [row[0] for row in choice_rows(plan)] == ["ask for", "cpu+ane", "cpu+gpu", "all", "cpu"]

    def test_power_is_told_where_it_was_measured(self) -> None:
        assert "measured power" in choice_rows(planned(chain("conv"), "M5 Max"))[0]
        assert "measured power" not in choice_rows(planned(chain("conv"), "M4"))[0]

    def test_the_limit_says_how_sure_it_is(self) -> None:
        plan = replace(planned(chain("conv")), latency_ms=Interval(2.0, 3.0, 4.0))
        told = [verdict_of(plan, limit) for limit in (1.0, 2.5, 3.5, 4.0)]
        assert told == ["no", "no, but not surely", "yes, but not surely", "yes"]
        assert device_rows([plan], 3.5)[1][-1] == "yes, but not surely"


class TestSentences:
    @pytest.mark.parametrize(
        ("kinds", "units", "reason"),
        [
            (("relu",), "cpu+ane", "the model is too small to be worth a launch there"),
            (("relu",), "cpu", "it was not asked for"),
            (("cumsum",), "cpu+ane", "it takes none of the ops"),
            (("relu", "cumsum"), "cpu+ane", "too little to be worth the changes around what it refuses"),
        ],
    )
    def test_a_plan_without_the_engine_says_why(
        self, kinds: tuple[str, ...], units: ComputeUnits, reason: str
    ) -> None:
        sentence = planned(chain(*kinds), units=units).sentence
        assert "nothing of it on the Neural Engine: " in sentence
        assert reason in sentence


class TestDevices:
    def test_a_list_of_chips_and_all_of_them(self) -> None:
        assert [each.chip.name for each in devices_for("A15, a17pro,M4", None, "iOS17")] == [
            "A15",
            "A17 Pro",
            "M4",
        ]
        assert [each.chip.name for each in devices_for("M4,m4", None, "iOS17")] == ["M4"]
        assert {each.chip.name for each in devices_for("all", None, "iOS17")} == set(chips())

    def test_all_leaves_out_what_never_ran_the_system_and_a_named_one_is_refused(self) -> None:
        names = {each.chip.name for each in devices_for("all", "iOS18", "iOS18")}
        assert "A18" in names
        assert "M4 Pro" not in names
        with pytest.raises(UsageError, match="M4 Pro never ran iOS18"):
            devices_for("A18,M4Pro", "iOS18", "iOS18")


class TestPhysics:
    def test_matrix_units_count_by_core(self) -> None:
        assert gpu_tflops(find_chip("M5 Max")) == pytest.approx(39.2)
        assert gpu_tflops(find_chip("M5")) == pytest.approx(9.8)
        assert gpu_tflops(find_chip("M4 Pro")) == pytest.approx(6.4, rel=0.01)

    @pytest.mark.parametrize(("outputs", "ratio"), [(1024, 5.29 / 0.168), (256, 0.58 / 0.0226)])
    def test_a_linear_is_rated_as_core_ml_rates_it(self, outputs: int, ratio: float) -> None:
        inputs = (tensor(1, 64, 128), tensor(outputs, 128, const=True))
        result = (TensorMeta((1, 64, outputs), "float16"),)
        linear = Operation("linear", "linear", inputs, result, (), {"depth": 128})
        times = segmenter_ms(linear, cost_of(linear, None, False), find_chip("M4"))
        assert times["CPU"] / times["ANE"] == pytest.approx(ratio, rel=0.3)

    def test_a_cast_to_int8_is_offered_on_the_engine_and_one_to_int32_is_not(self) -> None:
        device = find_device("M4", None)
        for dtype, on_ane in (("int8", True), ("int32", False)):
            cast = replace(operation("cast"), outputs=(TensorMeta((1, 64, 56, 56), dtype),))
            assert ("ANE" in judge_placement(cast, device).allowed) is on_ane

    def test_a_channel_shuffle_is_a_what_if(self) -> None:
        split, mixed = (1, 2, 32, 56, 56), (1, 32, 2, 56, 56)
        shuffle = Operation("transpose", "shuffle", (tensor(*split),), (TensorMeta(mixed, "float16"),), (7,))
        body = [*chain(*["conv"] * 8), shuffle, *chain(*["conv"] * 8)]
        body[9] = replace(body[9], reads=(8,))
        device = find_device("M4", None)
        with_it = plan_operations("model", body, device, "mil", "cpu+ane")
        assert any("channel shuffles" in each.assumption for each in with_it.what_if)
        without = plan_operations("model", chain(*["conv"] * 8), device, "mil", "cpu+ane")
        assert not any("channel shuffles" in each.assumption for each in without.what_if)
