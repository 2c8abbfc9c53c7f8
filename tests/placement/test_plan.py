"""The engine of a plan, on programs that are written down here: no torch, no coremltools."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from convlint.coreml.targets import TARGETS
from convlint.errors import UsageError
from convlint.model import TensorArg, TensorMeta
from convlint.model.placement import COMPUTE_UNITS, UNITS, ComputeUnits, Plan
from convlint.placement.attributes import attributes_of, einsum_depth
from convlint.placement.chips import chips, find_device
from convlint.placement.cost import Cost, cost_of, padded_bytes
from convlint.placement.estimate import ane_ms, calibration, change_ms, unit_ms
from convlint.placement.forecast import plan_operations
from convlint.placement.islands import crossings_of, graph_of, islands_of, longest_chain
from convlint.placement.operations import Operation
from convlint.placement.rules import judge_placement
from convlint.placement.segmenter import segmenter, segmenter_ms
from convlint.placement.segments import divide

IMAGE = (1, 64, 56, 56)


def tensor(*shape: int | str, dtype: str = "float16", const: bool = False) -> TensorArg:
    origin = "parameter" if const else "computed"
    return TensorArg("t", TensorMeta(shape, dtype), origin, const)  # type: ignore[arg-type]


def operation(kind: str, *reads: int, shape: tuple[int, ...] = IMAGE, dtype: str = "float16") -> Operation:
    """An op that keeps the shape; a convolution has a 3x3 kernel from 64 channels to 64."""
    inputs = tuple(tensor(*shape, dtype=dtype) for _ in reads or (0,))
    attributes = {}
    if kind == "conv":
        inputs = (*inputs, tensor(shape[1], shape[1], 3, 3, const=True))
        attributes = {"kernel": (3, 3), "depth": shape[1] * 9, "groups": 1}
    return Operation(kind, kind, inputs, (TensorMeta(shape, dtype),), reads, attributes)


def chain(*kinds: str) -> list[Operation]:
    return [operation(kind, *([index - 1] if index else [])) for index, kind in enumerate(kinds)]


def planned(operations: list[Operation], chip: str = "M4", units: ComputeUnits = "cpu+ane") -> Plan:
    return plan_operations("model", operations, find_device(chip, None), "mil", units)


class TestDevices:
    @pytest.mark.parametrize("text", ["A17 Pro", "a17pro", "A17-Pro", " A17PRO "])
    def test_a_chip_is_found_however_it_is_spelled(self, text: str) -> None:
        assert find_device(text, "ios17").name == "A17 Pro, iOS17"

    @pytest.mark.parametrize(
        ("chip", "system", "message"),
        [
            ("A17", "iOS17", "Did you mean A17 Pro?"),
            ("M44", None, "Did you mean M4?"),
            ("Snapdragon", None, "Known chips: A11, A12"),
            ("", None, "Known chips: A11, A12"),
            ("A17 Pro", "iOS19", "unknown target 'iOS19'"),
            ("A11", "iOS18", "A11 never ran iOS18: it runs iOS11 to iOS16."),
            ("M1 Max", "iOS17", "M1 Max never ran iOS17: it runs macOS12 and later."),
            ("A14", "watchOS10", "none that is known"),
        ],
    )
    def test_what_never_was_is_refused_with_what_was(self, chip: str, system: str, message: str) -> None:
        with pytest.raises(UsageError) as raised:
            find_device(chip, system)
        assert message in str(raised.value)

    def test_every_chip_runs_some_system_that_coremltools_knows(self) -> None:
        for name, chip in chips().items():
            assert find_device(name, None).target in TARGETS
            assert chip.sources
            assert chip.dram_gb_s > 0
            assert chip.gpu_tflops > 0


class TestCosts:
    def test_rows_are_padded_to_64_bytes(self) -> None:
        assert padded_bytes(TensorMeta((1, 8, 4, 7), "float16")) == 8 * 4 * 64
        assert padded_bytes(TensorMeta((1, 8, 4, 33), "float32")) == 8 * 4 * 128, "kept as float16"
        assert padded_bytes(TensorMeta((3, 1), "float16")) == 3 * 64

    def test_a_convolution_counts_its_multiply_adds_twice(self) -> None:
        cost = cost_of(operation("conv"), None, False)
        assert cost.flops == 2 * 64 * 56 * 56 * 64 * 9
        assert cost.weights == 64 * 64 * 9 * 2
        assert cost.traffic - cost.padding == 2 * 64 * 56 * 56 * 2
        assert cost.padding == 2 * 64 * 56 * (128 - 112)

    def test_an_activation_rides_on_the_op_before_unless_something_else_reads_that(self) -> None:
        conv, relu = chain("conv", "relu")
        assert cost_of(relu, conv, True).traffic == 0
        assert cost_of(relu, conv, False).traffic > 0

    def test_a_product_is_as_deep_as_what_it_sums(self) -> None:
        x, y = tensor(1, 8, 16, 64), tensor(1, 8, 64, 32)
        assert attributes_of("matmul", {"x": x, "y": y}, ())["depth"] == 64
        assert attributes_of("matmul", {"x": x, "y": y, "transpose_x": True}, ())["depth"] == 16
        assert einsum_depth("bhqd,bhkd->bhqk", [x, tensor(1, 8, 20, 64)]) == 64

    def test_a_row_kernel_is_a_plane_one_high(self) -> None:
        attributes = attributes_of("conv", {"x": tensor(1, 4, 9), "weight": tensor(8, 4, 31, const=True)}, ())
        assert attributes["kernel"] == (1, 31)
        assert attributes["depth"] == 4 * 31


class TestRules:
    @pytest.mark.parametrize(
        ("kind", "attributes", "chip", "on_ane"),
        [
            ("conv", {"kernel": (16, 16)}, "M4", True),
            ("conv", {"kernel": (17, 17)}, "M4", False),
            ("conv", {"kernel": (1, 15)}, "M4", True),
            ("conv", {"kernel": (1, 16)}, "M4", False),
            ("conv", {"kernel": (31, 1)}, "M4", True),
            ("conv", {"kernel": (32, 1)}, "M4", False),
            ("conv", {"kernel": (14, 14)}, "M1", False),
            ("max_pool", {"kernel": (9, 1)}, "M4", True),
            ("max_pool", {"kernel": (1, 9)}, "M4", False),
            ("matmul", {"depth": 32768}, "M4", True),
            ("matmul", {"depth": 32769}, "M4", False),
            ("matmul", {"depth": 20000}, "M2", False),
            ("gather", {"indices_const": True}, "M4", True),
            ("gather", {"indices_const": False}, "M4", False),
            ("pad", {"mode": "constant", "value": 0}, "M4", True),
            ("pad", {"mode": "constant", "value": 1.5}, "M4", False),
            ("pad", {"mode": "reflect", "value": 0}, "M4", True),
            ("sin", {}, "M1", False),
            ("sin", {}, "M3", True),
            ("topk", {}, "M3", False),
            ("topk", {}, "M4", True),
            ("relu", {}, "A11", False),
            ("made_up", {}, "M4", False),
        ],
    )
    def test_limits_are_those_of_the_chip(
        self, kind: str, attributes: dict[str, object], chip: str, on_ane: bool
    ) -> None:
        op = replace(operation(kind), attributes=attributes)
        verdict = judge_placement(op, find_device(chip, None))
        assert ("ANE" in verdict.allowed) is on_ane
        assert "CPU" in verdict.allowed
        assert verdict.reason

    @pytest.mark.parametrize(
        ("shape", "dtype", "chip", "on_ane"),
        [
            ((1, 65536), "float16", "M4", True),
            ((1, 65537), "float16", "M4", False),
            ((65537, 1), "float16", "M4", False),
            ((1, 20000), "float16", "M3", False),
            ((1, 20000, 2, 2), "float16", "M3", True),
            ((1, 2, 3, 4, 5, 6), "float16", "M4", False),
            ((1, 4), "int32", "M4", False),
            ((1, "s0"), "float16", "M4", False),
        ],
    )
    def test_tensors_have_limits_of_their_own(
        self, shape: tuple[int, ...], dtype: str, chip: str, on_ane: bool
    ) -> None:
        verdict = judge_placement(operation("relu", shape=shape, dtype=dtype), find_device(chip, None))
        assert ("ANE" in verdict.allowed) is on_ane

    def test_a_program_in_float32_is_not_for_the_engine(self) -> None:
        verdict = judge_placement(operation("conv"), find_device("M4", None), "float32")
        assert "ANE" not in verdict.allowed
        assert verdict.confidence == "documented"

    @pytest.mark.parametrize(
        ("op", "code"), [("aten.embedding.default", "CL204"), ("aten.index.Tensor", "CL205")]
    )
    def test_a_lookup_names_the_rule_of_its_op(self, op: str, code: str) -> None:
        lookup = replace(operation("gather"), op=op, attributes={"indices_const": False})
        assert judge_placement(lookup, find_device("M4", None)).code == code

    def test_what_was_measured_on_another_chip_says_so(self) -> None:
        assert "measured on M4" in judge_placement(operation("cumsum"), find_device("A14", None)).reason
        assert "measured" not in judge_placement(operation("cumsum"), find_device("M4", None)).reason


PRICES = segmenter(chips()["M4"])
CONV = {"ANE": 0.00467, "CPU": 0.10006, "GPU": 1.0}
"""What Core ML on M4 believed of a 3x3 convolution from 64 channels to 64 on 32x32."""
ANY = ("ANE", "CPU")


class TestDivision:
    def units(self, *allowed: tuple[str, ...]) -> str:
        units_of_ops = divide([CONV] * len(allowed), list(allowed), PRICES)  # type: ignore[arg-type]
        return "".join(unit[0] for unit in units_of_ops)

    def test_one_small_convolution_stays_on_the_cpu_and_four_do_not(self) -> None:
        """As published: https://github.com/751K/Apple-Neural-Engine-Microarchitecture-Study-M6, notes."""
        assert self.units(ANY) == "C"
        assert self.units(*[ANY] * 4) == "AAAA"

    def test_one_refused_op_moves_a_small_program_and_splits_a_large_one(self) -> None:
        assert self.units(*[ANY] * 2, ("CPU",), *[ANY] * 2) == "CCCCC"
        assert self.units(*[ANY] * 9, ("CPU",), *[ANY] * 9) == "A" * 9 + "C" + "A" * 9

    def test_equal_ways_end_on_the_engine(self) -> None:
        same = {"ANE": 0.01, "CPU": 0.01, "GPU": 0.01}
        units_of_ops = divide([CONV] * 4 + [same], [ANY] * 5, PRICES)  # type: ignore[arg-type]
        assert units_of_ops == ["ANE"] * 5

    def test_no_op_has_no_unit(self) -> None:
        assert divide([], [], PRICES) == []


