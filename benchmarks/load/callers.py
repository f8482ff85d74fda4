"""
The load itself, inside Locust: requests sent when they are due, over connections that are kept open.

Only the locustfile imports this: Locust has replaced the blocking parts of the standard library by then, so
`time.sleep` lets other callers run.
"""

import time
from array import array
from collections.abc import Callable, Iterator
from http.client import HTTPException
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any, Final

import gevent
import numpy as np
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPSocketPoolResponse

from snooze.benchmarks.load.outcomes import STATUSES, Outcome, Record
from snooze.benchmarks.load.target import Target
from snooze.client.exchange import Address

ANSWER_SECONDS: Final = 30.0  # a request without an answer is given up after this time
CONNECT_SECONDS: Final = 5.0  # for all connections together, before the load
WARM_UP_REQUESTS: Final = 20
WARM_UP_SECONDS: Final = 0.5

Report = Callable[[float, Outcome, int, str], None]  # latency in seconds, outcome, bytes of the answer, problem


class Load:
    """
    One load of a target. All callers share its schedule, its connections and its record.

    `arrivals` are the times in seconds at which requests are due; the load ends after `seconds` (None: when stopped).
    """

    def __init__(self, target: Target, arrivals: Iterator[float], seconds: float | None, callers: int) -> None:
        self._arrivals = arrivals
        self._seconds = seconds
        self._callers = callers
        self._requests = [_request(target, index) for index in range(len(target.payloads))]
        self._connections = _connections(target.model.address, callers)
        self._begun: float | None = None
        self._cpu = 0.0
        self._times = array("d"), array("d"), array("d")  # due, started, ended
        self._outcomes = array("B")
        self.open = 0
        self.stopped = False

    def warm_up(self) -> int:
        """
        Open a connection for each caller and send requests that are not counted; return the open connections.

        Opening takes at most 5 s; the load opens later what is missing then.
        """
        opening = [gevent.spawn(self._connect) for _ in range(self._callers)]
        gevent.joinall(opening, timeout=CONNECT_SECONDS)
        opened = [one.value for one in opening if one.ready() and one.value is not None]
        gevent.killall(opening)
        for connection in opened:
            self._connections.return_socket(connection)
        until = time.perf_counter() + WARM_UP_SECONDS
        for index in range(WARM_UP_REQUESTS):
            if time.perf_counter() < until:
                self._send(index)
        return len(opened)

    def begin(self) -> None:
        """Start the clock of the schedule."""
        self._cpu = time.process_time()
        self._begun = time.perf_counter()

    def over(self) -> bool:
        """Return whether no more requests will be sent."""
        return self.stopped or (self._seconds is not None and self.now() >= self._seconds)

    def now(self) -> float:
        """Return the seconds since `begin`, negative before it."""
        return -1.0 if self._begun is None else time.perf_counter() - self._begun

    def call(self, report: Report) -> None:
        """Be one caller: take the next request that is due, wait for its time, send it, and repeat until the end."""
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
        """Return the progress of the load, for people to watch."""
        answered = self._outcomes.count(Outcome.ANSWERED)
        return {"seconds": self.now(), "done": len(self._outcomes), "answered": answered, "open": self.open}

    def record(self) -> Record:
        """Return the outcome of every request that was due; those never sent are `UNSENT`."""
        ended = self.now()
        if self._seconds is not None:
            for due in self._arrivals:
                if due >= self._seconds:
                    break
                self._note(due, float("nan"), ended, Outcome.UNSENT)
        order = np.argsort(np.array(self._times[0]), kind="stable")
        due_at, started_at, ended_at = (np.array(times)[order] for times in self._times)
        seconds = self._seconds if self._seconds is not None else ended
        outcomes = np.array(self._outcomes, np.uint8)[order]
        return Record(due_at, started_at, ended_at, outcomes, seconds, time.process_time() - self._cpu)

    def _note(self, due: float, started: float, ended: float, outcome: Outcome) -> None:
        for times, value in zip(self._times, (due, started, ended), strict=True):
            times.append(value)
        self._outcomes.append(outcome)

    def _connect(self) -> Any:
        try:
            return self._connections.get_socket()
        except OSError:
            return None  # the load tries again, and counts the failure

    def _send(self, index: int) -> tuple[Outcome, int, str]:
        """Send one request; return its outcome, the bytes of the answer, and the problem if there is one."""
        try:
            connection = self._connections.get_socket()
        except OSError as error:
            return Outcome.REFUSED, 0, _describe(error)
        try:
            connection.sendall(self._requests[index % len(self._requests)])
        except OSError as error:
            self._connections.release_socket(connection)
            return Outcome.LOST, 0, _describe(error)
        try:
            # From here on the answer itself returns the connection to the pool, or closes it.
            answer = HTTPSocketPoolResponse(connection, self._connections, method="POST", block_size=65536)
            body = answer.read()
        except (OSError, HTTPException) as error:
            return Outcome.LOST, 0, _describe(error)
        if not answer.message_complete:
            return Outcome.LOST, len(body), "the answer is incomplete"
        status = answer.status_code
        return STATUSES.get(status, Outcome.FAILED), len(body), "" if status == 200 else f"HTTP {status}"


def _request(target: Target, index: int) -> bytes:
    address, payload = target.model.address, target.payloads[index]
    headers = {"Host": address.authority, "Content-Length": str(len(payload.body)), **payload.headers}
    lines = [
        f"POST {address.prefix}{target.path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + payload.body


def _connections(address: Address, callers: int) -> Any:
    """Return a pool that reuses the connection used last, so that few of them time out while idle."""
    place = (address.host, address.port, address.host, address.port)
    options = {"size": callers, "connection_timeout": ANSWER_SECONDS, "network_timeout": ANSWER_SECONDS}
    pool = SSLConnectionPool(*place, **options) if address.tls else ConnectionPool(*place, **options)
    # The last segment of a large body must not wait until the server has acknowledged those before it.
    pool.after_connect = lambda connection: connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    return pool


def _describe(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
