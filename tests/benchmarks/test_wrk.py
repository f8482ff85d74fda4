import os
import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from snooze.benchmarks import wrk
from snooze.benchmarks.errors import MissingProgram, WrongAnswer
from snooze.benchmarks.peers.candidates import Golden, bare, snooze
from snooze.benchmarks.peers.servers import Running, running

CORES = sorted(os.sched_getaffinity(0))
needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")


def test_reads_what_the_script_printed() -> None:
    output = "Running 1s test\n  1 threads\nRESULT 5000 1.0 0.8 2.25 0 0\nTransfer/sec: 1MB\n"

    load = wrk.parse("ours", output, 0.5, 0.1, 0.4)

    assert load == wrk.Load(10_000, 0.8, 2.25, 0.2, 0.8)
    assert load.cpu_us == pytest.approx(80)


@pytest.mark.parametrize(
    ("figures", "problem"),
    [
        ("40 1 1 2 17 0", "17 of 40 answers are not 200, and 0 connections failed"),
        ("9 1 1 2 0 3", "0 of 9 answers are not 200, and 3 connections failed"),
        ("0 1 0 0 0 0", "no answer within 1.0 s"),
    ],
)
def test_a_rate_with_wrong_answers_in_it_is_no_rate(figures: str, problem: str) -> None:
    with pytest.raises(WrongAnswer) as caught:
        wrk.parse("ours", f"RESULT {figures}\n", 0.0, 0.1, 0.4)

    assert caught.value.problem == f"under load: {problem}"


def test_repeats_what_wrk_prints_instead() -> None:
    with pytest.raises(WrongAnswer, match="wrk printed: unable to connect"):
        wrk.parse("ours", "unable to connect to 127.0.0.1\n", 0.0, 0.1, 0.4)


def test_names_those_whose_bound_wrk_is() -> None:
    idle, busy = wrk.Load(1, 1, 1, 0.9, 1), wrk.Load(1, 1, 1, 0.97, 1)

    assert wrk.warn({"a": [idle]}) == []
    (warning,) = wrk.warn({"a": [idle], "b": [idle, busy], "c": [busy]})
    assert warning.startswith("wrk used all of its core for b, c:")


def test_the_script_holds_every_byte_of_the_body(bundle: Path) -> None:
    candidate = bare(Golden.of(bundle), binary=True)
    line = wrk.lua([candidate]).decode().splitlines()[-1]
    body = line.rpartition(', "')[2].removesuffix('")')

    assert bytes(int(code) for code in body.split("\\")[1:]) == candidate.payload.body
    assert '["Content-Type"] = "application/octet-stream"' in line


def test_says_how_to_install_wrk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)

    with pytest.raises(MissingProgram) as caught:
        wrk.require()

    assert caught.value.program == "wrk"


@needs_wrk
@pytest.mark.process
def test_loads_a_server_with_the_requests_of_all_candidates(bundle: Path) -> None:
    golden = Golden.of(bundle)
    ours = snooze(golden)
    lost = ours._replace(path="/nowhere")

    with running(ours, golden) as server, wrk.script([ours, ours]) as right, wrk.script([ours, lost]) as half:
        load = wrk.run(server, right, 2, 1, CORES[-1])
        with pytest.raises(WrongAnswer) as caught:
            wrk.run(server, half, 2, 1, CORES[-1])

    assert load.rps > 10
    assert 0 < load.p50_ms <= load.p99_ms
    assert 0 < load.wrk_cores < 1.1
    assert load.server_cores > 0
    wrong, _, answers, *_ = caught.value.problem.removeprefix("under load: ").split()
    assert int(wrong) == pytest.approx(int(answers) / 2, abs=2)


@needs_wrk
@pytest.mark.process
def test_no_request_is_sent_before_all_connections_are_open(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrk, "HOLD_SECONDS", 0.05)
    golden = Golden.of(bundle)
    events: list[tuple[float, str]] = []

    def answer(connection: socket.socket) -> None:
        with connection, suppress(ConnectionResetError):
            while connection.recv(65536):
                events.append((time.monotonic(), "request"))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def accept() -> None:
        for _ in range(5):  # the first is a trial of wrk's
            connection = listener.accept()[0]
            events.append((time.monotonic(), "open"))
            threads.submit(answer, connection)

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        wrk.script([snooze(golden)]) as script,
        ThreadPoolExecutor(6) as threads,
    ):
        threads.submit(accept)
        server = Running(snooze(golden), listener.getsockname()[1], os.getpid(), 0, 0)
        wrk.run(server, script, 4, 1, CORES[-1])

    times = {name: [moment for moment, one in events if one == name] for name in ("open", "request")}
    assert len(times["open"]) == 5
    assert min(times["request"]) - max(times["open"]) > 0.05  # of the 0.2 s that wrk holds them back
