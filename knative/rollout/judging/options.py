"""What a rollout may be judged by, and its limits."""

from typing import Final, NamedTuple

from snooze.bundle.errors import InvalidOption
from snooze.bundle.units import format_duration
from snooze.knative.rollout.judging.counts import MAX_SECONDS

ERRORS: Final = "errors"
P99: Final = "p99"
DISAGREEMENT: Final = "disagreement"
REASONS: Final = (ERRORS, P99, DISAGREEMENT)  # the values of --abort-on


class Options(NamedTuple):
    """The options of `snooze rollout` that say when a new revision is not good enough."""

    abort_on: frozenset[str] = frozenset(REASONS)
    max_error_rate: float = 0.01  # share of the requests
    max_p99: float | None = None  # seconds, at most MAX_SECONDS; None compares with the old revision
    min_requests: int = 100  # of users, before their p99 is judged
    max_disagreement: float = 0.2  # share of the rows with another label, or relative difference of the values
    prometheus: str | None = None  # URL of a Prometheus that scrapes the pods; None reads the pods themselves
    token: str | None = None  # bearer token for that Prometheus

    def check(self) -> None:
        """Raise InvalidOption if a limit cannot be judged."""
        if self.max_p99 is not None and not 0 < self.max_p99 <= MAX_SECONDS:
            most = format_duration(MAX_SECONDS)
            problem = f"expected a duration above 0, at most {most}: longer requests are not told apart in the metrics"
            raise InvalidOption("--max-p99", problem)
