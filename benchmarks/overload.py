"""
What a server does when it is offered more than it can handle.

The server has one core to itself and the load generator another. First as many requests as possible are kept open to
find the capacity. Then requests are offered at fixed rates below and above it, each with a deadline. Goodput counts the
requests that were answered within the deadline, measured at the client from when they were due.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from snooze.benchmarks.comparison import Results
from snooze.benchmarks.load import generator
from snooze.benchmarks.load.arrivals import Pace
from snooze.benchmarks.load.outcomes import Outcome, Record, percentiles_ms
from snooze.benchmarks.load.target import RequestOptions, Target, prepare
from snooze.benchmarks.machine import describe, only_core, other_work, two_cores
from snooze.benchmarks.meters import Watch
from snooze.benchmarks.peers.candidates import Golden, describe_installation, snooze
from snooze.benchmarks.peers.servers import running
from snooze.benchmarks.progress import show

FACTORS: Final = (0.5, 0.8, 1.0, 1.5, 2.0, 3.0)
OPEN: Final = 64  # requests that are kept open to find the capacity
MAX_OPEN: Final = 512
MORE_THAN_ANY: Final = 20_000.0  # requests per second
METHOD: Final = (
    "The server on core {server_core}, the load (open, Poisson) on core {load_core}, {seconds:g} s for each rate; "
    "{rows} rows per request, binary; SNOOZE_TIMEOUT is {deadline_ms:g} ms; {installation}. The capacity is the rate "
    "at which {open} open requests without a deadline are answered: {capacity:.0f} requests/s. Goodput counts answers "
    "within the deadline, from when a request was due; percentiles are of all answers with status 200."
)
COLUMNS: Final = ("load", "offered/s", "goodput/s", "of the peak", "p50 ms", "p99 ms", "429", "other", "unsent")


class Point(NamedTuple):
    """One rate: `factor` times the capacity. Rates are per second, percentiles in milliseconds."""

    factor: float
    offered: float
    goodput: float
    p50_ms: float | None
    p99_ms: float | None
    overloaded: int  # 429
    other: int  # any other status (504 is late), or none
    unsent: int  # no connection was free
    client_busy: float  # cores

    @classmethod
    def of(cls, factor: float, record: Record, deadline: float) -> "Point":
        """Return the figures of a record."""
        counts = record.counts()
        answered = record.outcomes == Outcome.ANSWERED
        latencies = (record.ended - record.due)[answered]
        percentiles = percentiles_ms(latencies)
        known = counts["answered"] + counts["overloaded"] + counts["unsent"]
        return cls(
            factor,
            record.offered_rps(),
            float(np.sum(latencies <= deadline)) / record.seconds,
            percentiles["p50_ms"],
            percentiles["p99_ms"],
            counts["overloaded"],
            len(record.due) - known,
            counts["unsent"],
            record.client_busy(),
        )


def run(bundle: Path, rows: int, deadline: float, seconds: float, python: str = sys.executable) -> Results:
    """Measure the curve of a bundle and return the results; a SnoozeError names what failed or is missing."""
    generator.require_locust()
    warnings, cores = other_work(), two_cores()
    golden = Golden.of(bundle)
    options = RequestOptions(model=golden.bundle.name, data=str(golden.folder), rows=rows, binary=True)
    with only_core(cores[1]):
        capacity = _measure_capacity(golden, options, seconds, cores[0], python)
        points = list(_measure(golden, options, capacity, deadline, seconds, cores[0], python))
    show("")
    return summarize(points, capacity, python, warnings, {
        "server_core": cores[0], "load_core": cores[1], "seconds": seconds, "rows": rows,
        "deadline_ms": deadline * 1000, "open": OPEN, "installation": describe_installation(python),
    })  # fmt: skip


def summarize(
    points: Sequence[Point], capacity: float, python: str, warnings: Sequence[str], method: Mapping[str, Any]
) -> Results:
    """Return the table. The peak is the highest goodput of all rates."""
    peak = max(point.goodput for point in points)
    rows = [
        [
            f"{point.factor:g} x",
            f"{point.offered:.0f}",
            f"{point.goodput:.0f}",
            f"{point.goodput / peak:.0%}" if peak else "-",
            *("-" if value is None else f"{value:.1f}" for value in (point.p50_ms, point.p99_ms)),
            str(point.overloaded),
            str(point.other),
            str(point.unsent),
        ]
        for point in points
    ]
    figures = {"capacity_rps": capacity, **method, "points": [point._asdict() for point in points]}
    return Results(
        "Overload", METHOD.format(capacity=capacity, **method), describe(python), figures, COLUMNS, rows, warnings
    )


def _measure_capacity(golden: Golden, options: RequestOptions, seconds: float, core: int, python: str) -> float:
    with _serve(golden, options, {}, core, python) as target:
        show("capacity")
        pace = Pace(MORE_THAN_ANY, seconds, OPEN, "constant")
        return generator.drive(target, options, pace, Watch(None), None).achieved_rps()


def _measure(
    golden: Golden, options: RequestOptions, capacity: float, deadline: float, seconds: float, core: int, python: str
) -> Iterator[Point]:
    with _serve(golden, options, {"SNOOZE_TIMEOUT": f"{deadline}s"}, core, python) as target:
        for factor in FACTORS:
            show(f"{factor:g} x capacity")
            pace = Pace(factor * capacity, seconds, MAX_OPEN)
            yield Point.of(factor, generator.drive(target, options, pace, Watch(None), None), deadline)


@contextmanager
def _serve(
    golden: Golden, options: RequestOptions, environment: dict[str, str], core: int, python: str
) -> Iterator[Target]:
    with running(snooze(golden, python).with_environment(environment), golden, [core]) as server:
        yield prepare(f"http://127.0.0.1:{server.port}", options)
