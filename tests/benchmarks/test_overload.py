import os
import sys
from pathlib import Path

import numpy as np
import pytest

from snooze.benchmarks import overload
from snooze.benchmarks.load.outcomes import Outcome, Record
from snooze.benchmarks.overload import Point, run, summarize

METHOD = {
    "server_core": 0,
    "load_core": 1,
    "seconds": 2.0,
    "rows": 1,
    "deadline_ms": 250.0,
    "open": 64,
    "installation": "installed",
}


def record(*requests: tuple[float, Outcome]) -> Record:
    """Return a record of 2 s of requests with these latencies and outcomes."""
    due = np.arange(len(requests)) / 100
    latencies, outcomes = (np.array(values) for values in zip(*requests, strict=True))
    return Record(due, due, due + latencies, outcomes.astype(np.uint8), 2.0, 0.2)


def test_only_answers_within_the_deadline_are_goodput() -> None:
    point = Point.of(
        2.0,
        record(
            (0.1, Outcome.ANSWERED),
            (0.2, Outcome.ANSWERED),
            (0.3, Outcome.ANSWERED),  # late
            (0.001, Outcome.OVERLOADED),
            (0.25, Outcome.FAILED),
            (0.5, Outcome.LOST),
            (1.0, Outcome.UNSENT),
        ),
        deadline=0.25,
    )

    assert (point.offered, point.goodput) == (3.5, 1.0)
    assert [point.p50_ms, point.p99_ms] == [pytest.approx(200), pytest.approx(300)]
    assert (point.overloaded, point.other, point.unsent) == (1, 2, 1)


def test_goodput_is_compared_with_the_peak() -> None:
    points = [
        Point(1.0, 100.0, 80.0, 12.34, 99.0, 0, 0, 0, 0.1),
        Point(2.0, 200.0, 72.0, None, None, 250, 3, 4, 0.1),
    ]

    table = summarize(points, 100.0, sys.executable, [], METHOD)

    assert list(table.rows) == [
        ["1 x", "100", "80", "100%", "12.3", "99.0", "0", "0", "0"],
        ["2 x", "200", "72", "90%", "-", "-", "250", "3", "4"],
    ]
    assert table.figures["points"][1]["overloaded"] == 250
    assert "SNOOZE_TIMEOUT is 250 ms" in table.method


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it takes two cores")
@pytest.mark.process
def test_measures_a_server_and_restores_its_own_cores(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "FACTORS", (0.1,))
    cores = os.sched_getaffinity(0)

    figures = run(bundle, rows=2, deadline=10.0, seconds=1.0).figures

    assert os.sched_getaffinity(0) == cores
    assert figures["capacity_rps"] > 0
    (point,) = figures["points"]
    assert 0 < point["goodput"] <= point["offered"]
