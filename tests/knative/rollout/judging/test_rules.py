import pytest

from snooze.knative.rollout.judging.counts import Counts, parse
from snooze.knative.rollout.judging.rules import Share, judge_errors, judge_p99
from snooze.service.metrics import Metrics

NONE = Share(0, 0)


@pytest.mark.parametrize(
    ("hits", "of", "least"),
    # scipy.stats.binomtest(hits, of).proportion_ci(0.95, "wilson").low
    [(0, 10, 0.0), (1, 10, 0.017876), (3, 3, 0.438503), (5, 100, 0.021543), (50, 100, 0.403832), (0, 0, 0.0)],
)
def test_the_lower_end_of_the_wilson_interval(hits: int, of: int, least: float) -> None:
    assert Share(hits, of).least == pytest.approx(least, abs=1e-5)


@pytest.mark.parametrize(
    ("new", "old", "fails"),
    [
        (Share(1, 1), NONE, False),
        (Share(2, 2), NONE, False),  # bad luck, so far
        (Share(3, 3), NONE, True),  # a broken version is found within three requests
        (Share(3, 50), Share(0, 1000), True),
        (Share(3, 400), NONE, False),  # below the limit of 1 %
        (Share(5, 400), NONE, False),  # above it, but perhaps by chance
        (Share(12, 400), NONE, True),
        (Share(12, 400), Share(60, 2000), False),  # the old one fails as often
        (Share(40, 400), Share(60, 2000), True),
        (Share(3, 3), Share(2, 2), True),  # two failures of the old one excuse nothing
        (Share(0, 1000), Share(900, 1000), False),
    ],
)
def test_errors_end_a_rollout_from_three_on_and_if_they_are_surely_too_many(
    new: Share, old: Share, fails: bool
) -> None:
    assert (judge_errors("requests", new, old, 0.01) is not None) == fails


def test_the_sentence_has_the_figures_of_both() -> None:
    assert judge_errors("requests to b", Share(12, 40), Share(1, 800), 0.01) == (
        "12 of 40 (30 %) requests to b failed; at most 1 % may, and 1 of 800 (0.125 %) of the old revision did"
    )


def timed(*requests: tuple[int, float]) -> Counts:
    """Return counts of some requests of some seconds each."""
    metrics = Metrics()
    for number, seconds in requests:
        metrics.requests.value("m", "1", "v2", "200").value += number
        for _ in range(number):
            metrics.seconds.histogram("m", "1", "v2").observe(seconds)
    return parse(metrics.exposition())


@pytest.mark.parametrize(
    ("new", "old", "limit", "fails"),
    [
        (timed((100, 0.3)), timed((2000, 0.002)), None, True),
        (timed((99, 0.3)), timed((2000, 0.002)), None, False),  # too few requests
        (timed((100, 0.3)), timed((99, 0.002)), None, False),  # nothing to compare with
        (timed((100, 0.3)), timed((2000, 0.2)), None, False),  # the p99 may be as near as 250 ms
        (timed((100, 0.101)), timed((2000, 0.099)), None, False),  # 2 ms, but two buckets
        (timed((100, 0.009)), timed((2000, 0.0004)), None, False),  # a few milliseconds
        (timed((98, 0.002), (2, 0.7)), timed((2000, 0.002)), None, False),  # two slow ones are bad luck
        (timed((380, 0.002), (20, 0.7)), timed((2000, 0.002)), None, True),  # a tail of 5 %
        (timed((100, 0.3)), timed((99, 0.002)), 0.2, True),
        (timed((100, 0.3)), timed((2000, 0.3)), 0.2, True),  # a limit does not care for the old one
        (timed((100, 0.3)), timed((2000, 0.001)), 0.6, False),
    ],
)
def test_a_tail_of_slow_requests_ends_a_rollout(new: Counts, old: Counts, limit: float | None, fails: bool) -> None:
    assert (judge_p99(new, old, limit, 100) is not None) == fails


def test_the_sentence_says_what_the_p99_is_compared_with() -> None:
    new, old = timed((200, 0.3)), timed((2000, 0.002))

    assert judge_p99(new, old, None, 100) == ("the p99 of 200 requests is 498 ms; that of the old revision is 2.49 ms")
    assert judge_p99(new, old, 0.02, 100) == "the p99 of 200 requests is 498 ms; 20 ms is allowed"
