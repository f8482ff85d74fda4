import pytest

from snooze.service.runtime.cost import MAX_SURPRISE, Cost


def cost(*points: tuple[int, float]) -> Cost:
    return Cost({"run": [{"rows": rows, "seconds": seconds} for rows, seconds in points]})


@pytest.mark.parametrize(
    ("rows", "seconds"), [(0, 1.0), (1, 1.0), (2, 1.5), (3, 2.0), (4, 3.0), (8, 6.0), (400, 300.0)]
)
def test_predicts_between_and_beyond_the_sizes_of_the_profile(rows: int, seconds: float) -> None:
    assert cost((4, 3.0), (1, 1.0), (3, 2.0)).predict(rows) == pytest.approx(seconds)


def test_follows_what_runs_take_here() -> None:
    slower = cost((1, 1.0), (10, 5.0))
    for _ in range(50):
        slower.learn(1, 2.0)

    assert slower.predict(1) == pytest.approx(2.0, rel=0.01)
    assert slower.predict(10) == pytest.approx(10.0, rel=0.01)


def test_one_interrupted_run_counts_little() -> None:
    steady = cost((1, 1.0))
    for _ in range(50):
        steady.learn(1, 1.0)
    steady.learn(1, 1000.0)

    assert steady.predict(1) < 1 + MAX_SURPRISE / 10


@pytest.mark.parametrize(
    "profile",
    [
        {},
        {"run": None},
        {"run": [{"rows": 1}]},
        {"run": [{"rows": 1, "seconds": "long"}]},
        {"run": [{"rows": 1, "seconds": 0}]},
        {"run": []},
    ],
)
def test_without_a_profile_it_learns_from_the_first_run(profile: dict[str, object]) -> None:
    unknown = Cost(profile)
    assert (unknown.known, unknown.predict(7), unknown.best_rows(64)) == (False, 0.0, 1)

    unknown.learn(2, 3.0)

    assert unknown.predict(4) == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("seconds", "rows"), [(0.5, -1), (1.0, -1), (1.5, 1), (2.0, 1), (2.5, 2), (4.0, 3), (4.1, 4), (40.5, 40)]
)
def test_finds_the_most_rows_within_a_time(seconds: float, rows: int) -> None:
    assert cost((1, 1.0), (2, 2.0), (4, 4.0)).rows_within(seconds) == rows


@pytest.mark.parametrize(
    ("points", "most", "best"),
    [
        ([(1, 1.0), (8, 2.0), (16, 8.0)], 64, 8),  # the fewest seconds per row
        ([(1, 1.0), (8, 2.0), (16, 8.0)], 7, 1),  # more rows than the bundle allows
        ([(1, 1.0), (8, 1.1), (16, 2.1)], 64, 8),  # 16 are hardly better
        ([(1, 1.0), (2, 1.7)], 64, 1),  # not worth it
        ([(1, 1.0), (2, 2.6), (4, 9.0)], 64, 1),  # slower
        ([(8, 1.0), (16, 1.1)], 64, 1),  # what a single row takes is not known
    ],
)
def test_joins_as_many_rows_as_the_profile_promises_a_gain_for(
    points: list[tuple[int, float]], most: int, best: int
) -> None:
    assert cost(*points).best_rows(most) == best
