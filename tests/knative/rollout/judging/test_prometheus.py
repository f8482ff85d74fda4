"""Against fixed answers, and against a real Prometheus where one is installed."""

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.client.conftest import Serve
from tests.end_to_end.servers import DEADLINE
from tests.knative.rollout.judging.conftest import NEW, OLD

from snooze.bundle.errors import InvalidOption
from snooze.bundle.store import Found
from snooze.client.exchange import Address, exchange
from snooze.knative.rollout.errors import PrometheusFailed
from snooze.knative.rollout.judging.prometheus import Prometheus, parse_token
from snooze.knative.rollout.judging.questions import golden_questions

CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
- job_name: pods
  static_configs:
  - {{targets: ["{old}"], labels: {{namespace: judge, revision: {OLD}}}}}
  - {{targets: ["{new}"], labels: {{namespace: judge, revision: {NEW}}}}}
  - {{targets: ["{new}"], labels: {{namespace: other, revision: {NEW}}}}}
"""


def vector(*series: tuple[dict[str, str], str]) -> dict[str, Any]:
    """Return a result as Prometheus answers it."""
    found = [{"metric": labels, "value": [1770000000.0, value]} for labels, value in series]
    return {"status": "success", "data": {"resultType": "vector", "result": found}}


def test_asks_how_much_the_counters_have_grown_by_revision(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 100.2, 161.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    answer = vector(
        ({"revision": NEW, "code": "200", "le": "0.1"}, "41.6"),
        ({"revision": NEW, "code": "500", "le": "+Inf"}, "1.2"),
        ({"revision": OLD, "code": "200", "le": "+Inf"}, "NaN"),
    )
    asked: list[dict[str, list[str]]] = []
    prometheus = Prometheus(serve({"/behind/api/v1/query": answer}) + "/behind/", None, "judge", (OLD, NEW))
    original = exchange

    def record(*arguments: Any) -> Any:
        asked.append(parse_qs(arguments[3].body.decode()))
        return original(*arguments)

    monkeypatch.setattr("snooze.knative.rollout.judging.prometheus.exchange", record)

    prometheus.read([], step=1)
    reading = prometheus.read([], step=1)

    assert (reading.counts[NEW].requests, reading.counts[NEW].errors) == (43, 1)
    assert reading.counts[NEW].buckets == [(0.1, 41.6), (float("inf"), 1.2)]
    assert reading.notes == (f"Prometheus has no figures of {OLD} yet",)
    assert asked[-2:] == [
        {
            "query": [
                "sum by (revision, code) (increase(snooze_requests_total"
                f'{{namespace="judge",revision=~"{OLD}|{NEW}"}}[61s]))'
            ]
        },
        {
            "query": [
                "sum by (revision, le) (increase(snooze_request_seconds_bucket"
                f'{{namespace="judge",revision=~"{OLD}|{NEW}"}}[61s]))'
            ]
        },
    ]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ((401, {}, b"no"), "answered 401: no"),
        ((503, {}, b'{"status": "error", "error": "query timed out"}'), "answered 503: query timed out"),
        ((302, {"Location": "/login"}, b""), "answered 302: (no message)"),
        ({"status": "success"}, "does not answer as a Prometheus does"),
        ({"data": {"result": [{"metric": {}}]}}, "does not answer as a Prometheus does"),
        (b"<html>", "the answer is not a JSON object"),
    ],
)
def test_an_answer_without_figures_is_an_error_that_never_shows_the_token(
    serve: Serve, answer: Any, problem: str
) -> None:
    prometheus = Prometheus(serve({"/api/v1/query": answer}), "secret-token", "judge", (OLD, NEW))

    with pytest.raises(PrometheusFailed) as caught:
        prometheus.read([], step=0)

    assert problem in str(caught.value)
    assert "secret-token" not in str(caught.value)


def test_the_token_is_sent(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    original = exchange

    def record(*arguments: Any) -> Any:
        sent.append(arguments[3].headers["Authorization"])
        return original(*arguments)

    monkeypatch.setattr("snooze.knative.rollout.judging.prometheus.exchange", record)

    Prometheus(serve({"/api/v1/query": vector()}), "secret-token", "judge", (OLD, NEW)).read([], step=0)

    assert sent == ["Bearer secret-token"] * 2


def test_nobody_there_is_an_error() -> None:
    with pytest.raises(PrometheusFailed, match="cannot reach"):
        Prometheus("http://127.0.0.1:9", None, "judge", (OLD, NEW)).read([], step=0)


def test_an_invalid_url_is_refused() -> None:
    with pytest.raises(InvalidOption):
        Prometheus("ftp://prometheus", None, "judge", (OLD, NEW))


@pytest.mark.process
def test_a_real_prometheus_counts_what_real_servers_answer(
    urls: list[str], versions: list[Found], tmp_path: Path
) -> None:
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    old, new = (Address.parse(url) for url in urls)
    (tmp_path / "prometheus.yml").write_text(
        CONFIGURATION.format(old=old.authority, new=new.authority, OLD=OLD, NEW=NEW)
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    options = (f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address={listen}")
    command = [program, f"--config.file={tmp_path}/prometheus.yml", *options]
    log = (tmp_path / "log").open("wb")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            prometheus = Prometheus(f"http://{listen}", None, "judge", (OLD, NEW))
            end = time.monotonic() + DEADLINE
            while _reading(prometheus, 0) is None or _reading(prometheus, 0) == {}:
                assert time.monotonic() < end
                time.sleep(0.1)
            _reading(prometheus, 1)
            path, (question,) = golden_questions(versions[1])
            for _ in range(20):
                assert exchange(new, "POST", path, question).status == 200
                time.sleep(0.1)
            while (found := _reading(prometheus, 1)) is None or found.get(NEW, 0) < 18:  # increase() extrapolates
                assert time.monotonic() < end, found
                time.sleep(0.2)
            counts = prometheus.read([], 1).counts
        finally:
            process.terminate()
            process.wait(DEADLINE)
    assert counts[NEW].requests < 30
    assert (counts[NEW].errors, counts[OLD].requests) == (0, 0)
    p99 = counts[NEW].quantile(0.99)
    assert p99 is not None
    assert 0 < p99 <= 10


def _reading(prometheus: Prometheus, step: int) -> dict[str, int] | None:
    """Return the requests by revision of which there are figures; None as long as Prometheus starts."""
    try:
        counts = prometheus.read([], step).counts
    except PrometheusFailed:
        return None
    return {revision: one.requests for revision, one in counts.items() if one.samples}


@pytest.mark.parametrize(("text", "token"), [("abc.d-e_f\n", "abc.d-e_f"), ("", None), (" \n", None)])
def test_reads_a_token(text: str, token: str | None) -> None:
    assert parse_token(text) == token


@pytest.mark.parametrize("text", ["two words", "schlüssel", "a\r\nHost: b", "a\x00"])
def test_refuses_a_token_that_no_header_may_have_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="expected a bearer token") as caught:
        parse_token(text)

    assert text not in str(caught.value)
