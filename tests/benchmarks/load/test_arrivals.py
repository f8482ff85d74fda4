from itertools import islice, pairwise
from statistics import mean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.benchmarks.load.arrivals import Pace, schedule
from snooze.bundle.errors import InvalidOption


@pytest.mark.parametrize("arrivals", ["poisson", "constant"])
@given(rps=st.floats(0.1, 500), seconds=st.floats(0.5, 30), seed=st.integers(0, 9))
def test_one_block_holds_exactly_what_the_rate_asks_for(arrivals: str, rps: float, seconds: float, seed: int) -> None:
    expected = round(rps * seconds)

    due = list(islice(schedule(rps, seconds, arrivals, seed), expected + 1))

    assert [time < seconds for time in due] == [True] * expected + [False]


@given(st.integers(0, 99))
def test_arrivals_ascend_from_block_to_block(seed: int) -> None:
    due = list(islice(schedule(7.5, 2, "poisson", seed), 100))

    assert all(before <= after for before, after in pairwise(due))
    assert due[0] >= 0


def test_constant_arrivals_are_evenly_spaced() -> None:
    assert list(islice(schedule(4, 1, "constant", 0), 6)) == [0, 0.25, 0.5, 0.75, 1, 1.25]


def test_poisson_arrivals_have_gaps_that_vary_as_much_as_their_mean() -> None:
    due = list(islice(schedule(100, 100, "poisson", 3), 10_000))
    gaps = [after - before for before, after in pairwise(due)]

    assert mean(gaps) == pytest.approx(0.01, rel=0.02)
    assert pstdev(gaps) == pytest.approx(0.01, rel=0.05)  # an exponential distribution's


def test_the_same_seed_gives_the_same_arrivals() -> None:
    first, second, other = (list(islice(schedule(50, 1, "poisson", seed), 50)) for seed in (1, 1, 2))

    assert first == second
    assert first != other


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"rps": 0.0}, "--rps"),
        ({"rps": float("nan")}, "--rps"),
        ({"seconds": -1.0}, "--duration"),
        ({"rps": 0.1, "seconds": 5.0}, "--duration"),
        ({"rps": 1e9, "seconds": 10.0}, "--duration"),
        ({"users": 0}, "--users"),
    ],
)
def test_an_impossible_pace_is_refused(options: dict, option: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        Pace(**options)

    assert caught.value.option == option
