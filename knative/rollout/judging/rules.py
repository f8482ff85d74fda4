"""
When a revision is not good enough, as arithmetic on what was counted.

A share of few requests is uncertain. It counts with the lower end of its interval, below which the true share is in 1
of 40 cases, and from three requests on: one or two may be bad luck.
"""

from typing import Final, NamedTuple

from snooze.bundle.units import format_count, format_duration
from snooze.knative.rollout.judging.counts import Counts
from snooze.knative.statistics import estimate_share

CONFIDENCE: Final = 0.95
MIN_HITS: Final = 3
TAIL: Final = 0.01  # of the requests, which may take longer than the p99
FACTOR: Final = 2.0  # times the old revision's p99
MARGIN_SECONDS: Final = 0.005  # above the old revision's p99, which in a fast model nobody notices


class Share(NamedTuple):
    """Some of a number of requests."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share itself; 0 of none."""
        return self.hits / self.of if self.of else 0.0

    @property
    def least(self) -> float:
        """The lower end of the share's interval; 0 of none."""
        return estimate_share(self.hits, self.of, CONFIDENCE).low if self.of else 0.0

    def exceeds(self, limit: float) -> bool:
        """Return whether the share is above a limit for sure."""
        return self.hits >= MIN_HITS and self.least > limit

    def __str__(self) -> str:
        """Return it as people write it: `3 of 120 (2.5 %)`."""
        return f"{self.hits:,} of {self.of:,} ({self.value * 100:.3g} %)" if self.of else "none"


def judge_errors(what: str, new: Share, old: Share, limit: float) -> str | None:
    """
    Return what is wrong with the errors of the new revision, None if nothing is.

    `what` names the requests. What fails at the old revision as often is not the new one's fault.
    """
    if not new.exceeds(max(limit, old.value if old.hits >= MIN_HITS else 0.0)):
        return None
    return f"{new} {what} failed; at most {limit * 100:.3g} % may, and {old} of the old revision did"


def judge_p99(new: Counts, old: Counts, limit: float | None, min_requests: int) -> str | None:
    """
    Return what is wrong with the p99 of the new revision, None if nothing is, or if there are too few requests.

    More than 1 % of its requests took longer for sure than `limit` (seconds), or else than twice the old one's p99; for
    that only whole buckets count, because two p99 in one bucket cannot be told apart.
    """
    p99, usual = new.quantile(1 - TAIL), old.quantile(1 - TAIL)
    if new.requests < min_requests or p99 is None:
        return None
    if limit is not None:
        border, allowed = limit, f"{format_duration(limit)} is allowed"
    elif usual is not None and old.requests >= min_requests:
        border = new.bound(max(FACTOR * usual, usual + MARGIN_SECONDS))
        allowed = f"that of the old revision is {format_duration(usual)}"
    else:
        return None
    if not Share(new.slower(border), new.timed).exceeds(TAIL):
        return None
    return f"the p99 of {format_count(new.requests, 'request')} is {format_duration(p99)}; {allowed}"
