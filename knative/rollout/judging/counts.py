"""
What the metrics of our server count, for one revision: its requests by status, and how long they took.

A quantile is interpolated linearly within its bucket, as `histogram_quantile` of Prometheus does:
https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol, TypeAlias

from snooze.knative.kubectl import Object

MAX_SECONDS: Final = 10.0  # the highest bound of `snooze_request_seconds`; longer requests are not told apart
MAX_BYTES: Final = 2**22  # of one pod's metrics; a server with one model has 20 KiB
TOO_MANY_REQUESTS: Final = "429"
# The two families that are needed, with the one label of each that is not summed over.
SAMPLE: Final = re.compile(
    rb"^(?:snooze_requests_total\{[^}]*?\b(code)|snooze_request_seconds_bucket\{[^}]*?\b(le))"
    rb'="([0-9.e+-]{1,24}|\+Inf)"[^}]*\} ([0-9.e+]{1,24})$',
    re.MULTILINE,
)

Samples: TypeAlias = Mapping[tuple[str, str], float]  # ("code", "500") or ("le", "0.25"): all requests with that label


class Counts(NamedTuple):
    """The requests of a revision in a span of time."""

    samples: Samples

    @property
    def requests(self) -> int:
        """All requests, those with errors included."""
        return round(sum(value for (label, _), value in self.samples.items() if label == "code"))

    @property
    def errors(self) -> int:
        """Requests that failed by the server's fault."""
        return round(sum(self.by_code.values()))

    @property
    def by_code(self) -> dict[str, float]:
        """The number of failed requests by status."""
        codes = {text: value for (label, text), value in self.samples.items() if label == "code" and value >= 0.5}
        return {text: value for text, value in sorted(codes.items()) if is_failure(int(text))}

    @property
    def buckets(self) -> list[tuple[float, float]]:
        """Upper bounds in seconds, each with the number of requests that took no longer."""
        return sorted((float(text), value) for (label, text), value in self.samples.items() if label == "le")

    @property
    def timed(self) -> int:
        """The requests in the buckets."""
        return round(max((number for _, number in self.buckets), default=0.0))

    def quantile(self, share: float) -> float | None:
        """Return the time in seconds that `share` of the requests do not exceed; None without requests."""
        buckets = self.buckets
        total = buckets[-1][1] if buckets else 0.0
        if total < 0.5:
            return None
        rank, begin, below = share * total, 0.0, 0.0
        for end, number in buckets:
            if number >= rank and number > below:
                return begin if math.isinf(end) else begin + (end - begin) * (rank - below) / (number - below)
            begin, below = (begin if math.isinf(end) else end), number
        return begin

    def slower(self, seconds: float) -> int:
        """Return how many requests took longer, interpolated within the bucket."""
        buckets = self.buckets
        begin, below = 0.0, 0.0
        for end, number in buckets:
            if seconds < end:
                part = 0.0 if math.isinf(end) else (seconds - begin) / (end - begin)
                return round(buckets[-1][1] - below - (number - below) * part)
            begin, below = end, number
        return 0

    def bound(self, seconds: float) -> float:
        """Return the lowest bound of a bucket that is not below `seconds`."""
        return next((end for end, _ in self.buckets if end >= seconds), math.inf)


class Reading(NamedTuple):
    """The requests of each revision in this step so far."""

    counts: Mapping[str, Counts]
    notes: tuple[str, ...]  # what could not be read
    sources: int  # how many could be read


class Source(Protocol):
    """Reads what the servers count: in the pods, or from a Prometheus."""

    def read(self, pods: Sequence[Object], step: int) -> Reading:
        """
        Return what was counted since the first reading of this step.

        Args:
            pods: those of both revisions, as they are now.
            step: its number, to notice when another one has begun.

        Raises:
            KnativeError: nothing can be read.
        """


def is_failure(status: int) -> bool:
    """Return whether an answer counts as an error: 5xx and refusals for overload; other 4xx are the caller's errors."""
    return status >= 500 or status == int(TOO_MANY_REQUESTS)


def parse(text: bytes) -> Counts:
    """Return what a pod's metrics in Prometheus' text format count, summed over models, versions and protocols."""
    found: dict[tuple[str, str], float] = {}
    for match in SAMPLE.finditer(text[:MAX_BYTES]):
        key = ((match[1] or match[2]).decode(), match[3].decode())
        found[key] = found.get(key, 0.0) + float(match[4])
    return Counts(found)


def add(parts: Iterable[Counts]) -> Counts:
    """Return the sum."""
    total: dict[tuple[str, str], float] = {}
    for part in parts:
        for key, value in part.samples.items():
            total[key] = total.get(key, 0.0) + value
    return Counts(total)


def subtract(counts: Counts, other: Counts) -> Counts:
    """Return the difference, where it is above 0."""
    return Counts({key: max(0.0, value - other.samples.get(key, 0.0)) for key, value in counts.samples.items()})


def grown(counts: Counts, before: Counts) -> Counts:
    """Return by how much a process's counters have grown; all of them count if one fell: the process began anew."""
    restarted = any(counts.samples.get(key, 0.0) < value for key, value in before.samples.items())
    return counts if restarted else subtract(counts, before)
