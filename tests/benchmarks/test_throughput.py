import os
import shutil
from pathlib import Path

import pytest

from snooze.benchmarks import throughput
from snooze.benchmarks.errors import MissingProgram, WrongAnswer
from snooze.benchmarks.peers.candidates import Golden, bare
from snooze.benchmarks.throughput import Throughput, best, lua, parse_rate, run, session_run_seconds, summarize

METHOD = {"server_core": 0, "load_core": 1, "seconds": 5.0, "rounds": 3, "installation": "installed"}


def wrk_says(*more: str) -> str:
    return "\n".join(["Running 5s test @ http://127.0.0.1:1", *more, "Requests/sec:  12345.67", "Transfer/sec:  1.5MB"])


def test_reads_the_rate_that_wrk_states() -> None:
    assert parse_rate("ours", wrk_says()) == 12345.67


@pytest.mark.parametrize(
    "bad", ["Non-2xx or 3xx responses: 17", "Socket errors: connect 0, read 3, write 0, timeout 0"]
)
def test_a_rate_with_wrong_answers_in_it_is_no_rate(bad: str) -> None:
    with pytest.raises(WrongAnswer) as caught:
        parse_rate("ours", wrk_says(f"  {bad}"))

    assert caught.value.problem == f"under load: {bad}"


def test_repeats_what_wrk_says_instead_of_a_rate() -> None:
    with pytest.raises(WrongAnswer, match="wrk printed: unable to connect"):
        parse_rate("ours", "unable to connect to 127.0.0.1\n")


def test_the_script_holds_every_byte_of_the_body(bundle: Path) -> None:
    candidate = bare(Golden.of(bundle))
    script = lua(candidate).decode()
    body = script.partition('wrk.body = "')[2].rstrip('"\n')

    assert bytes(int(code) for code in body.split("\\")[1:]) == candidate.payload.body
    assert 'wrk.headers["Content-Type"] = "application/json"' in script


def test_the_limit_is_bare_uvicorn_plus_the_run() -> None:
    found = [
        Throughput("snooze", {1: 10_000, 8: 12_000, 64: 11_000}, 45.0, 60.0, 35.0),
        Throughput("bare uvicorn", {1: 30_000, 8: 40_000, 64: 38_000}, 22.0, 30.0, 12.0),
    ]

    table = summarize(found, 25e-6, METHOD)

    assert table.figures["limit_rps"] == pytest.approx(20_000)  # 1 / (25 us + 25 us)
    assert table.figures["servers"]["snooze"]["of_limit"] == pytest.approx(0.6)
    assert table.rows[0] == ["snooze", "10000", "12000", "11000", "**12000**", "60%", "45.0", "60.0", "35.0"]
    assert table.rows[1][5] == "-"
    assert "session.run 25.0 us on the server's core: 20000 requests/s." in table.method


def test_without_bare_uvicorn_there_is_no_limit() -> None:
    table = summarize([Throughput("snooze", {1: 1.0, 8: 2.0, 64: 3.0}, 45.0, 60.0, 35.0)], 25e-6, METHOD)

    assert table.figures["limit_rps"] is None
    assert table.rows[0][5] == "-"


def test_the_best_round_of_each_number_of_connections_counts() -> None:
    rounds = [Throughput("a", {1: 5.0, 8: 9.0}, 40.0, 60.0, 30.0), Throughput("a", {1: 7.0, 8: 8.0}, 44.0, 62.0, 32.0)]

    assert best(rounds) == Throughput("a", {1: 7.0, 8: 9.0}, 42.0, 61.0, 31.0)


def test_says_how_to_install_wrk(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(MissingProgram) as caught:
        run(bundle, "snooze", 1, 1)

    assert caught.value.program == "wrk"


@pytest.mark.process
def test_measures_one_run_of_the_model(bundle: Path) -> None:
    assert 0 < session_run_seconds(Golden.of(bundle), min(os.sched_getaffinity(0))) < 1


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it takes two cores")
@pytest.mark.process
def test_compares_rates_of_servers(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "CONNECTIONS", (2,))

    figures = run(bundle, "bare", seconds=1, rounds=1).figures

    server = figures["servers"]["bare uvicorn"]
    assert server["best_rps"] == max(server["rps"].values()) > 0
    assert figures["limit_rps"] < server["best_rps"]
    assert 1 < server["anonymous_mib"] < server["pss_mib"] < server["rss_mib"]
