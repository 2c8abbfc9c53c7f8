"""Random calls of every operation against coremltools' own folding and references in NumPy and PyTorch.

The default run takes a few calls of each; ``-m corpus`` takes hundreds.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mil_samples import FOLDED_WRONG, Sampler, check, executed, folded
from mil_samples_arithmetic import ARITHMETIC
from mil_samples_moving import MOVING
from mil_samples_windows import WINDOWS

from convlint.mil.table import OPERATIONS

SAMPLERS: dict[str, Sampler] = {**ARITHMETIC, **MOVING, **WINDOWS}

ELSEWHERE = {
    "classify",
    "non_maximum_suppression",
    *(name for name in OPERATIONS if name.startswith(("constexpr_", "list_", "make_list", "random_"))),
    *("gru", "lstm", "rnn"),
}
"""Ops whose tests are made by hand, in the other files of ``test_mil_*``."""

few = settings(
    max_examples=6, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
many = settings(few, max_examples=300)
seeds = st.integers(0, 2**32 - 1)


def test_every_operation_has_samples_or_tests_of_its_own() -> None:
    assert OPERATIONS.keys() - SAMPLERS.keys() == ELSEWHERE


@pytest.mark.parametrize("op", sorted(SAMPLERS))
@pytest.mark.filterwarnings("ignore")
@few
@given(seed=seeds)
def test_a_few_calls(op: str, seed: int) -> None:
    assert check(SAMPLERS[op](np.random.default_rng(seed)))


ROUGH = frozenset(
    "acos atanh cast ceil conv_quantized crop_resize floor floor_div mod one_hot range_1d real_div "
    "reduce_argmax reduce_argmin reduce_prod resample round sign tan".split()
)
"""Ops of which a rounded input may give quite another output."""


@pytest.mark.parametrize("op", sorted(SAMPLERS))
@pytest.mark.filterwarnings("ignore")
def test_everything_runs_at_half_precision(op: str) -> None:
    for seed in range(3):
        sample = SAMPLERS[op](np.random.default_rng(seed))
        for half, whole in zip(executed(sample, "float16"), executed(sample), strict=True):
            assert (half.shape, half.dtype) == (whole.shape, whole.dtype)
            if op not in ROUGH and whole.dtype.kind == "f":
                np.testing.assert_allclose(half, whole, atol=0.05, rtol=0.05, err_msg=str(sample))


@pytest.mark.corpus
@pytest.mark.parametrize("op", sorted(SAMPLERS))
@pytest.mark.filterwarnings("ignore")
@many
@given(seed=seeds)
def test_many_calls(op: str, seed: int) -> None:
    assert check(SAMPLERS[op](np.random.default_rng(seed)))


@pytest.mark.parametrize("op", sorted(FOLDED_WRONG))
@pytest.mark.filterwarnings("ignore")
def test_coremltools_still_folds_these_wrongly(op: str) -> None:
    """When a release mends one, its line in ``FOLDED_WRONG`` and in ``docs/executor.md`` can go."""
    wrong = 0
    for seed in range(60):
        sample = SAMPLERS[op](np.random.default_rng(seed))
        try:
            theirs = folded(sample)
        except (TypeError, ValueError):
            wrong += 1
            continue
        if theirs is not None:
            pairs = zip(executed(sample), theirs, strict=True)
            wrong += not all(
                a.shape == np.shape(b) and np.allclose(a, b, atol=1e-2, rtol=1e-2) for a, b in pairs
            )
    assert wrong
