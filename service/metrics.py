"""
Counters, gauges and histograms in Prometheus' text format.

Written here to save time at each cold start: in a process with the server imported, `import prometheus_client` costs
30 ms of CPU, this module 1.5 ms (`time.process_time` around the import, best of 15 processes of Python 3.11). Each
request takes 3 us less: 0.14 us instead of 0.73 to observe a value, 0.04 instead of 0.34 to count.
"""

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Final

SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
ROWS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1024.0)
CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"


class Value:
    """One counter or gauge with its labels."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0


class Histogram:
    """One histogram with its labels."""

    __slots__ = ("bounds", "buckets", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.buckets[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Family:
    """All values of one metric: what they mean and their labels' names."""

    def __init__(self, name: str, kind: str, meaning: str, labels: Sequence[str], bounds: Sequence[float] = ()) -> None:
        self.name = name
        self.kind = kind
        self.meaning = meaning
        self.labels = tuple(labels)
        self.bounds = bounds
        self._children: dict[tuple[str, ...], Value | Histogram] = {}

    def value(self, *labels: str) -> Value:
        """Return the counter or gauge with these labels' values, the same each time."""
        child = self._children.setdefault(labels, Value())
        assert isinstance(child, Value)
        return child

    def histogram(self, *labels: str) -> Histogram:
        """Return the histogram with these labels' values, the same each time."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = Histogram(self.bounds)
        assert isinstance(child, Histogram)
        return child

    def total(self, *labels: str) -> tuple[float, float]:
        """
        Return the sum of the counters, or the number and the sum of the observed values, of labels that begin so.
        """
        children = [child for values, child in self._children.items() if values[: len(labels)] == labels]
        number = sum(child.value if isinstance(child, Value) else sum(child.buckets) for child in children)
        return number, sum(child.sum for child in children if isinstance(child, Histogram))

    def lines(self) -> Iterable[str]:
        """Yield the family in the text format."""
        yield f"# HELP {self.name} {self.meaning}"
        yield f"# TYPE {self.name} {self.kind}"
        for values, child in self._children.items():
            pairs = [f'{label}="{_escape(value)}"' for label, value in zip(self.labels, values, strict=True)]
            if isinstance(child, Value):
                yield f"{self.name}{_braces(pairs)} {_number(child.value)}"
                continue
            total = 0
            for bound, number in zip((*child.bounds, float("inf")), child.buckets, strict=True):
                total += number
                below = f'le="{_number(bound)}"'
                yield f"{self.name}_bucket{_braces([*pairs, below])} {total}"
            yield f"{self.name}_sum{_braces(pairs)} {_number(child.sum)}"
            yield f"{self.name}_count{_braces(pairs)} {total}"


class Metrics:
    """Every metric of the service (the table in `docs/http.md`)."""

    def __init__(self) -> None:
        of_model = ("model", "version")
        self.requests = Family(
            "snooze_requests_total", "counter", "Requests for predictions.", (*of_model, "protocol", "code")
        )
        self.seconds = Family(
            "snooze_request_seconds", "histogram", "Time of a request in the server.", (*of_model, "protocol"), SECONDS
        )
        self.failed = Family("snooze_failed_seconds", "histogram", "Time of requests answered with an error.", of_model)
        self.run = Family("snooze_run_seconds", "histogram", "Time of session.run.", of_model, SECONDS)
        self.queue = Family(
            "snooze_queue_seconds", "histogram", "Wait of a prediction that did not run at once.", of_model, SECONDS
        )
        self.rows = Family("snooze_batch_rows", "histogram", "Rows of one run.", of_model, ROWS)
        self.refused = Family("snooze_refused_total", "counter", "Requests refused without a run.", ("model", "reason"))
        self.in_flight = Family("snooze_in_flight", "gauge", "Predictions not yet answered.", of_model)
        self.ready = Family("snooze_model_ready", "gauge", "1 if the model gave its golden outputs.", of_model)
        self.cold_start = Family(
            "snooze_cold_start_seconds", "gauge", "Time from spawn to ready, by phase.", ("phase", "clock")
        )
        self.build = Family("snooze_build_info", "gauge", "Versions.", ("version", "onnxruntime", "python"))
        # When each model's last prediction was answered (`perf_counter`). It is no metric: its clock has no epoch.
        self.last: dict[tuple[str, ...], Value] = {}

    def exposition(self) -> bytes:
        """Return every metric, and those of the process, in the text format."""
        families = [value for value in vars(self).values() if isinstance(value, Family)]
        lines = [line for family in (*families, *process()) for line in family.lines()]
        return ("\n".join(lines) + "\n").encode()


@cache
def booted() -> float:
    """
    Return when the machine was started (seconds since 1970).

    Read once, because the clocks drift: a start of the process that changes looks like a restart. The `btime` of
    /proc/stat is in whole seconds, too coarse for where the time of a cold start went.
    """
    return round(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), 2)


def process() -> list[Family]:
    """Return what Prometheus expects of every process, or nothing where there is no /proc."""
    try:
        with open("/proc/self/stat", "rb") as file:  # noqa: PTH123  (pathlib is slower and this is read often)
            stat = file.read().rpartition(b")")[2].split()
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    except (OSError, ValueError, IndexError):
        return []
    table: list[tuple[str, str, str, Callable[[], float]]] = [
        ("cpu_seconds_total", "counter", "User and system time.", lambda: (int(stat[11]) + int(stat[12])) / ticks),
        ("virtual_memory_bytes", "gauge", "Virtual memory.", lambda: int(stat[20])),
        ("resident_memory_bytes", "gauge", "Resident memory.", lambda: int(stat[21]) * page),
        ("start_time_seconds", "gauge", "Start of the process.", lambda: booted() + int(stat[19]) / ticks),
        ("threads", "gauge", "Threads.", lambda: int(stat[17])),
        ("open_fds", "gauge", "Open files.", lambda: files),
    ]
    families = []
    for name, kind, meaning, read in table:
        family = Family(f"process_{name}", kind, meaning, ())
        family.value().value = read()
        families.append(family)
    return families


def _braces(pairs: Sequence[str]) -> str:
    return f"{{{','.join(pairs)}}}" if pairs else ""


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if value == float("inf"):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(float(value))
