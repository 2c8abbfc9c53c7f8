"""How Core ML is taken to rate the GPU beside the Neural Engine: as the divisions of whole networks show."""

from __future__ import annotations

import pytest
from test_plan import operation, planned

from convlint.output.plan import compared_lines
from convlint.placement.chips import chips
from convlint.placement.cost import cost_of
from convlint.placement.dumps import Dump, compare_with_dump
from convlint.placement.segmenter import segmenter_ms


def add_of(channels: int, size: int) -> list[str]:
    """The units of a network of convolutions with an addition of two values in its middle, on M4 Pro."""
    shape = (16, channels, size, size)
    ops = [operation("conv", *([index - 1] if index else []), shape=shape) for index in range(4)]
    ops.append(operation("add", 3, 2, shape=shape))
    ops += [operation("conv", index - 1, shape=shape) for index in range(5, 9)]
    return [op.unit for op in planned(ops, chip="M4 Pro", units="all").ops]


@pytest.mark.parametrize(
    ("channels", "size", "unit"), [(256, 56, "GPU"), (512, 28, "GPU"), (1024, 14, "ANE"), (2048, 7, "ANE")]
)
def test_additions_of_a_resnet_are_where_core_ml_put_them(channels: int, size: int, unit: str) -> None:
    """Of the sixteen of ResNet-50 at a batch of 16, those of the first two stages ran on the GPU."""
    units = add_of(channels, size)
    assert units == ["ANE"] * 4 + [unit] + ["ANE"] * 4


def test_what_a_gpu_moves_is_rated_by_its_memory() -> None:
    op = operation("softmax", 0, shape=(16, 12, 128, 128))
    cost = cost_of(op, None, False)
    pro, largest = (segmenter_ms(op, cost, chips()[name]) for name in ("M4 Pro", "M5 Max"))
    assert pro["GPU"] == pytest.approx(pro["ANE"]), "both share the default factor"
    assert pro["GPU"] / largest["GPU"] == pytest.approx(614 / 273)
    assert largest["ANE"] == pytest.approx(pro["ANE"])


def test_a_plan_that_takes_no_time_is_compared_too() -> None:
    plan = planned([operation("identity")], units="all")
    dump = Dump((), "all", 1.0)
    whole, *_ = compared_lines(compare_with_dump(plan, dump, "net.json"), plan)
    assert whole.startswith("a prediction with all: measured 1 ms")
