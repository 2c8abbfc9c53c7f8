"""How long the first load takes: a magnitude from published loads, where there is something to compile."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import convlint
from convlint.output.plan import plan_text
from convlint.placement.first_launch import first_launch_of, published_loads


def test_every_published_load_has_its_source() -> None:
    assert all(load.source.startswith("https://") for load in published_loads())
    assert len({load.about for load in published_loads()}) == len(published_loads()) >= 13


def test_most_loads_lie_in_the_range_of_the_others() -> None:
    loads = published_loads()
    inside = 0
    for left_out in loads:
        low, mid, high = first_launch_of(
            int(left_out.million * 1e6), tuple(load for load in loads if load is not left_out)
        ).first_s
        assert low < mid < high
        inside += low <= left_out.first <= high
    assert inside == 10, "docs/placement.md says so"


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
