"""How long the first load takes: a magnitude from published loads, where there is something to compile."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from test_plan import chain, planned
from torch import nn

import convlint
from convlint.output.plan import plan_text
from convlint.placement.first_launch import (
    first_launch_of,
    published_loads,
    seconds_for_both,
    with_two_engines,
)


def test_every_published_load_has_its_source() -> None:
    assert all(load.source.startswith("https://") for load in published_loads())
    assert len({load.about for load in published_loads()}) == len(published_loads()) >= 16


def test_most_loads_lie_in_the_range_of_the_others() -> None:
    loads = published_loads()
    inside = 0
    for left_out in loads:
        low, mid, high = first_launch_of(
            int(left_out.million * 1e6), tuple(load for load in loads if load is not left_out)
        ).first_s
        assert low < mid < high
        inside += low <= left_out.first <= high
    assert (inside, len(loads)) == (12, 16), "docs/placement.md says so"


def test_a_larger_model_takes_longer() -> None:
    sizes = [10**6, 10**7, 10**8, 10**9]
    times = [first_launch_of(size) for size in sizes]
    assert [time.first_s[1] for time in times] == sorted(time.first_s[1] for time in times)
    assert "later loads about 1 s" in times[-1].sentence
    assert "later loads less than 0.1 s" in times[0].sentence


@pytest.mark.parametrize(("units", "said"), [("all", True), ("cpu+gpu", False)])
def test_a_plan_says_it_where_the_neural_engine_is_asked(units: str, said: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))
    plan = convlint.plan(model, torch.rand(1, 3, 224, 224), compute_units=units)
    assert (plan.first_launch is not None) == said
    assert ("first launch" in plan_text(plan)) == said
    assert (plan.to_dict()["first_launch"] is not None) == said


def test_two_engines_are_compiled_as_long_as_published() -> None:
    """Loads by Core ML of chains of 256 and 512 layers, which are no points of the line."""
    assert seconds_for_both(256) == pytest.approx(34.05, rel=0.05)
    assert seconds_for_both(512) == pytest.approx(510, rel=0.1)
    assert seconds_for_both(0) == 0.0


@pytest.mark.parametrize(("chip", "cuts"), [("M6", True), ("M4", False), ("A18 Pro", False)])
def test_a_cut_in_the_middle_helps_where_two_engines_are_compiled(chip: str, cuts: bool) -> None:
    plan = planned(chain(*["conv", "mul", "conv", "add"] * 60), chip=chip)
    launch = with_two_engines(first_launch_of(10**6), plan)
    assert (launch.cut is not None) == cuts
    assert launch.first_s[1] == pytest.approx(
        first_launch_of(10**6).first_s[1] + (seconds_for_both(120) if cuts else 0.0)
    )
    if launch.cut is not None:
        assert launch.cut.layers == (60, 60)
        assert launch.cut.saves_s == pytest.approx(seconds_for_both(120) - 2 * seconds_for_both(60))
        assert f"Cut here, saves {launch.cut.saves_s:.2g} s: after " in launch.sentence


def test_no_cut_where_two_values_would_go_over_it() -> None:
    ops = chain(*["conv", "mul"] * 100)
    skipping = [
        op if index != len(ops) - 1 else replace(op, reads=(index - 1, 0)) for index, op in enumerate(ops)
    ]
    plan = planned(skipping, chip="M6")
    assert with_two_engines(first_launch_of(10**6), plan).cut is None
    small = planned(chain(*["conv", "mul"] * 20), chip="M6")
    assert with_two_engines(first_launch_of(10**6), small).cut is None, "it saves less than a second"
