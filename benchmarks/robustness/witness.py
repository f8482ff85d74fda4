"""A well-behaved client in a process of its own, which asks for golden rows while others attack."""

import http.client
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from snooze.benchmarks.errors import WrongAnswer
from snooze.benchmarks.load.outcomes import percentiles_ms
from snooze.benchmarks.peers.candidates import Golden, snooze
from snooze.benchmarks.peers.servers import predict

RATE: Final = 20.0  # requests per second
PER_CONNECTION: Final = 10  # requests before it connects anew
PATIENCE: Final = 10.0  # seconds for one answer
END_SECONDS: Final = 60.0


class Sightings(NamedTuple):
    """The outcomes of a witness's requests. Latencies, in milliseconds, count from when a request was due."""

    right: int = 0
    wrong: int = 0
    declined: int = 0  # 429 or 503
    lost: int = 0  # no connection, or no complete answer
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def requests(self) -> int:
        """All requests."""
        return self.right + self.wrong + self.declined + self.lost


class Witness:
    """The running client; `end` is called once."""

    def __init__(self, process: "multiprocessing.process.BaseProcess", pipe: "Connection[object, Sightings]") -> None:
        self._process = process
        self._pipe = pipe

    def end(self) -> Sightings:
        """End the client and return what it saw."""
        self._pipe.send(None)
        seen = self._pipe.recv() if self._pipe.poll(END_SECONDS) else Sightings(lost=1)
        self._process.join(END_SECONDS)
        return seen


@contextmanager
def witness(folder: Path, port: int) -> Iterator[Witness]:
    """Run a client of the model in `folder` that the server at `port` serves."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=ask, args=(folder, port, theirs), daemon=True)
    process.start()
    ours.recv()  # it is ready
    try:
        yield Witness(process, ours)
    finally:
        process.kill()
        process.join()


def ask(folder: Path, port: int, pipe: "Connection[object, object]") -> None:
    """Send requests until something comes from the pipe; send `Sightings` to it."""
    golden = Golden.of(folder)
    candidate = snooze(golden)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    counts = dict.fromkeys(("right", "wrong", "declined", "lost"), 0)
    latencies = []
    pipe.send(None)
    begun = time.perf_counter()
    while not pipe.poll():
        due = begun + sum(counts.values()) / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        try:
            answer = predict(connection, candidate)
            if answer.status == 200:
                candidate.check(golden, answer)
                outcome = "right"
            else:
                outcome = "declined" if answer.status in (429, 503) else "wrong"
        except WrongAnswer:
            outcome = "wrong"
        except (OSError, http.client.HTTPException):
            outcome = "lost"
            connection.close()
        counts[outcome] += 1
        latencies.append(time.perf_counter() - due)
        if sum(counts.values()) % PER_CONNECTION == 0:
            connection.close()
    percentiles = percentiles_ms(np.array(latencies))
    pipe.send(Sightings(**counts, p50_ms=percentiles["p50_ms"], p99_ms=percentiles["p99_ms"]))