class TestCoreMLsOwnRates:
    """What Core ML's analyses said on an M4: data/segmenter.toml has the sources."""

    def belief(
        self, kind: str, unit: str, *shapes: tuple[int, ...], depth: int = 0, chip: str = "M4"
    ) -> float:
        *inputs, output = shapes
        arguments = tuple(tensor(*shape) for shape in inputs[:1])
        arguments += tuple(tensor(*shape, const=True) for shape in inputs[1:])
        attributes = {"depth": depth, "kernel": (3, 3), "groups": 1} if depth else {}
        op = Operation(kind, kind, arguments, (TensorMeta(output, "float16"),), (), attributes)
        return segmenter_ms(op, cost_of(op, None, False), chips()[chip])[unit]  # type: ignore[index]

    def test_a_linear_costs_the_cpu_many_times_a_convolution_of_its_arithmetic(self) -> None:
        conv = self.belief("conv", "CPU", IMAGE, (64, 64, 3, 3), IMAGE, depth=576) / (56 * 56 * 64 * 576)
        wide = self.belief("linear", "CPU", (1, 64, 1024), (1024, 1024), (1, 64, 1024), depth=1024)
        small = self.belief("linear", "CPU", (1, 128, 128), (128, 128), (1, 128, 128), depth=128)
        assert wide / (64 * 1024 * 1024) / conv == pytest.approx(4.5, rel=0.02)
        assert small / (128**3) / conv == pytest.approx(33, rel=0.03)
        assert wide == pytest.approx(0.800, rel=0.01)
        assert small == pytest.approx(0.186, rel=0.01)

    def test_bytes_have_one_base_on_every_mac(self) -> None:
        """A softmax stays on the engine of Pro and Max chips: their CPU is not rated by their memory."""
        for chip in ("M4", "M4 Pro", "M5 Max"):
            on_ane, on_cpu = (
                self.belief("softmax", unit, IMAGE, IMAGE, chip=chip) for unit in ("ANE", "CPU")
            )
            assert on_cpu / on_ane == pytest.approx(1.64 / 1.37)

    def test_a_relu_costs_the_same_on_both(self) -> None:
        image = (1, 64, 32, 32)
        assert self.belief("relu", "ANE", image, image) == pytest.approx(0.00262144)
        assert self.belief("relu", "CPU", image, image) == pytest.approx(0.00262144)


