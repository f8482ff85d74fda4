"""Start a candidate, wait for its first right answer, and end it."""

import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import IO, Final, NamedTuple

from snooze.benchmarks.errors import StartFailed, WrongAnswer
from snooze.benchmarks.meters import Tree
from snooze.benchmarks.peers.candidates import ENVIRONMENT, Candidate, Golden
from snooze.client.exchange import Answer

START_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.001
STOP_SECONDS: Final = 10.0


class Running(NamedTuple):
    """A server after its first right answer, with wall seconds and CPU seconds (of its processes) since the spawn."""

    candidate: Candidate
    port: int
    pid: int
    wall_seconds: float
    cpu_seconds: float


@contextmanager
def running(candidate: Candidate, golden: Golden, cores: Collection[int] = ()) -> Iterator[Running]:
    """
    Start `candidate`, on some `cores` if they are given, and yield it after its first right answer.

    Raises:
        StartFailed: it ended, or did not answer within 30 s.
        WrongAnswer: its answer is not the golden one.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, **ENVIRONMENT, **candidate.environment, "PORT": str(port)}
    with tempfile.TemporaryFile() as log:
        begun = time.perf_counter()
        process = subprocess.Popen(candidate.command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            if cores:
                os.sched_setaffinity(process.pid, cores)
            yield Running(candidate, port, process.pid, *_measure_first(candidate, golden, process, port, begun, log))
        finally:
            _stop(process)


def connect(port: int) -> http.client.HTTPConnection:
    """Return a connection to a server on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    connection.connect()
    return connection


def predict(connection: http.client.HTTPConnection, candidate: Candidate) -> Answer:
    """Send the candidate's request and return the answer, whatever its status."""
    connection.request("POST", candidate.path, candidate.payload.body, dict(candidate.payload.headers))
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(candidate.path, response.status, headers, response.read())


def _measure_first(
    candidate: Candidate, golden: Golden, process: "subprocess.Popen[bytes]", port: int, begun: float, log: IO[bytes]
) -> tuple[float, float]:
    """Return the wall and CPU seconds until the first right answer."""
    connection = _connect_when_listening(candidate, process, port, begun, log)
    try:
        answer = predict(connection, candidate)
        seconds = time.perf_counter() - begun, Tree(process.pid).cpu_seconds()
    except (OSError, http.client.HTTPException) as error:
        raise StartFailed(candidate.name, _last_line(log) or str(error) or type(error).__name__) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise WrongAnswer(candidate.name, f"status {answer.status}: {answer.body[:200]!r}")
    candidate.check(golden, answer)
    return seconds


def _connect_when_listening(
    candidate: Candidate, process: "subprocess.Popen[bytes]", port: int, begun: float, log: IO[bytes]
) -> http.client.HTTPConnection:
    while time.perf_counter() - begun < START_SECONDS:
        try:
            return connect(port)
        except ConnectionRefusedError:
            if process.poll() is not None:
                raise StartFailed(candidate.name, _last_line(log) or f"exit code {process.returncode}") from None
            time.sleep(POLL_SECONDS)
    raise StartFailed(candidate.name, f"it does not listen after {START_SECONDS:.0f} s")


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
