"""
What becomes of requests while a server stops (SIGTERM), sleeps (`--idle`) and reloads (SIGHUP).

A request is sent when its bytes are written to an established connection. It is lost if no complete answer comes, also
if the server closed a kept connection just before it read the first byte; the answer before must have announced that
(`Connection: close`), or the client must have seen the end of the connection before it sent.
"""

import json
import os
import random
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from snooze.benchmarks.comparison import Results
from snooze.benchmarks.errors import StartFailed, WrongAnswer
from snooze.benchmarks.load.outcomes import STATUSES, Outcome
from snooze.benchmarks.machine import describe
from snooze.benchmarks.peers.candidates import Candidate, Golden, snooze
from snooze.benchmarks.peers.servers import START_SECONDS, Running, connect, running
from snooze.benchmarks.progress import show
from snooze.bundle.codec import CONTRACT
from snooze.client.exchange import Answer

CALLERS: Final = 8
MAX_PAUSE: Final = 0.4  # seconds between two requests of a caller that pauses
STOP_AFTER: Final = 500  # requests between start and SIGTERM
IDLE: Final = 0.2  # seconds
BURST: Final = 20  # requests of each caller before all of them pause
MIN_RELOADS: Final = 6
ANSWER_SECONDS: Final = 30.0
COLUMNS: Final = ("event", "times", "sent", "answered", "refused", "429", "503", "other status", "lost")
METHOD: Final = (
    f"{CALLERS} callers for each event: every other one keeps its connection, the others take a new one for each "
    f"request; a quarter pauses up to {MAX_PAUSE:g} s between two. At least {{requests}} requests per event. A 200 "
    "must carry the golden outputs. Lost: written to an established connection, and no complete answer came."
)


class Event(NamedTuple):
    """What became of the requests around an event that happened so many times."""

    name: str
    times: int
    outcomes: Counter[Outcome]
    problems: list[str]

    @property
    def sent(self) -> int:
        """The number of requests that were written to a connection."""
        return self.outcomes.total() - self.outcomes[Outcome.REFUSED]

    @property
    def row(self) -> list[str]:
        """The cells of the table."""
        shown = (
            Outcome.ANSWERED,
            Outcome.REFUSED,
            Outcome.OVERLOADED,
            Outcome.UNAVAILABLE,
            Outcome.FAILED,
            Outcome.LOST,
        )
        return [self.name, *map(str, (self.times, self.sent, *(self.outcomes[one] for one in shown)))]


