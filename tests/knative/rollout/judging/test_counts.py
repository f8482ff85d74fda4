import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snooze.knative.rollout.judging.counts import MAX_SECONDS, Counts, add, grown, is_failure, parse, subtract
from snooze.service.metrics import SECONDS, Metrics

LABELS = ("tumour", "2")
TEXT = b"""\
# HELP snooze_requests_total Requests for predictions.
# TYPE snooze_requests_total counter
snooze_requests_total{model="tumour",version="2",protocol="v2",code="200"} 90
snooze_requests_total{model="tumour",version="2",protocol="plain",code="200"} 5
snooze_requests_total{model="tumour",version="2",protocol="plain",code="400"} 1
snooze_requests_total{model="tumour",version="2",protocol="v2",code="500"} 3
snooze_requests_total{model="tumour",version="2",protocol="v2",code="503"} 2
snooze_requests_total{model="tumour",version="2",protocol="v2",code="429"} 1
snooze_request_seconds_bucket{model="tumour",version="2",protocol="v2",le="0.001"} 90
snooze_request_seconds_bucket{model="tumour",version="2",protocol="plain",le="0.001"} 2
snooze_request_seconds_bucket{model="tumour",version="2",protocol="v2",le="0.0025"} 96
snooze_request_seconds_bucket{model="tumour",version="2",protocol="plain",le="0.0025"} 6
snooze_request_seconds_bucket{model="tumour",version="2",protocol="v2",le="+Inf"} 96
snooze_request_seconds_bucket{model="tumour",version="2",protocol="plain",le="+Inf"} 6
snooze_request_seconds_sum{model="tumour",version="2",protocol="v2"} 0.08
snooze_run_seconds_bucket{model="tumour",version="2",le="0.001"} 1000
snooze_refused_total{model="tumour",reason="overload"} 1000
process_open_fds 12
"""


def test_sums_requests_over_protocols_and_reads_no_other_family() -> None:
    counts = parse(TEXT)

    assert counts.requests == 102
    assert counts.errors == 6
    assert counts.by_code == {"429": 1, "500": 3, "503": 2}
    assert counts.buckets == [(0.001, 92), (0.0025, 102), (math.inf, 102)]
    assert counts.timed == 102


def test_reads_what_our_server_writes() -> None:
    metrics = Metrics()
    metrics.requests.value(*LABELS, "v2", "200").value = 1234567
    metrics.requests.value(*LABELS, "v1", "504").value = 2
    for seconds in (0.0004, 0.03, 20.0):
        metrics.seconds.histogram(*LABELS, "v2").observe(seconds)

    counts = parse(metrics.exposition())

    assert (counts.requests, counts.errors) == (1234569, 2)
    assert [bound for bound, _ in counts.buckets] == [*SECONDS, math.inf]
    assert [number for _, number in counts.buckets][2:] == [1] * 6 + [2] * 8 + [3]
    assert max(SECONDS) == MAX_SECONDS


@pytest.mark.parametrize(
    "text", [b"", b"<html>not found</html>", b'snooze_requests_total{code="200"} NaN\n', b"\xff" * 99]
)
def test_anything_else_counts_nothing(text: bytes) -> None:
    counts = parse(text)

    assert (counts.requests, counts.errors, counts.timed, counts.quantile(0.99)) == (0, 0, 0, None)


@pytest.mark.parametrize(
    ("status", "failed"), [(200, False), (400, False), (404, False), (429, True), (500, True), (503, True), (504, True)]
)
def test_errors_of_the_server_and_refusals_are_failures(status: int, failed: bool) -> None:
    assert is_failure(status) is failed


def histogram(**buckets: float) -> Counts:
    """Return counts with cumulative buckets, whose bounds in milliseconds are the names without the first letter."""
    bounds = {name: "inf" if name == "inf" else str(int(name[1:]) / 1000) for name in buckets}
    return Counts({("le", bounds[name]): number for name, number in buckets.items()})


@pytest.mark.parametrize(
    ("share", "seconds"),
    [(0.5, 0.1), (0.25, 0.05), (0.75, 0.2), (0.9, 0.36), (0.99, 0.5), (1.0, 0.5), (0.0, 0.0)],
)
def test_a_quantile_is_interpolated_as_prometheus_does(share: float, seconds: float) -> None:
    counts = histogram(_100=50, _250=80, _500=95, inf=100)

    expected = {0.75: 0.1 + 0.15 * 25 / 30, 0.9: 0.25 + 0.25 * 10 / 15}.get(share, seconds)
    assert counts.quantile(share) == pytest.approx(expected)


def test_counts_the_slower_requests_within_a_bucket_in_proportion() -> None:
    counts = histogram(_100=50, _250=80, _500=95, inf=100)

    assert [counts.slower(seconds) for seconds in (0.0, 0.05, 0.1, 0.175, 0.5, 3.0)] == [100, 75, 50, 35, 5, 5]
    assert [counts.bound(seconds) for seconds in (0.05, 0.1, 0.11, 0.7)] == [0.1, 0.1, 0.25, math.inf]


@given(st.lists(st.integers(0, 1000), min_size=len(SECONDS) + 1, max_size=len(SECONDS) + 1), st.floats(0.01, 0.99))
def test_the_slower_ones_are_the_rest_of_the_quantile(numbers: list[int], share: float) -> None:
    metrics = Metrics()
    metrics.seconds.histogram(*LABELS, "v2").buckets = numbers
    counts = parse(metrics.exposition())
    seconds = counts.quantile(share)

    if seconds is None:
        assert sum(numbers) == 0
    elif seconds < MAX_SECONDS:
        assert counts.slower(seconds) == pytest.approx((1 - share) * sum(numbers), abs=0.6)


def test_a_counter_that_fell_has_begun_anew() -> None:
    before, after = Counts({("code", "200"): 50.0, ("code", "500"): 1.0}), Counts({("code", "200"): 4.0})

    assert grown(after, before) == after
    assert grown(Counts({("code", "200"): 60.0, ("code", "500"): 1.0}), before).samples == {
        ("code", "200"): 10.0,
        ("code", "500"): 0.0,
    }


def test_adds_and_subtracts() -> None:
    one, two = Counts({("code", "200"): 5.0}), Counts({("code", "200"): 7.0, ("code", "500"): 1.0})

    assert add((one, two)).samples == {("code", "200"): 12.0, ("code", "500"): 1.0}
    assert subtract(one, two).samples == {("code", "200"): 0.0}
