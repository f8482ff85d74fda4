"""
What became of each request, and the figures over all of them.

"Lost" means sent on an established connection, and no complete answer came. Refused connections, 429 and 503 are the
ways in which a server says no before it takes a request; they are counted apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Outcome(IntEnum):
    """The fate of one request."""

    ANSWERED = 0  # 200, complete
    LOST = 1  # sent on an established connection, no complete answer
    REFUSED = 2  # no connection
    OVERLOADED = 3  # 429
    UNAVAILABLE = 4  # 503
    FAILED = 5  # any other status
    UNSENT = 6  # due, but no connection was free before the load ended


STATUSES = {200: Outcome.ANSWERED, 429: Outcome.OVERLOADED, 503: Outcome.UNAVAILABLE}


def of_status(status: int) -> Outcome:
    """Return the outcome that a complete answer with this HTTP status is."""
    return STATUSES.get(status, Outcome.FAILED)


@dataclass(frozen=True, slots=True)
class Record:
    """
    One load, request by request, in the order in which they were due. Times are seconds after the start.

    `started` is when a request was put on its way (NaN if it never was), `ended` when its fate was known.
    """

    due: NDArray[np.float64]
    started: NDArray[np.float64]
    ended: NDArray[np.float64]
    outcomes: NDArray[np.uint8]
    seconds: float
    client_cpu_seconds: float

    def write(self, path: Path) -> None:
        """Write the record to `path`, for `read`."""
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
        """Return how many requests met each fate."""
        return {fate.name.lower(): int((self.outcomes == fate).sum()) for fate in Outcome}

    def achieved_rps(self) -> float:
        """Return answered requests per second, over the load and whatever it took beyond to answer the last one."""
        answered = self.outcomes == Outcome.ANSWERED
        span = max(self.seconds, float(self.ended[answered].max(initial=0.0)))
        return float(answered.sum()) / span

    def offered_rps(self) -> float:
        """Return requests that were due per second."""
        return len(self.due) / self.seconds

    def latencies(self) -> NDArray[np.float64]:
        """
        Return the seconds from due to answered, of what was answered.

        A request that was never sent counts with the time it had waited by then: leaving it out would make an
        overloaded server look fast. Its true latency is higher.
        """
        counted = (self.outcomes == Outcome.ANSWERED) | (self.outcomes == Outcome.UNSENT)
        latencies: NDArray[np.float64] = (self.ended - self.due)[counted]
        return latencies

    def lateness(self) -> NDArray[np.float64]:
        """Return the seconds by which requests were put on their way after they were due."""
        late = self.started - self.due
        return late[~np.isnan(late)]

    def client_busy(self) -> float:
        """Return the share of one core that the load generator itself used."""
        return self.client_cpu_seconds / max(self.seconds, float(self.ended.max(initial=0.0)))


def percentile(values: NDArray[np.float64], percent: float) -> float | None:
    """Return the smallest value that at least `percent` % of the values do not exceed; None if there are none."""
    if not len(values):
        return None
    return float(np.quantile(values, percent / 100, method="inverted_cdf"))


def percentiles_ms(values: NDArray[np.float64]) -> Mapping[str, Any]:
    """Return p50, p90, p99 and the maximum of `values` in seconds, as milliseconds; None where there are none."""
    figures = {"p50_ms": 50.0, "p90_ms": 90.0, "p99_ms": 99.0, "max_ms": 100.0}
    found = {name: percentile(values, percent) for name, percent in figures.items()}
    return {name: None if value is None else value * 1000 for name, value in found.items()}