class TestChipsOfThePlan:
    def test_the_gpu_of_m5_max_multiplies_six_times_as_fast_as_that_of_m4_pro(self) -> None:
        large = Cost(flops=10**12, traffic=0, padding=0, weights=0, work="dense")
        slow, fast = (unit_ms(large, chips()[name])["GPU"] for name in ("M4 Pro", "M5 Max"))
        assert slow / fast == pytest.approx(39.2 / 6.4, rel=0.01)

    def test_a_value_too_large_for_the_chip_moves_at_29_gb_s_or_little_more(self) -> None:
        size = 64 << 20
        values = Cost(flops=0, traffic=size, padding=0, weights=0, values=((size, size),))
        assert 25 < size / 1e6 / ane_ms(values, chips()["M4 Pro"], calibration()) < 45

    def test_items_of_a_batch_count_one_by_one(self) -> None:
        op = operation("abs", shape=(16, 64, 56, 56))
        cost = cost_of(op, None, False)
        assert cost.traffic > 10e6
        assert cost.spilled(2_300_000) == 0

    def test_copies_between_units_are_slow(self) -> None:
        plan = planned(chain(*["conv"] * 12, "cumsum", *["conv"] * 12), "M4 Pro")
        for crossing in plan.crossings:
            assert crossing.bytes / 1e6 / (crossing.cost_ms - change_ms(chips()["M4 Pro"])) < 16

    def test_a_cast_to_int8_runs_on_the_engine_and_the_int32_output_beside_it_does_not(self) -> None:
        def cast(before: str, after: str) -> Operation:
            return Operation("cast", "c", (tensor(*IMAGE, dtype=before),), (TensorMeta(IMAGE, after),))

        device = find_device("M4", "macOS15")
        assert "ANE" in judge_placement(cast("float16", "int8"), device).allowed
        assert "ANE" not in judge_placement(cast("int8", "int32"), device).allowed


