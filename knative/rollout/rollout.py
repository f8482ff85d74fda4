"""A rollout from its first to its last step: what happens when, and what ends it early."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from enum import StrEnum
from typing import Final, NamedTuple

from snooze.bundle.errors import SnoozeError
from snooze.knative.rollout.canary import Canary, Report
from snooze.knative.rollout.deployment import Deployment
from snooze.knative.rollout.errors import Displaced
from snooze.knative.rollout.judging.verdict import Judge, Verdict
from snooze.knative.rollout.live import Target
from snooze.knative.rollout.steps import Decision, Plan, decide, remaining

LOOK_SECONDS: Final = 1.0
SHOW_SECONDS: Final = 15.0  # between two lines of figures of a step


class Ending(StrEnum):
    """How a rollout ends."""

    DONE = "done"
    HELD = "held"
    PUT_BACK = "put back"


class Outcome(NamedTuple):
    """The end of a rollout; the reason and the seconds are those of one that was put back."""

    ending: Ending
    reason: str | None = None
    seconds: float | None = None  # from the decision until the old revision answered everything


class Checks(NamedTuple):
    """How the new revision is compared with the old one: before the first percent, and during the steps."""

    shadow: Callable[[Target, Target], Verdict]
    watch: Callable[[Target, Target], AbstractContextManager[Judge]]


def run(canary: Canary, deployment: Deployment, plan: Plan, checks: Checks, report: Report) -> Outcome:
    """
    Roll out the deployment's revision, or put everything back.

    Raises:
        Displaced: somebody else changed the Service; it is left as it is.
        KnativeError: the cluster could not be reached for long; the split stays as it is.
    """
    with ExitStack() as opened:  # closing a judge takes seconds: the way back comes first
        try:
            problem = _proceed(canary, deployment, plan, checks, report, opened)
        except Displaced:
            raise
        except SnoozeError as error:
            problem = str(error)
        if problem is not None:
            report(f"putting everything back: {problem}")
            return Outcome(Ending.PUT_BACK, problem, canary.put_back(problem, report))
    if plan.hold is not None:
        canary.hold()
        return Outcome(Ending.HELD)
    canary.finish()
    report(f"{canary.record.new} serves everything")
    return Outcome(Ending.DONE)


def _proceed(
    canary: Canary, deployment: Deployment, plan: Plan, checks: Checks, report: Report, opened: ExitStack
) -> str | None:
    """Take all steps that are left; return what is wrong with the new revision, None if nothing is."""
    steps = remaining(plan, canary.record.percent, canary.record.held)
    canary.create(deployment, report)
    if canary.record.percent == 0:
        found = checks.shadow(*canary.targets())
        report(found.summary)
        if found.problems:
            return "; ".join(found.problems)
    if not steps:
        return None
    judge = opened.enter_context(checks.watch(*canary.targets()))
    for percent in steps:
        seconds = canary.share(percent)
        report(f"{percent} % for {canary.record.new}, routed after {seconds:.1f} s")
        problem = _watch(canary, judge, plan, report)
        if problem is not None:
            return f"at {percent} %: {problem}"
    return None


def _watch(canary: Canary, judge: Judge, plan: Plan, report: Report) -> str | None:
    """Look until the step has ended; return what is wrong with the new revision, None if nothing is."""
    judge.begin()
    began = shown = time.monotonic()
    while True:
        canary.check()
        now = time.monotonic()
        decision, text = decide(plan, judge.look(), now - began)
        if decision is Decision.PUT_BACK:
            return text
        if decision is Decision.GO_ON:
            report(f"{canary.record.percent} % is good: {text}")
            return None
        if now - shown >= SHOW_SECONDS:
            report(text)
            shown = now
        time.sleep(LOOK_SECONDS)
