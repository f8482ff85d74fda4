import numpy as np
import pytest
from scipy import stats

from snooze.benchmarks.wake.intervals import (
    MIN_ROUNDS,
    Estimate,
    estimate_difference,
    estimate_mean,
    estimate_ratio,
    t_quantile,
)

RANDOM = np.random.default_rng(1)
MACHINE = RANDOM.gamma(4.0, 0.1, 40)  # what both wakes of a round have in common
BASE = list(1.0 + MACHINE + RANDOM.gamma(2.0, 0.1, 40))
VALUES = list(0.8 + MACHINE + RANDOM.gamma(2.0, 0.1, 40))


@pytest.mark.parametrize("freedom", [4, 5, 9, 29, 119, 1000])
def test_the_quantile_is_that_of_students_t(freedom: int) -> None:
    assert t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-3)


def test_the_interval_of_a_mean_is_that_of_scipy() -> None:
    value, half_width = estimate_mean(VALUES)
    low, high = stats.ttest_1samp(VALUES, 0).confidence_interval(0.95)

    assert half_width is not None
    assert (value - half_width, value + half_width) == pytest.approx((low, high), rel=1e-4)


def test_the_interval_of_a_difference_is_that_of_a_paired_test() -> None:
    value, half_width = estimate_difference(VALUES, BASE)
    low, high = stats.ttest_rel(VALUES, BASE).confidence_interval(0.95)

    assert half_width is not None
    assert (value - half_width, value + half_width) == pytest.approx((low, high), rel=1e-3)


def test_the_interval_of_a_ratio_is_that_of_resampled_rounds() -> None:
    value, half_width = estimate_ratio(VALUES, BASE)
    drawn = np.random.default_rng(2).integers(0, len(BASE), (20_000, len(BASE)))
    ratios = np.array(VALUES)[drawn].mean(axis=1) / np.array(BASE)[drawn].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])

    assert half_width is not None
    assert value == pytest.approx(np.mean(VALUES) / np.mean(BASE))
    assert half_width == pytest.approx((high - low) / 2, rel=0.08)


def test_few_rounds_have_no_interval() -> None:
    few = [1.0, 2.0, 3.0, 4.0]

    assert len(few) < MIN_ROUNDS
    assert estimate_mean(few) == Estimate(2.5, None)
    assert estimate_ratio(few, few) == Estimate(1.0, None)
