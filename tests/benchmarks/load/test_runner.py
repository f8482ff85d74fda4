import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.benchmarks.conftest import DOUBLE, Server

from snooze.benchmarks.errors import LoadFailed, MissingTool, NotMeasurable
from snooze.benchmarks.load import generator
from snooze.benchmarks.load import runner as load
from snooze.benchmarks.load.arrivals import Pace
from snooze.benchmarks.load.outcomes import Outcome, Record
from snooze.benchmarks.load.runner import run
from snooze.benchmarks.load.target import Wanted, prepare
from snooze.benchmarks.meters import Tree, Watch


def test_offers_the_rate_and_reports_what_became_of_it(double: Server, bundle: Path) -> None:
    told: list[Mapping[str, Any]] = []

    report = run(double.url, model="tumour", data=bundle, rps=200, seconds=1.5, pid=double.pid, progress=told.append)

    assert (report.requests, report.errors, report.outcomes["answered"]) == (300, 0, 300)
    assert (report.offered_rps, report.data, report.rows) == (200, str(bundle), 1)
    assert report.achieved_rps == pytest.approx(200, rel=0.05)
    assert report.p50_ms is not None
    assert report.p99_ms is not None
    assert 0 < report.p50_ms <= report.p99_ms
    assert report.cpu_cores is not None
    assert 0 < report.cpu_cores < 2
    assert report.peak_mib is not None
    assert report.peak_mib > 5
    assert [event["event"] for event in told] == ["progress"] * len(told)
    assert told


def test_a_slow_answer_does_not_delay_the_requests_behind_it(double: Server) -> None:
    """Each answer takes 0.2 s; a closed loop over one connection would offer five requests a second."""
    report = run(double.url, model="slow", rps=50, seconds=1, arrivals="constant", users=30)

    assert report.offered_rps == 50
    assert report.errors == 0
    assert report.p50_ms is not None
    assert report.p50_ms == pytest.approx(200, abs=60)


def test_waiting_for_a_free_connection_is_part_of_the_latency(double: Server) -> None:
    """One connection answers five of forty requests in a second; the others wait, or are never sent."""
    report = run(double.url, model="slow", rps=40, seconds=1, arrivals="constant", users=1)

    assert report.outcomes["unsent"] >= 30
    assert report.errors == report.outcomes["unsent"]
    assert report.p99_ms is not None
    assert report.p99_ms > 800
    assert any("still waited for a free connection" in warning for warning in report.warnings)
    assert any("of 40.0 requests/s were answered" in warning for warning in report.warnings)


@pytest.mark.parametrize(("model", "outcome"), [("busy", "overloaded"), ("broken", "lost")])
def test_ways_of_not_answering_are_counted_apart(double: Server, model: str, outcome: str) -> None:
    report = run(double.url, model=model, rps=40, seconds=0.5)

    assert report.outcomes[outcome] == report.errors == report.requests == 20
    assert report.p50_ms is None
    assert report.cpu_cores is None


def test_refused_connections_are_counted_apart(double: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server = subprocess.Popen([sys.executable, str(DOUBLE)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = f"http://127.0.0.1:{int(server.stdout.readline())}"

    def end_the_server(event: Mapping[str, Any]) -> None:
        server.kill()

    try:
        report = run(url, model="tumour", rps=50, seconds=1.6, pid=server.pid, progress=end_the_server)
    finally:
        server.kill()
        server.communicate()

    assert report.outcomes["refused"] > 10
    assert report.outcomes["answered"] + report.outcomes["refused"] + report.outcomes["lost"] == 80
    assert report.cpu_cores is None


def test_a_process_that_is_not_there_is_told_before_the_load() -> None:
    with pytest.raises(NotMeasurable, match="cannot measure process 4194305: there is no such process"):
        run("http://127.0.0.1:9", pid=4194305)


def test_says_how_to_get_locust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "find_spec", lambda name: None)

    with pytest.raises(MissingTool) as caught:
        run("http://127.0.0.1:9")

    assert str(caught.value) == "'locust' is not installed; run: pip install 'snooze[bench]'"


def test_repeats_the_last_words_of_a_generator_that_failed(double: Server, tmp_path: Path) -> None:
    target = prepare(double.url, Wanted("tumour"))

    with pytest.raises(LoadFailed) as caught:
        generator.drive(target, Wanted("tumour", data=tmp_path / "gone.csv"), Pace(seconds=1), Watch(None), None)

    assert str(caught.value).startswith("the load generator failed: ")
    assert "No such file or directory" in str(caught.value)


def test_an_interrupted_load_leaves_no_process_behind(double: Server) -> None:
    def interrupt(event: Mapping[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(double.url, model="tumour", rps=20, seconds=30, progress=interrupt)

    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pytest.fail("a child was left behind")


def test_a_load_whose_owner_was_killed_ends_by_itself(double: Server, tmp_path: Path) -> None:
    code = "from snooze.benchmarks.load.runner import run; "
    code += f"run({double.url!r}, model='tumour', seconds=60, progress=print)"
    environment = os.environ | {"TMPDIR": str(tmp_path)}  # nobody is left to remove its folder
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment)
    assert owner.stdout is not None
    owner.stdout.readline()
    generators = Tree(owner.pid).members()[1:]
    owner.kill()
    owner.communicate()
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in generators) and time.monotonic() < until:
        time.sleep(0.1)

    assert generators
    assert not any(Path(f"/proc/{pid}").exists() for pid in generators)


class Prediction:
    p50_seconds, cpu_cores, peak_bytes = 0.002, 0.5, 64 * 2**20


def test_sets_the_prediction_beside_what_was_measured(
    double: Server, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, float, int]] = []

    def predict(contract: Any, profile: Any, rps: float, rows: int = 1) -> Prediction:
        asked.append((contract.name, rps, rows))
        return Prediction()

    monkeypatch.setattr("snooze.knative.sizing.prediction.predict", predict)

    report = run(double.url, model="tumour", rps=50, seconds=1, rows=2, bundle=bundle, pid=double.pid)

    assert asked == [("tumour", 50, 2)]
    assert report.data == str(bundle)
    assert report.predicted == {"p50_ms": 2, "cpu_cores": 0.5, "peak_mib": 64}
    assert report.error_percent is not None
    assert set(report.error_percent) == {"p50_ms", "cpu_cores", "peak_mib"}


def a_record(outcomes: list[Outcome], cpu: float) -> Record:
    times = np.arange(len(outcomes), dtype=float)
    return Record(times, times, times, np.array(outcomes, np.uint8), len(outcomes), cpu)


def test_warns_that_the_generator_was_the_bottleneck() -> None:
    assert list(load._warnings(a_record([Outcome.ANSWERED] * 10, 9.0), None)) == [
        "the load generator used 90% of a core: the latencies are its own; offer less"
    ]


def test_a_good_load_has_no_warnings() -> None:
    assert list(load._warnings(a_record([Outcome.ANSWERED] * 10, 1.0), None)) == []