class TestNotes:
    def test_every_assumed_figure_of_a_chip_has_words(self) -> None:
        for name, chip in chips().items():
            notes = planned([operation("conv")], name).notes
            assert any(f"of {name}, no source gives " in note for note in notes) is bool(chip.assumed)


class TestIslands:
    def test_a_branch_beside_a_refused_op_does_not_wait_for_it(self) -> None:
        """0 feeds a refused op (1) and a branch (2); both meet in 3."""
        ops = [operation("conv"), operation("cumsum", 0), operation("conv", 0), operation("add", 1, 2)]
        units = ["ANE", "CPU", "ANE", "ANE"]
        islands = islands_of(graph_of(ops), units)  # type: ignore[arg-type]
        assert islands == [(0, 2), (1,), (3,)]

    def test_a_value_crosses_once_for_each_island_that_reads_it(self) -> None:
        ops = [operation("conv"), operation("cumsum", 0), operation("abs", 0), operation("add", 1, 2)]
        units = ["ANE", "CPU", "CPU", "CPU"]
        islands = islands_of(graph_of(ops), units)  # type: ignore[arg-type]
        crossings = crossings_of(ops, units, islands, 0.125, 100.0)  # type: ignore[arg-type]
        assert [(each.source, each.target) for each in crossings] == [(0, 1)]
        assert crossings[0].bytes == 64 * 56 * 56 * 2
        assert crossings[0].cost_ms == pytest.approx(0.125 + 64 * 56 * 56 * 2 / 100e6)

    def test_the_longest_chain_takes_the_slower_branch(self) -> None:
        ops = [operation("conv"), operation("abs", 0), operation("exp", 0), operation("add", 1, 2)]
        assert longest_chain(graph_of(ops), [1.0, 1.0, 5.0, 1.0]) == (0, 2, 3)


