"""The decisions of a rollout, without a cluster: which steps are left, and when one ends."""

from collections.abc import Sequence
from enum import Enum, auto
from typing import NamedTuple

from snooze.bundle.errors import InvalidOption
from snooze.bundle.units import format_count, format_duration
from snooze.knative.rollout.judging.verdict import Verdict


class Plan(NamedTuple):
    """How a rollout proceeds."""

    steps: Sequence[int]  # percent of the requests for the new revision, growing
    min_requests: int  # in each step, before the next one
    step_seconds: float  # how long a step may wait for them
    hold: int | None = None  # the split to stop at


class Decision(Enum):
    """What follows from a look at the new revision."""

    WAIT = auto()
    GO_ON = auto()
    PUT_BACK = auto()


def make_plan(steps: Sequence[int], min_requests: int, step_seconds: float, hold: int | None) -> Plan:
    """
    Return the plan for percentages as they were given; with `hold` it ends there, without it at 100.

    Raises:
        InvalidOption: they do not grow from at least 1 to at most 100.
    """
    if not steps or any(not 1 <= step <= 100 for step in steps) or sorted(set(steps)) != list(steps):
        raise InvalidOption(
            "--steps", f"expected growing percentages such as 5,25,50,100, got {','.join(map(str, steps))}"
        )
    end = 100 if hold is None else hold
    return Plan([*(step for step in steps if step < end), end], min_requests, step_seconds, hold)


def remaining(plan: Plan, percent: int, held: bool = False) -> list[int]:
    """Return the steps that are left when the new revision has `percent`: that one again, unless it was held there."""
    return [step for step in plan.steps if step > percent or (step == percent and not held)]


def decide(plan: Plan, verdict: Verdict, seconds: float) -> tuple[Decision, str]:
    """Return what follows from the verdict after `seconds` of a step, and why."""
    if verdict.problems:
        return Decision.PUT_BACK, "; ".join(verdict.problems)
    if verdict.requests >= plan.min_requests:
        return Decision.GO_ON, verdict.summary
    if seconds >= plan.step_seconds:
        got = f"only {format_count(verdict.requests, 'request')} within {format_duration(plan.step_seconds)}"
        return Decision.PUT_BACK, f"{got}, {plan.min_requests} are needed to judge (--min-requests, --step-timeout)"
    return Decision.WAIT, verdict.summary