class Caller:
    """Sends one request after the other to a server on this machine, and counts what becomes of them."""

    def __init__(self, server: Running, golden: Golden, number: int) -> None:
        self._candidate = server.candidate
        self._golden = golden
        self._port = server.port
        self._keeps = number % 2 == 0
        self._pause = MAX_PAUSE if number % 4 == 2 else 0.0
        self._connection: socket.socket | None = None
        self.outcomes: Counter[Outcome] = Counter()
        self.first_answers = 0  # of a server process
        self.problems: list[str] = []

    def send(self) -> Outcome:
        """Send one request, and return what became of it."""
        if self._pause:
            time.sleep(random.uniform(0, self._pause))
        outcome = self._send()
        self.outcomes[outcome] += 1
        return outcome

    def close(self) -> None:
        """Close the connection, if one is kept."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self) -> Outcome:
        if self._connection is not None and select.select([self._connection], [], [], 0)[0]:
            self.close()  # the server has closed it, as any client notices that keeps connections
        if self._connection is None:
            try:
                self._connection = socket.create_connection(("127.0.0.1", self._port), ANSWER_SECONDS)
            except OSError:
                return Outcome.REFUSED
        try:
            self._connection.sendall(request(self._candidate))
            status, headers, body = read_answer(self._connection)
        except OSError as error:
            self.problems.append(f"{type(error).__name__}: {error}")
            self.close()
            return Outcome.LOST
        if not self._keeps or headers.get("connection") == "close":
            self.close()
        self.first_answers += "server-timing" in headers
        if status == 200:
            try:
                self._candidate.check(self._golden, Answer(self._candidate.path, status, headers, body))
            except WrongAnswer as error:
                self.problems.append(str(error))
                return Outcome.FAILED
        return STATUSES.get(status, Outcome.FAILED)


def run(bundle: Path, requests: int, python: str = sys.executable) -> Results:
    """Send at least so many requests around each event and return the results."""
    golden = Golden.of(bundle)
    events = []
    for name, observe in EVENTS.items():
        show(name)
        events.append(observe(golden, requests, python))
    show("")
    for event in events:
        for problem, times in Counter(event.problems).most_common(5):
            print(f"{event.name}: {times} x {problem}", file=sys.stderr)
    return summarize(events, requests, python)


def observe_stop(golden: Golden, requests: int, python: str) -> Event:
    """Start a server and stop it by SIGTERM in the midst of requests, again and again."""
    event = Event("SIGTERM", 0, Counter(), [])
    while event.sent < requests:
        with running(snooze(golden, python), golden) as server, call(server, golden, _call_until_refused) as callers:
            _wait_until(lambda: _count(callers) >= STOP_AFTER, "answer")
            os.kill(server.pid, signal.SIGTERM)
        event = _add(event, callers)._replace(times=event.times + 1)
    return event


def observe_sleep(golden: Golden, requests: int, python: str) -> Event:
    """Let `snooze serve --idle` sleep again and again; requests come around the moment in which it goes to sleep."""
    command = (python, "-P", "-m", "snooze.cli", "serve", str(golden.folder), "--idle", f"{IDLE:g}s")
    candidate = snooze(golden, python)._replace(command=command)
    event = Event("idle sleep", 0, Counter(), [])
    with running(candidate, golden) as server:
        while event.sent < requests:
            with call(server, golden, _call_in_burst) as callers:
                pass
            event = _add(event, callers)
            event = event._replace(times=event.times + sum(caller.first_answers for caller in callers))
            time.sleep(IDLE * random.uniform(0.8, 1.6))
    return event


def observe_reload(golden: Golden, requests: int, python: str) -> Event:
    """Add, remove and spoil versions while requests come."""
    stop, name = threading.Event(), golden.bundle.name
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        add_version(golden, models, 1)
        candidate = snooze(golden, python).with_environment({"SNOOZE_MODELS": folder})
        with running(candidate, golden) as server, call(server, golden, lambda one: _call_until(one, stop)) as callers:
            version = reloads = 0
            try:
                while _count(callers) < requests or reloads < MIN_RELOADS:
                    version += 1
                    add_version(golden, models, version + 1)
                    spoilt = add_version(golden, models, version + 2)
                    (spoilt / golden.bundle.session.file).write_bytes(b"")
                    reload(server, {version, version + 1})
                    shutil.rmtree(spoilt)
                    shutil.rmtree(models / name / str(version))
                    reload(server, {version + 1})
                    reloads += 2
            finally:
                stop.set()
    return _add(Event("reload", reloads, Counter(), []), callers)


EVENTS: Final = {"SIGTERM": observe_stop, "idle sleep": observe_sleep, "reload": observe_reload}


def summarize(events: list[Event], requests: int, python: str = sys.executable) -> Results:
    """Return the table of the events."""
    figures = {
        event.name: {"times": event.times, "sent": event.sent}
        | {outcome.name.lower(): event.outcomes[outcome] for outcome in Outcome if outcome != Outcome.UNSENT}
        for event in events
    }
    method = METHOD.format(requests=requests)
    rows = [event.row for event in events]
    return Results("Requests around events", method, describe(python), figures, COLUMNS, rows)


def failures(results: Results) -> list[str]:
    """Return the events around which requests were lost or answered wrong, with their number."""
    wrong = {name: one["lost"] + one["failed"] for name, one in results.figures.items()}
    return [f"{name}: {count} requests were lost or answered wrong" for name, count in wrong.items() if count]


def request(candidate: Candidate) -> bytes:
    """Return the bytes of the candidate's request."""
    headers = {"Host": "127.0.0.1", "Content-Length": str(len(candidate.payload.body)), **candidate.payload.headers}
    lines = [f"POST {candidate.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + candidate.payload.body


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (lower case) and body of an answer that has a length; an OSError if it is not complete."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _receive(connection)
    first, *lines = data[:end].decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    body = data[end + 4 :]
    while len(body) < int(headers["content-length"]):
        body += _receive(connection)
    return int(first.split()[1]), headers, body


def add_version(golden: Golden, models: Path, version: int) -> Path:
    """Add a copy of the bundle to a repository as another version, and return its folder."""
    folder = models / golden.bundle.name / str(version)
    draft = folder.with_name(f".draft-{version}")
    shutil.copytree(golden.folder, draft)
    contract = json.loads((draft / CONTRACT).read_text("utf-8"))
    (draft / CONTRACT).write_text(json.dumps({**contract, "version": version}), "utf-8")
    return draft.rename(folder)


def reload(server: Running, expected: set[int]) -> None:
    """Let the server reload, and wait until it serves just these versions."""
    os.kill(server.pid, signal.SIGHUP)
    _wait_until(lambda: read_versions(server) == expected, f"serve the versions {sorted(expected)}")


def read_versions(server: Running) -> set[int]:
    """Return the versions that the server lists as ready."""
    connection = connect(server.port)
    try:
        connection.request("POST", "/v2/repository/index", b'{"ready": true}')
        listed: list[dict[str, Any]] = json.load(connection.getresponse())
    finally:
        connection.close()
    return {int(one["version"]) for one in listed}


@contextmanager
def call(server: Running, golden: Golden, work: Callable[[Caller], None]) -> Iterator[list[Caller]]:
    """Let callers work in threads; at the end, wait until each has done its work."""
    callers = [Caller(server, golden, number) for number in range(CALLERS)]
    with ThreadPoolExecutor(CALLERS) as pool:
        tasks = [pool.submit(work, caller) for caller in callers]
        yield callers
        for task in tasks:
            task.result()
    for caller in callers:
        caller.close()


def _call_until_refused(caller: Caller) -> None:
    while caller.send() != Outcome.REFUSED:
        pass


def _call_until(caller: Caller, stop: threading.Event) -> None:
    while not stop.is_set():
        caller.send()


def _call_in_burst(caller: Caller) -> None:
    caller._pause = 0.0
    for _ in range(BURST):
        caller.send()


def _count(callers: list[Caller]) -> int:
    return sum(caller.outcomes.total() for caller in callers)


def _add(event: Event, callers: list[Caller]) -> Event:
    outcomes = event.outcomes + sum((caller.outcomes for caller in callers), Counter())
    return event._replace(
        outcomes=outcomes, problems=event.problems + [one for each in callers for one in each.problems]
    )


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise StartFailed("snooze", f"it did not {what} within {START_SECONDS:.0f} s")
        time.sleep(0.01)


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionResetError("the server closed the connection before a complete answer")
    return data
