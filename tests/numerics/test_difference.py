"""The one comparison of numbers: what is equal, how far apart the rest is, and where."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlint.checking.offers.image_fold import largest_error
from convlint.numerics.difference import (
    Difference,
    as_array,
    difference,
    distances,
    largest_finite,
    place_of_largest,
    scale_of,
    share_of,
)
from convlint.numerics.program_errors import WrongShape, judged, measure, without_poles
from convlint.numerics.side_by_side import spot_of

INF, NAN = math.inf, math.nan

floats = st.lists(st.floats(width=32), max_size=12)
pairs = st.lists(st.tuples(st.floats(width=32), st.floats(width=32)), max_size=12)


def tensor(values: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


@settings(max_examples=60, deadline=None)
@given(floats)
def test_whatever_a_tensor_holds_it_equals_itself(values: list[float]) -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64):
        same = tensor(values, dtype)
        assert not distances(same, same.clone()).any()
        assert difference([same], [same.clone()]) == Difference()
        assert not difference([same], [same.clone()]).beyond(0.0)


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_a_distance_is_the_same_from_either_side_and_never_nan(values: list[tuple[float, float]]) -> None:
    left, right = (tensor([pair[side] for pair in values]) for side in (0, 1))
    apart = distances(left, right)
    assert not np.isnan(apart).any()
    assert (apart == distances(right, left)).all()
    for (one, other), distance in zip(values, apart.tolist(), strict=True):
        if math.isfinite(one) and math.isfinite(other):
            assert distance == abs(one - other)
        else:
            assert distance == (0 if one == other or (one != one and other != other) else INF)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8), st.data())
def test_integers_are_compared_exactly(values: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    other = list(values)
    other[place] += -1 if values[place] > 0 else 1
    apart = distances(tensor(other, torch.int64), tensor(values, torch.int64))
    assert apart[place] >= 1
    assert np.count_nonzero(apart) == 1
    assert place_of_largest(apart) == (place,)
    assert difference([tensor(other, torch.int64)], [tensor(values, torch.int64)]).beyond(0.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=8))
def test_booleans_are_zero_and_one(values: list[bool]) -> None:
    right = tensor(values, torch.bool)
    assert distances(~right, right).tolist() == [1.0] * len(values)
    assert not distances(right, right.long()).any()


@pytest.mark.parametrize(
    ("actual", "expected", "distance"),
    [
        (NAN, NAN, 0),
        (INF, INF, 0),
        (-INF, -INF, 0),
        (-0.0, 0.0, 0),
        (INF, -INF, INF),
        (NAN, INF, INF),
        (NAN, 1.0, INF),
        (1.0, NAN, INF),
        (1.0, INF, INF),
        (3.4e38, INF, INF),
        (complex(NAN, 1), complex(NAN, 1), 0),
        (complex(NAN, 1), complex(NAN, 2), INF),
        (complex(INF, -INF), complex(INF, -INF), 0),
        (complex(INF, -INF), complex(INF, INF), INF),
        (complex(3, 4), 0, 5),
        (INF, complex(INF, 0), 0),
        (INF, complex(INF, 1), INF),
    ],
)
def test_the_distance_of_two_numbers(actual: complex, expected: complex, distance: float) -> None:
    assert float(distances(actual, expected)) == distance


def test_a_number_that_float16_cannot_hold_is_a_difference_and_not_a_large_error() -> None:
    right = tensor([[1.0, 70000.0]])
    half = right.half()
    apart = difference([half.float()], [right])
    assert (
        apart.problem
        == "1 of 2 values are finite in one and not in the other, first inf in the place of "
        + ("70000.0 at [0, 1]")
    )
    assert apart.beyond(1e9) == apart.problem, "no tolerance covers it"
    errors = measure([half], [right])
    assert (errors.nonfinite, errors.misplaced, judged(errors, 1.0)) == (1, 0, "overflows")
    spot = spot_of(half.numpy(), right.numpy())
    assert spot is not None
    assert (spot.index, spot.pytorch, spot.program) == ((0, 1), 70000.0, INF)


def test_what_is_not_finite_on_either_side_is_told_apart() -> None:
    problem = difference([tensor([NAN, INF])], [tensor([NAN, -INF])]).problem
    assert (
        problem
        == "1 of 2 values are infinite or NaN in both and not the same, first inf in the place of -inf"
        + (" at [1]")
    )
    assert not difference([tensor([NAN, INF])], [tensor([NAN, INF])]).beyond(0.0)


def test_tensors_of_different_shapes_are_not_broadcast() -> None:
    with pytest.raises(ValueError, match="shapes"):
        distances(torch.ones(1), torch.ones(3))


def test_empty_tensors_and_none_at_all_are_equal() -> None:
    empty = torch.zeros(0, 3)
    assert difference([empty], [empty]) == difference([], []) == Difference()
    assert (
        difference([empty], [torch.zeros(3, 0)]).problem == "it returns the shape [0, 3], the original [3, 0]"
    )
    assert judged(measure([empty], [empty]), 0.0) == judged(measure([], []), 0.0) == "equal"
    assert spot_of(empty.numpy(), empty.numpy()) is None
    assert (largest_finite(as_array(empty)), scale_of(empty)) == (0, 0)


def test_modules_must_return_the_same_form_and_programs_the_same_numbers() -> None:
    one, other = torch.ones(2), torch.ones(2, dtype=torch.float64)
    assert difference([one], [other]).problem == "it returns torch.float32, the original torch.float64"
    assert difference([one], [one, one]).problem == "it returns 1 tensors, the original 2"
    assert judged(measure([one.reshape(1, 2)], [other]), 0.0) == "equal"
    with pytest.raises(WrongShape, match="there are 1 outputs, and PyTorch gives 2"):
        measure([one], [one, one])
    with pytest.raises(WrongShape, match=r"shape \(4,\), and PyTorch gives \(2, 2\)"):
        measure([torch.ones(4)], [torch.ones(2, 2)])


def test_an_error_is_a_share_of_the_largest_finite_value() -> None:
    apart = difference([tensor([1.0, 3.0, INF])], [tensor([1.0, 4.0, INF])])
    assert (apart.largest, apart.share) == (1.0, 0.25)
    assert apart.beyond(0.2) == "it differs by 1, 0.25 of the largest value"
    assert apart.beyond(0.25) == ""
    worst = difference([tensor([1.0]), tensor([0.0])], [tensor([2.0]), tensor([100.0])])
    assert (worst.largest, worst.share) == (100, 1), "each tensor by its own largest value"


def test_beside_zeros_an_error_is_infinite_unless_something_stands_for_their_size() -> None:
    little, zeros = [tensor([1e-6, 0.0])], [torch.zeros(2)]
    assert difference(little, zeros).share == INF
    assert difference(little, zeros).beyond(1e9) == "it differs by 1e-06 where all values are zero"
    assert difference(little, zeros, of_zeros=1.0).share == pytest.approx(1e-6)
    assert (share_of(0.0, 0.0), share_of(2.0, 4.0, of_zeros=1.0)) == (0, 0.5)
    assert measure(little, zeros).max_rel_error == INF


@settings(max_examples=60, deadline=None)
@given(pairs)
def test_the_errors_of_a_program_count_every_place_once(values: list[tuple[float, float]]) -> None:
    actual, right = ([pair[side] for pair in values] for side in (0, 1))
    errors = measure([np.array(actual, np.float32)], [np.array(right, np.float32)])
    known = [math.isfinite(value) for value in right]
    assert errors.nonfinite == sum(k and not math.isfinite(a) for k, a in zip(known, actual, strict=True))
    assert errors.poles <= errors.misplaced <= len(values) - sum(known)
    without = without_poles(errors)
    assert (without.misplaced, without.poles) == (errors.misplaced - errors.poles, 0)
    finite = [abs(a - r) for a, r in values if math.isfinite(a) and math.isfinite(r)]
    assert errors.max_abs_error == max(finite, default=0.0)


def test_only_a_program_writes_infinity_as_a_large_number() -> None:
    assert measure([np.array([3.4e38])], [np.array([INF])]).misplaced == 0
    assert measure([np.array([-3.4e38])], [np.array([INF])]).misplaced == 1
    assert difference([torch.tensor([3.4e38])], [torch.tensor([INF])]).problem


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float8_e4m3fn, torch.float64, torch.complex32])
def test_dtypes_that_numpy_lacks_are_widened(dtype: torch.dtype) -> None:
    values = torch.tensor([0.0, 1.5, -2.0]).to(dtype)
    assert as_array(values).tolist() == [0.0, 1.5, -2.0]
    assert as_array(torch.ones(2, dtype=torch.complex64).mul(1j).conj()).tolist() == [-1j, -1j]
    assert as_array(torch.eye(2).to_sparse()).tolist() == [[1, 0], [0, 1]]


def test_a_nan_of_a_fold_is_no_agreement() -> None:
    right = [torch.ones(2), torch.ones(2)]
    assert largest_error([torch.ones(2), tensor([1.0, NAN])], right) == INF
    assert largest_error([torch.ones(2), torch.ones(1)], right) == INF
    assert largest_error([torch.ones(2, dtype=torch.int64)], [torch.ones(2, dtype=torch.int64)]) == INF
    assert largest_error([torch.ones(2), tensor([1.0, 1.5])], right) == 0.5
    both = [tensor([1.0, NAN])]
    assert largest_error(both, both) == 0