class TestPlans:
    def test_a_blocker_is_priced_with_and_without_itself(self) -> None:
        plan = planned(chain(*["conv"] * 12, "cumsum", *["conv"] * 12))
        (blocker,) = plan.blockers
        assert blocker.kind == "cumsum"
        assert blocker.rule == "CL209"
        assert blocker.islands == (2, 1)
        assert blocker.crossings == (2, 0)
        assert blocker.win_ms.low < blocker.win_ms.mid < blocker.win_ms.high
        assert blocker.win_ms.mid > 2 * change_ms(chips()["M4"]), "two changes of unit at least"
        assert blocker.replacements
        assert plan.ops[12].cause == "refused"
        assert {op.cause for op in plan.ops if op.unit == "ANE"} == {"runs"}

    def test_the_dearest_blocker_comes_first(self) -> None:
        many = ["conv"] * 12
        plan = planned(chain("tan", *many, "cumsum", *many, "reduce_prod"))
        wins = [blocker.win_ms.mid for blocker in plan.blockers]
        assert plan.blockers[0].kind == "cumsum"
        assert wins == sorted(wins, reverse=True)

    def test_refused_is_kept_apart_from_too_small(self) -> None:
        small = planned([operation("relu", shape=(1, 8))])
        assert [op.cause for op in small.ops] == ["too small"]
        assert not small.blockers
        mixed = planned(chain("relu", "cumsum", "relu"))
        assert [op.cause for op in mixed.ops] == ["outweighed", "refused", "outweighed"]

    def test_shares_and_times_add_up(self) -> None:
        plan = planned(chain(*["conv"] * 8, "cumsum", *["conv"] * 8))
        assert sum(plan.share.by_time.values()) == pytest.approx(1)
        assert sum(plan.share.by_op.values()) == pytest.approx(1)
        assert dict(plan.share) == plan.share.by_time
        islands = sum(island.latency_ms.mid for island in plan.islands)
        crossings = sum(crossing.cost_ms for crossing in plan.crossings)
        assert plan.latency_ms.mid == pytest.approx(islands + crossings)
        assert plan.latency_ms.low < plan.latency_ms.mid < plan.latency_ms.high
        assert sorted(index for island in plan.islands for index in island.ops) == list(range(17))
        assert list(plan.edges) == [(index, index + 1) for index in range(16)]

    @pytest.mark.parametrize("units", ["cpu", "cpu+gpu"])
    def test_nothing_runs_where_it_was_not_asked_to(self, units: ComputeUnits) -> None:
        plan = planned(chain(*["conv"] * 8), units=units)
        assert plan.share.by_op["ANE"] == 0
        assert not plan.blockers

    def test_a11_has_no_engine_to_be_blocked_from(self) -> None:
        plan = planned(chain(*["conv"] * 8), chip="A11")
        assert plan.share["ANE"] == 0
        assert not plan.blockers
        assert "does not use the Neural Engine" in plan.ops[0].reason

    def test_choices_compare_units_and_what_if_tells_of_a_range_of_shapes(self) -> None:
        plan = planned(chain(*["conv"] * 12))
        assert [choice.compute_units for choice in plan.choices] == list(COMPUTE_UNITS)
        (ranged,) = (each for each in plan.what_if if "RangeDim" in each.assumption)
        assert ranged.share["ANE"] == 0
        assert ranged.latency_ms.mid > plan.latency_ms.mid
        assert ranged.confidence == "documented"

    def test_an_empty_program_has_a_plan(self) -> None:
        plan = planned([])
        assert plan.latency_ms.mid == 0
        assert plan.share.by_time == dict.fromkeys(UNITS, 0.0)

    def test_time_is_linear_in_the_size_of_the_program(self) -> None:
        """20,000 ops take about five times as long as 4,000, and not twenty-five times."""

        def seconds(size: int) -> float:
            kinds = ["cumsum" if index % 100 == 50 else "conv" for index in range(size)]
            start = time.perf_counter()
            assert len(planned(chain(*kinds)).ops) == size
            return time.perf_counter() - start

        seconds(100)
        small = seconds(4_000)
        assert seconds(20_000) < 10 * small
