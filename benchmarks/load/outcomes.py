"""
The outcome of each request, and the figures over all of them.

A request is lost if it was sent on an established connection and no complete answer came. Refused connections, 429
and 503 are counted separately: with them a server declines a request before it accepts it.
"""

from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Outcome(IntEnum):
    """What became of one request."""

    ANSWERED = 0  # 200, complete
    LOST = 1  # sent on an established connection, no complete answer
    REFUSED = 2  # no connection
    OVERLOADED = 3  # 429
    UNAVAILABLE = 4  # 503
    FAILED = 5  # any other status
    UNSENT = 6  # due, but no connection was free before the load ended


STATUSES: Final = {200: Outcome.ANSWERED, 429: Outcome.OVERLOADED, 503: Outcome.UNAVAILABLE}
PERCENTILES: Final = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "max_ms": 100.0}


class Record(NamedTuple):
    """
    One load, request by request, in the order in which they were due. Times are in seconds after the start.

    `started` is when a request was sent (NaN if it never was), `ended` when it was answered or given up.
    """

    due: NDArray[np.float64]
    started: NDArray[np.float64]
    ended: NDArray[np.float64]
    outcomes: NDArray[np.uint8]
    seconds: float
    client_cpu_seconds: float

    def write(self, path: Path) -> None:
        """Write the record to `path`."""
        totals = np.array([self.seconds, self.client_cpu_seconds])
        with path.open("wb") as file:
            np.savez(file, due=self.due, started=self.started, ended=self.ended, outcomes=self.outcomes, totals=totals)

    @classmethod
    def read(cls, path: Path) -> "Record":
        """Return the record that `write` wrote to `path`."""
        with np.load(path, allow_pickle=False) as saved:
            seconds, cpu = saved["totals"].tolist()
            return cls(saved["due"], saved["started"], saved["ended"], saved["outcomes"], seconds, cpu)

    def counts(self) -> dict[str, int]:
        """Return the number of requests by outcome."""
        return {outcome.name.lower(): int((self.outcomes == outcome).sum()) for outcome in Outcome}

    def achieved_rps(self) -> float:
        """Return the answered requests per second, over the load and the time until its last answer."""
        answered = self.outcomes == Outcome.ANSWERED
        return float(answered.sum()) / max(self.seconds, float(self.ended[answered].max(initial=0.0)))

    def offered_rps(self) -> float:
        """Return the requests per second that were due."""
        return len(self.due) / self.seconds

    def latencies(self) -> NDArray[np.float64]:
        """
        Return the latency of every request, in seconds since it was due.

        A request without an answer counts with the time until it was given up (if it was never sent, until the load
        ended), and is at least as slow as the slowest answer: otherwise requests that hang, or are quickly refused,
        would make a server look fast.
        """
        latencies = self.ended - self.due
        answered = self.outcomes == Outcome.ANSWERED
        slowest = latencies[answered].max(initial=0.0)
        return np.where(answered, latencies, np.maximum(latencies, slowest))

    def lateness(self) -> NDArray[np.float64]:
        """Return by how many seconds requests were sent after they were due."""
        late = self.started - self.due
        return late[~np.isnan(late)]

    def client_busy(self) -> float:
        """Return the cores that the load generator itself used."""
        return self.client_cpu_seconds / max(self.seconds, float(self.ended.max(initial=0.0)))


def percentile(values: NDArray[np.float64], percent: float) -> float | None:
    """Return the smallest value that at least `percent` % of the values do not exceed; None if there are no values."""
    return float(np.quantile(values, percent / 100, method="inverted_cdf")) if len(values) else None


def percentiles_ms(values: NDArray[np.float64]) -> dict[str, float | None]:
    """Return p50, p90, p99 and the maximum, in milliseconds, of values in seconds."""
    return {name: percentile(values * 1000, percent) for name, percent in PERCENTILES.items()}
