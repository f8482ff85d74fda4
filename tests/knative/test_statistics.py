import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.knative.statistics import (
    DRAWS,
    detectable_gain,
    detectable_mean,
    estimate_gain,
    estimate_mean,
    estimate_share,
    flip_signs,
    mcnemar,
)


@pytest.mark.parametrize(
    ("hits", "total", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_a_share_has_the_published_interval(hits: int, total: int, low: float, high: float) -> None:
    found = estimate_share(hits, total, 0.95)

    assert found.value == hits / total
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_an_interval_of_a_share_contains_it(counts: tuple[int, int], confidence: float) -> None:
    found = estimate_share(*counts, confidence)
    assert found.low + 1e-12 >= 0
    assert found.low <= found.value <= found.high <= 1 + 1e-12


@pytest.mark.parametrize(
    ("lost", "won", "expected"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (0, 6, 2 / 2**6),
        (2, 10, 2 * (1 + 12 + 66) / 2**12),
        (10, 2, 2 * (1 + 12 + 66) / 2**12),
    ],
)
def test_the_exact_test_of_mcnemar_is_a_binomial_one(lost: int, won: int, expected: float) -> None:
    assert mcnemar(lost, won) == pytest.approx(expected, rel=1e-12)


def test_the_exact_test_holds_for_many_rows() -> None:
    assert mcnemar(50_000, 50_600) == pytest.approx(math.erfc(599 / math.sqrt(2 * 100_600)), rel=1e-3)


def test_a_gain_has_the_adjusted_interval() -> None:
    """Agresti and Min 2005: half a row in each cell, then Wald's interval."""
    found = estimate_gain(lost=86, won=150, total=1600, confidence=0.95)

    center, error = 64 / 1602, math.sqrt(237 - 64**2 / 1602) / 1602
    assert found.value == 0.04
    assert found.low == pytest.approx(center - 1.959964 * error, abs=1e-7)
    assert found.high == pytest.approx(center + 1.959964 * error, abs=1e-7)


def test_a_mean_has_an_interval_as_wide_as_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).normal(3, 2, 500)
    found = estimate_mean(values, 0.95)

    assert found.value == values.mean()
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(500), rel=0.1)
    assert estimate_mean(values, 0.95) == found


def test_flipping_signs_tells_a_difference_from_none() -> None:
    random = np.random.default_rng(1)

    assert flip_signs(random.normal(0.5, 1, 100)) < 0.01
    assert flip_signs(random.normal(0, 1, 100)) > 0.05
    assert flip_signs(np.zeros(10)) == 1
    assert flip_signs(np.full(30, 0.1)) == 1 / (1 + DRAWS)


def test_flipping_signs_of_few_rows_is_the_exact_test() -> None:
    """All signs equal: 2 of 2^5 flips reach the observed sum."""
    assert flip_signs(np.full(5, 0.1)) == pytest.approx(2 / 2**5, abs=0.015)


def test_a_false_alarm_is_as_rare_as_the_confidence_says() -> None:
    random = np.random.default_rng(1)
    alarms = sum(mcnemar(won, 40 - won) < 0.05 for won in random.binomial(40, 0.5, 2000))
    assert alarms / 2000 < 0.06


def test_what_is_detectable_is_found_in_four_of_five_tries() -> None:
    random, rows, discordant = np.random.default_rng(1), 2000, 100
    gain = detectable_gain(discordant // 2, discordant // 2, rows, 0.95)
    won = random.binomial(discordant, 0.5 + gain * rows / discordant / 2, 500)

    assert np.mean([mcnemar(discordant - one, one) < 0.05 for one in won]) == pytest.approx(0.8, abs=0.1)


def test_too_few_rows_detect_nothing() -> None:
    assert detectable_gain(0, 0, 600, 0.95) == 6 / 600
    assert detectable_gain(0, 0, 3, 0.95) == 1
    assert detectable_mean(np.ones(1), 0.95) == math.inf
    assert detectable_mean(np.array([-1.0, 1.0] * 50), 0.95) == pytest.approx(2.8 / 10, rel=0.01)
