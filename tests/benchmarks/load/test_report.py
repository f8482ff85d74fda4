import json
from pathlib import Path

import pytest

from snooze.benchmarks.load.report import LoadReport
from snooze.bundle.errors import InvalidOption


def report(**changes: object) -> LoadReport:
    values: dict = {
        "url": "http://127.0.0.1:8080",
        "model": "tumour",
        "protocol": "v2",
        "rows": 1,
        "data": "rows.csv",
        "arrivals": "poisson",
        "users": 64,
        "seconds": 20.0,
        "offered_rps": 200.0,
        "achieved_rps": 199.5,
        "requests": 4000,
        "errors": 10,
        "outcomes": {"answered": 3990, "lost": 4, "overloaded": 6, "refused": 0},
        "p50_ms": 0.5,
        "p90_ms": 0.75,
        "p99_ms": 2.0,
        "max_ms": 10.0,
    }
    return LoadReport(**(values | changes))


MEASURED = {"cpu_cores": 0.1, "peak_mib": 60.0, "memory_source": "memory of the cgroup"}
PREDICTED = {"p50_ms": 0.4, "cpu_cores": 0.11, "peak_mib": 66.0}


def test_says_that_nothing_was_measured_at_the_server() -> None:
    assert report().as_text() == "\n".join(
        [
            "tumour at http://127.0.0.1:8080: 4000 requests of 1 row (rows.csv), v2, poisson arrivals, 20 s",
            "  offered            200.0 requests/s",
            "  achieved           199.5 requests/s",
            "  errors                10 (4 lost, 6 overloaded)",
            "  latency p50         0.50 ms",
            "  latency p90         0.75 ms",
            "  latency p99         2.00 ms",
            "  latency max        10.00 ms",
            "  server CPU    not measured",
            "  peak memory   not measured",
        ]
    )


def test_sets_predictions_beside_what_was_measured() -> None:
    lines = report(**MEASURED, predicted=PREDICTED).as_text().splitlines()

    assert lines[4] == "  latency p50         0.50 ms   predicted 0.40, error -20 %"
    assert lines[-3:] == [
        "  server CPU         0.100 cores   predicted 0.110, error +10 %",
        "  peak memory         60.0 MiB   predicted 66.0, error +10 %",
        "  memory is the memory of the cgroup",
    ]


def test_there_is_no_error_of_what_was_not_measured() -> None:
    unmeasured = report(predicted=PREDICTED)

    assert dict(unmeasured.error_percent or {}) == pytest.approx({"p50_ms": -20})
    assert unmeasured.as_text().splitlines()[-1] == "  peak memory   not measured   predicted 66.0"


def test_says_that_more_is_offered_than_one_server_can_bear() -> None:
    saturated = report(predicted=PREDICTED | {"p50_ms": None})

    assert saturated.error_percent == {}
    assert saturated.as_text().splitlines()[4] == (
        "  latency p50         0.50 ms   predicted: more than one server can handle"
    )


def test_warnings_come_last() -> None:
    assert report(warnings=("careful",)).as_text().splitlines()[-1] == "warning: careful"


def test_writes_json_or_text(tmp_path: Path) -> None:
    whole = report(**MEASURED, predicted=PREDICTED)
    whole.write(tmp_path / "load.json")
    whole.write(tmp_path / "load.txt")

    assert json.loads((tmp_path / "load.json").read_text()) == json.loads(json.dumps(whole.as_dict()))
    assert (tmp_path / "load.txt").read_text() == whole.as_text() + "\n"


def test_has_the_keys_that_others_read() -> None:
    keys = {"offered_rps", "achieved_rps", "errors", "p50_ms", "p99_ms", "cpu_cores", "peak_mib", "predicted"}

    assert keys <= set(report().as_dict())


def test_says_that_a_file_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption) as caught:
        report().write(tmp_path / "no" / "load.json")

    assert caught.value.option == "--report"
