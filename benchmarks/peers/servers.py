"""Start a candidate, wait for its first right answer, and end it."""

import http.client
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

from snooze.benchmarks.errors import StartFailed, WrongAnswer
from snooze.benchmarks.meters import Tree
from snooze.benchmarks.peers.candidates import ENVIRONMENT, Candidate, Golden

START_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.001
STOP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """Spawn to first right answer: wall seconds, and CPU seconds of the process tree."""

    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Running:
    """A server that has given its first right answer."""

    candidate: Candidate
    port: int
    pid: int
    first: FirstAnswer


@contextmanager
def running(candidate: Candidate, golden: Golden, core: int | None = None) -> Iterator[Running]:
    """
    Start `candidate`, on one `core` if that is given, and yield it after its first right answer.

    Raises:
        StartFailed: it ended, or did not answer within 30 s.
        WrongAnswer: its answer is not the golden one.
    """
    port = _free_port()
    environment = {**os.environ, **ENVIRONMENT, **candidate.environment, "PORT": str(port)}
    with tempfile.TemporaryFile() as log:
        begun = time.perf_counter()
        process = subprocess.Popen(candidate.command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            if core is not None:
                os.sched_setaffinity(process.pid, {core})
            yield Running(candidate, port, process.pid, _first(candidate, golden, process, port, begun, log))
        finally:
            _stop(process)


def connect(port: int) -> http.client.HTTPConnection:
    """Return a connection to a server on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    connection.connect()
    return connection


def send(connection: http.client.HTTPConnection, candidate: Candidate) -> http.client.HTTPResponse:
    """Send the candidate's request and return its answer, whose body is not read yet."""
    connection.request("POST", candidate.path, candidate.payload.body, dict(candidate.payload.headers))
    return connection.getresponse()


def _first(
    candidate: Candidate,
    golden: Golden,
    process: subprocess.Popen[bytes],
    port: int,
    begun: float,
    log: IO[bytes],
) -> FirstAnswer:
    connection = _connected(candidate, process, port, begun, log)
    try:
        response = send(connection, candidate)
        body = response.read()
        wall = time.perf_counter() - begun
        cpu = Tree(process.pid).cpu_seconds()
    except (OSError, http.client.HTTPException) as error:
        raise StartFailed(candidate.name, _last_line(log) or str(error) or type(error).__name__) from None
    finally:
        connection.close()
    if response.status != 200:
        raise WrongAnswer(candidate.name, f"status {response.status}: {body[:200]!r}")
    candidate.check(golden, body)
    return FirstAnswer(wall, cpu)


def _connected(
    candidate: Candidate, process: subprocess.Popen[bytes], port: int, begun: float, log: IO[bytes]
) -> http.client.HTTPConnection:
    """Try to connect every millisecond until the server listens."""
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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
