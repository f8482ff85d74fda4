from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.benchmarks.load.outcomes import Outcome, Record, percentile, percentiles_ms

NAN = float("nan")


def record(*requests: tuple[float, float, float, Outcome], seconds: float = 10.0) -> Record:
    due, started, ended, outcomes = zip(*requests, strict=True)
    return Record(
        np.array(due, float),
        np.array(started, float),
        np.array(ended, float),
        np.array(outcomes, np.uint8),
        seconds,
        client_cpu_seconds=2.5,
    )


def test_latency_counts_from_the_moment_a_request_was_due() -> None:
    late = record((1.0, 1.5, 1.6, Outcome.ANSWERED))

    assert late.latencies() == pytest.approx([0.6])
    assert late.lateness() == pytest.approx([0.5])


def test_requests_that_hang_are_part_of_the_percentiles() -> None:
    """Five in a hundred hung for 30 s; without them the 99th percentile would be 2 ms."""
    quick = [(index / 10, index / 10, index / 10 + 0.002, Outcome.ANSWERED) for index in range(95)]
    hung = [(9.5 + index / 100, 9.5, 39.5 + index / 100, Outcome.LOST) for index in range(5)]

    percentiles = percentiles_ms(record(*quick, *hung).latencies())

    assert percentiles["p90_ms"] == pytest.approx(2)
    assert percentiles["p99_ms"] == pytest.approx(30_000)


@pytest.mark.parametrize(
    "outcome", [Outcome.LOST, Outcome.REFUSED, Outcome.OVERLOADED, Outcome.UNAVAILABLE, Outcome.FAILED]
)
def test_a_quick_refusal_is_at_least_as_slow_as_the_slowest_answer(outcome: Outcome) -> None:
    mixed = record((1.0, 1.0, 1.2, Outcome.ANSWERED), (2.0, 2.0, 2.001, outcome))

    assert mixed.latencies() == pytest.approx([0.2, 0.2])


def test_without_any_answer_the_time_until_it_was_given_up_counts() -> None:
    assert record((1.0, 1.0, 31.0, Outcome.LOST)).latencies() == pytest.approx([30.0])


def test_a_request_that_was_never_sent_counts_from_when_it_was_due() -> None:
    unsent = record((1.0, 1.0, 1.2, Outcome.ANSWERED), (4.0, NAN, 10.0, Outcome.UNSENT))

    assert unsent.latencies() == pytest.approx([0.2, 6.0])
    assert unsent.lateness() == pytest.approx([0.0])


def test_achieved_counts_answers_over_the_load_and_the_time_the_last_took_beyond_it() -> None:
    in_time = record((1.0, 1.0, 1.2, Outcome.ANSWERED), (2.0, 2.0, 2.2, Outcome.LOST))
    too_late = record((1.0, 1.0, 1.2, Outcome.ANSWERED), (9.0, 9.0, 20.0, Outcome.ANSWERED))

    assert in_time.offered_rps() == 0.2
    assert in_time.achieved_rps() == 0.1
    assert too_late.achieved_rps() == 0.1


def test_outcomes_are_counted_apart() -> None:
    counts = record((1, 1, 1, Outcome.ANSWERED), (2, 2, 2, Outcome.LOST), (3, 3, 3, Outcome.LOST)).counts()

    assert counts == {
        "answered": 1,
        "lost": 2,
        "refused": 0,
        "overloaded": 0,
        "unavailable": 0,
        "failed": 0,
        "unsent": 0,
    }


def test_the_load_generator_says_how_busy_it_was() -> None:
    assert record((1, 1, 1, Outcome.ANSWERED)).client_busy() == 0.25


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    written = record((1.0, 1.0, 1.2, Outcome.ANSWERED), (4.0, NAN, 10.0, Outcome.UNSENT))
    written.write(tmp_path / "record.npz")

    read = Record.read(tmp_path / "record.npz")

    for name in ("due", "started", "ended", "outcomes"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert (read.seconds, read.client_cpu_seconds) == (10.0, 2.5)


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(1, 100))
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(values: list[float], percent: float) -> None:
    found = percentile(np.array(values), percent)

    assert found is not None
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9
    assert sum(value < found for value in values) < len(values) * percent / 100 + 1e-9


def test_percentiles_of_a_hundred_values_are_their_ranks() -> None:
    values = np.arange(1, 101) / 1000

    assert percentiles_ms(values) == pytest.approx({"p50_ms": 50, "p90_ms": 90, "p99_ms": 99, "max_ms": 100})


def test_there_are_no_percentiles_of_nothing() -> None:
    assert percentiles_ms(np.array([])) == {"p50_ms": None, "p90_ms": None, "p99_ms": None, "max_ms": None}
