import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.benchmarks.conftest import DOUBLE, Server

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.load import runner
from snooze.benchmarks.load.arrivals import Pace
from snooze.benchmarks.load.outcomes import Outcome, Record
from snooze.benchmarks.load.runner import run
from snooze.benchmarks.load.target import RequestOptions

TUMOUR = RequestOptions("tumour")


@pytest.mark.process
def test_offers_the_rate_and_reports_the_outcomes(double: Server, bundle: Path) -> None:
    events: list[Mapping[str, Any]] = []
    options = RequestOptions("tumour", str(bundle))

    report = run(double.url, options, Pace(100, 1.5), pid=double.pid, progress=events.append)

    assert (report.requests, report.errors, report.outcomes["answered"]) == (150, 0, 150)
    assert (report.offered_rps, report.data, report.rows) == (100, str(bundle), 1)
    assert 0 < report.achieved_rps <= 100
    assert report.p50_ms is not None
    assert report.p99_ms is not None
    assert 0 < report.p50_ms <= report.p99_ms
    assert report.cpu_cores is not None
    assert report.cpu_cores > 0
    assert report.peak_mib is not None
    assert report.peak_mib > 5
    assert report.memory_source is not None
    assert events
    assert {event["event"] for event in events} == {"progress"}


@pytest.mark.process
def test_a_slow_answer_does_not_delay_the_requests_behind_it(double: Server) -> None:
    """Each answer takes 0.2 s; a closed loop over one connection would send five requests in a second."""
    report = run(double.url, RequestOptions("slow"), Pace(50, 1, users=30, arrivals="constant"))

    assert report.offered_rps == 50
    assert report.outcomes["answered"] > 10
    assert report.outcomes["answered"] + report.outcomes["unsent"] == 50
    assert report.p50_ms is not None
    assert report.p50_ms >= 200


@pytest.mark.process
def test_waiting_for_a_free_connection_is_part_of_the_latency(double: Server) -> None:
    """One connection answers at most five of forty requests in a second; the others wait, or are never sent."""
    report = run(double.url, RequestOptions("slow"), Pace(40, 1, users=1, arrivals="constant"))

    assert report.outcomes["unsent"] >= 30
    assert report.errors == report.outcomes["unsent"]
    assert report.p99_ms is not None
    assert report.p99_ms > 800
    assert any("were never sent" in warning for warning in report.warnings)
    assert any("of 40.0 requests/s were answered" in warning for warning in report.warnings)


@pytest.mark.process
def test_refused_connections_are_counted_separately() -> None:
    with subprocess.Popen([sys.executable, str(DOUBLE)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        try:
            report = run(url, TUMOUR, Pace(50, 3), pid=server.pid, progress=lambda event: server.kill())
        finally:
            server.kill()

    assert report.outcomes["refused"] > 0
    assert report.outcomes["answered"] + report.outcomes["refused"] + report.outcomes["lost"] == 150
    assert report.cpu_cores is None
    assert any("it ended before the load did" in warning for warning in report.warnings)


def test_a_missing_process_is_reported_before_the_load() -> None:
    with pytest.raises(NotMeasurable) as caught:
        run("http://127.0.0.1:9", pid=4194305)

    assert caught.value.what == "process 4194305"


class Prediction:
    p50_seconds, cpu_cores, peak_bytes = 0.002, 0.5, 64 * 2**20


@pytest.mark.process
def test_a_bundle_names_the_model_and_predicts_the_figures(
    double: Server, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has several models: without the bundle, the model would have to be named."""
    asked: list[tuple[str, float, int]] = []

    def predict(contract: Any, profile: Any, rps: float, rows: int) -> Prediction:
        asked.append((contract.name, rps, rows))
        return Prediction()

    monkeypatch.setattr("snooze.knative.sizing.prediction.predict", predict)

    report = run(double.url, RequestOptions(rows=2), Pace(50, 1), bundle=bundle, pid=double.pid)

    assert asked == [("tumour", 50, 2)]
    assert (report.model, report.data) == ("tumour", str(bundle))
    assert report.predicted == {"p50_ms": 2, "cpu_cores": 0.5, "peak_mib": 64}
    assert report.error_percent is not None
    assert set(report.error_percent) == {"p50_ms", "cpu_cores", "peak_mib"}


def make_record(outcomes: list[Outcome], cpu: float) -> Record:
    times = np.arange(len(outcomes), dtype=float)
    return Record(times, times, times, np.array(outcomes, np.uint8), len(outcomes), cpu)


@pytest.mark.parametrize(
    ("outcomes", "cpu", "problem", "expected"),
    [
        ([Outcome.ANSWERED] * 10, 1.0, None, []),
        ([Outcome.ANSWERED] * 10, 9.0, None, ["the load generator used 90% of a core"]),
        ([Outcome.ANSWERED] * 19 + [Outcome.LOST], 1.0, None, ["the latencies include 1 requests without an answer"]),
        ([Outcome.ANSWERED] * 10, 1.0, "it ended", ["the server's CPU and memory were not measured: it ended"]),
    ],
)
def test_warns_of_what_makes_figures_doubtful(
    outcomes: list[Outcome], cpu: float, problem: str | None, expected: list[str]
) -> None:
    warnings = list(runner._warnings(make_record(outcomes, cpu), problem))

    assert len(warnings) == len(expected)
    assert all(warning.startswith(start) for warning, start in zip(warnings, expected, strict=True))
