"""
The load itself, inside Locust: requests sent when they are due, over connections that are kept alive.

Imported only by the locustfile: Locust has replaced the blocking parts of the standard library by then, so `time.sleep`
lets other callers run.
"""

import time
from array import array
from collections.abc import Callable, Iterator
from http.client import HTTPException
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, Final

import numpy as np
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPSocketPoolResponse

from snooze.benchmarks.exchange import Address
from snooze.benchmarks.load.outcomes import Outcome, Record, of_status
from snooze.benchmarks.load.target import Target

PATIENCE_SECONDS: Final = 30.0
WARM_UP_REQUESTS: Final = 20
WARM_UP_SECONDS: Final = 0.5

Report = Callable[[float, Outcome, int, str], None]  # latency in seconds, fate, bytes of the answer, what went wrong


class Load:
    """
    One load of a target. Any number of callers share its schedule, its connections and its record.

    `arrivals` are the seconds at which requests are due; the load is over after `seconds` (None: when it is stopped).
    """

    def __init__(self, target: Target, arrivals: Iterator[float], seconds: float | None, callers: int) -> None:
        self._arrivals = arrivals
        self._seconds = seconds
        self._requests = [_request(target, index) for index in range(len(target.payloads))]
        self._connections = _connections(target.address, callers)
        self._begun: float | None = None
        self._cpu = 0.0
        self._numbers = array("d"), array("d"), array("d")  # due, started, ended
        self._outcomes = array("B")
        self.open = 0
        self.stopped = False

    def warm_up(self) -> None:
        """Send a few requests that nobody counts: the first ones open connections and fill caches, on both sides."""
        until = time.perf_counter() + WARM_UP_SECONDS
        for index in range(WARM_UP_REQUESTS):
            if time.perf_counter() < until:
                self._send(index)

    def begin(self) -> None:
        """Start the clock of the schedule."""
        self._cpu = time.process_time()
        self._begun = time.perf_counter()

    def over(self) -> bool:
        """Return whether nothing more will be sent."""
        return self.stopped or (self._seconds is not None and self.now() >= self._seconds)

    def now(self) -> float:
        """Return the seconds since `begin`; before it, below zero."""
        return -1.0 if self._begun is None else time.perf_counter() - self._begun

    def call(self, report: Report) -> None:
        """Be one caller: take the next request that is due, wait for its moment, send it, and again until the end."""
        while self._begun is None and not self.stopped:
            time.sleep(0.01)
        while not self.over():
            due = next(self._arrivals)
            if self._seconds is not None and due >= self._seconds:
                return
            wait = due - self.now()
            if wait > 0:
                time.sleep(wait)
            self.open += 1
            started = self.now()
            outcome, length, problem = self._send(len(self._outcomes))
            ended = self.now()
            self.open -= 1
            self._note(due, started, ended, outcome)
            report(ended - due, outcome, length, problem)

    def progress(self) -> dict[str, Any]:
        """Return how far the load is, for people to watch."""
        answered = self._outcomes.count(Outcome.ANSWERED)
        return {"seconds": self.now(), "done": len(self._outcomes), "answered": answered, "open": self.open}

    def record(self) -> Record:
        """Return what happened to every request that was due. Those never sent are `UNSENT`."""
        ended = self.now()
        if self._seconds is not None:
            for due in self._arrivals:
                if due >= self._seconds:
                    break
                self._note(due, float("nan"), ended, Outcome.UNSENT)
        due_at, started_at, ended_at = (np.array(numbers) for numbers in self._numbers)
        order = np.argsort(due_at, kind="stable")
        outcomes = np.array(self._outcomes, np.uint8)
        return Record(
            due_at[order],
            started_at[order],
            ended_at[order],
            outcomes[order],
            self._seconds if self._seconds is not None else ended,
            time.process_time() - self._cpu,
        )

    def _note(self, due: float, started: float, ended: float, outcome: Outcome) -> None:
        for numbers, value in zip(self._numbers, (due, started, ended), strict=True):
            numbers.append(value)
        self._outcomes.append(outcome)

    def _send(self, index: int) -> tuple[Outcome, int, str]:
        """Send one request; return its fate, the length of the answer, and the problem in words if there is one."""
        try:
            connection = self._connections.get_socket()
        except OSError as error:
            return Outcome.REFUSED, 0, _why(error)
        try:
            connection.sendall(self._requests[index % len(self._requests)])
        except OSError as error:
            self._connections.release_socket(connection)
            return Outcome.LOST, 0, _why(error)
        try:
            # From here on the answer gives the connection back, or closes it, by itself.
            answer = HTTPSocketPoolResponse(connection, self._connections, method="POST", block_size=65536)
            body = answer.read()
        except (OSError, HTTPException) as error:
            return Outcome.LOST, 0, _why(error)
        if not answer.message_complete:
            return Outcome.LOST, len(body), "the answer broke off"
        status = answer.status_code
        return of_status(status), len(body), "" if status == 200 else f"HTTP {status}"


def _request(target: Target, index: int) -> bytes:
    payload = target.payloads[index]
    headers = {"Host": target.address.authority, "Content-Length": str(len(payload.body)), **payload.headers}
    lines = [
        f"POST {target.address.prefix}{target.path} HTTP/1.1",
        *(f"{key}: {value}" for key, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + payload.body


def _connections(address: Address, callers: int) -> Any:
    """Return a pool in which the connection used last is used next, so that few of them go stale while idle."""
    place = (address.host, address.port, address.host, address.port)
    options = {"size": callers, "connection_timeout": PATIENCE_SECONDS, "network_timeout": PATIENCE_SECONDS}
    pool = SSLConnectionPool(*place, **options) if address.tls else ConnectionPool(*place, **options)
    # The last piece of a large body must not wait until the server has acknowledged the pieces before it.
    pool.after_connect = lambda connection: connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    return pool


def _why(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
