from typing import Any

import pytest
from tests.knative.rollout.judging.conftest import NEW, a_pod, a_revision

from snooze.knative.rollout.judging.health import count_restarts, find_problems

CRASHED = {"terminated": {"reason": "OOMKilled", "exitCode": 137}}
BACK_OFF = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}


def problems(*pods: Any, before: Any = (), **conditions: tuple[str, str, str]) -> list[str]:
    return list(find_problems(a_revision(**conditions), pods, count_restarts(list(before))))


def test_a_healthy_revision_has_no_problem() -> None:
    starting = a_pod("b", NEW, "Pending", state={"waiting": {"reason": "ContainerCreating"}})

    assert problems(a_pod("a", NEW), starting, {"metadata": {"name": "c"}, "status": {"phase": "Pending"}}) == []
    assert problems(Ready=("Unknown", "Deploying", "")) == []


def test_a_restart_is_named_with_its_reason() -> None:
    assert problems(a_pod("a", NEW, restartCount=1, lastState=CRASHED)) == [
        "container user-container of pod a was restarted once (OOMKilled, exit code 137)"
    ]


def test_restarts_before_the_rollout_do_not_count() -> None:
    before = [a_pod("a", NEW, restartCount=3, lastState=CRASHED)]

    assert problems(*before, before=before) == []
    assert problems(a_pod("a", NEW, restartCount=5), before=before) == [
        "container user-container of pod a was restarted 2 times (for an unknown reason, exit code ?)"
    ]


def test_a_container_that_waits_is_named_with_its_reason() -> None:
    assert problems(a_pod("a", NEW, state=BACK_OFF)) == [
        "container user-container of pod a waits: CrashLoopBackOff: back-off 10s restarting failed container"
    ]


def test_of_several_conditions_the_most_exact_one_is_told() -> None:
    failed = ("False", "ExitCode1", "Container failed with:\n ValueError")

    assert problems(Ready=failed, ContainerHealthy=failed) == [
        "the revision is not ContainerHealthy: ExitCode1: Container failed with: ValueError"
    ]
    assert problems(Ready=("False", "", "")) == ["the revision is not Ready: no reason given"]


def test_a_deleted_revision_is_a_problem() -> None:
    assert list(find_problems(None, [], {})) == ["the revision was deleted"]


@pytest.mark.parametrize("message", ["x" * 10_000])
def test_a_long_message_is_cut(message: str) -> None:
    (problem,) = problems(Ready=("False", "Failed", message))

    assert len(problem) < 300
