"""What the statistics say after requests of each kind."""

import time
from pathlib import Path
from typing import Any

import pytest
from tests.service.conftest import Client, publish, regressor

from snooze.service import Settings, create_app

ROW = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
TWO = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}


@pytest.fixture
def asked(tmp_path: Path) -> Client:
    """A server of two versions, the second of which answered two predictions of three rows and refused one."""
    publish(tmp_path, "sum", regressor())
    publish(tmp_path, "sum", regressor())
    client = Client(create_app(Settings(models=(tmp_path,), log="off")))
    for inputs in ([ROW], [TWO], []):
        client.post("/v2/models/sum/infer", {"inputs": inputs})
    return client


def statistics(client: Client, path: str) -> list[dict[str, Any]]:
    return list(client.ask("GET", path).json()["model_stats"])


def test_a_version_counts_its_requests_runs_and_rows(asked: Client) -> None:
    (got,) = statistics(asked, "/v2/models/sum/versions/2/stats")

    assert (got["name"], got["version"]) == ("sum", "2")
    assert (got["inference_count"], got["execution_count"]) == (3, 2)
    assert abs(time.time() * 1000 - got["last_inference"]) < 600_000
    stats = got["inference_stats"]
    assert [stats[name]["count"] for name in ("success", "fail", "compute_infer", "queue")] == [2, 1, 2, 0]
    assert stats["success"]["ns"] > stats["compute_infer"]["ns"] > 0
    assert stats["fail"]["ns"] > 0


def test_requests_of_all_protocols_count(asked: Client) -> None:
    asked.post("/models/sum/predict", [[1, 2, 3]])

    (got,) = statistics(asked, "/v2/models/sum/versions/2/stats")
    assert got["inference_stats"]["success"]["count"] == 3


def test_a_version_that_was_not_asked_has_zeros(asked: Client) -> None:
    (got,) = statistics(asked, "/v2/models/sum/versions/1/stats")

    assert (got["last_inference"], got["inference_count"], got["execution_count"]) == (0, 0, 0)
    assert all(duration == {"count": 0, "ns": 0} for duration in got["inference_stats"].values())


def test_what_is_not_measured_is_zero(asked: Client) -> None:
    (got,) = statistics(asked, "/v2/models/sum/versions/2/stats")

    for name in ("compute_input", "compute_output", "cache_hit", "cache_miss"):
        assert got["inference_stats"][name] == {"count": 0, "ns": 0}
    assert got["batch_stats"] == []


@pytest.mark.parametrize("path", ["/v2/models/stats", "/v2/models/sum/stats"])
def test_all_versions_are_listed(asked: Client, path: str) -> None:
    assert [(one["name"], one["version"]) for one in statistics(asked, path)] == [("sum", "1"), ("sum", "2")]


def test_reading_statistics_adds_no_metric(asked: Client) -> None:
    asked.ask("GET", "/v2")  # the first page counts the build
    before = asked.app.state.metrics.exposition().count(b"\n")
    statistics(asked, "/v2/models/stats")

    assert asked.app.state.metrics.exposition().count(b"\n") == before


@pytest.mark.parametrize("path", ["/v2/models/none/stats", "/v2/models/sum/versions/3/stats"])
def test_there_are_none_of_a_model_that_is_not_served(asked: Client, path: str) -> None:
    assert asked.ask("GET", path).status == 404
