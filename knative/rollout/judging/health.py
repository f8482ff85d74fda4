"""What Kubernetes and Knative say about a revision: conditions, restarted containers, and containers that wait."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from snooze.knative.kubectl import Object, find_condition

STARTING: Final = {"ContainerCreating", "PodInitializing"}
CONDITIONS: Final = ("ContainerHealthy", "ResourcesAvailable", "Ready")  # the more exact first
MAX_MESSAGE_LENGTH: Final = 200

Restarts: TypeAlias = Mapping[tuple[str, str], int]  # pod and container to how often it was restarted


def count_restarts(pods: Sequence[Object]) -> Restarts:
    """Return how often each container was restarted."""
    return {
        (pod["metadata"]["name"], status["name"]): status.get("restartCount", 0)
        for pod in pods
        for status in _statuses(pod)
    }


def find_problems(revision: Object | None, pods: Sequence[Object], before: Restarts) -> Iterator[str]:
    """Yield a sentence for each problem of a revision and its pods; restarts `before` do not count."""
    if revision is None:
        yield "the revision was deleted"
        return
    conditions = [find_condition(revision, name) for name in CONDITIONS]
    failed = [one for one in conditions if one.get("status") == "False"]
    for condition in failed[:1]:
        yield f"the revision is not {condition['type']}: {_reason(condition)}"
    for pod in pods:
        for status in _statuses(pod):
            yield from _find_problems_of_container(pod["metadata"]["name"], status, before)


def _find_problems_of_container(pod: str, status: Mapping[str, Any], before: Restarts) -> Iterator[str]:
    name = status["name"]
    restarts = status.get("restartCount", 0) - before.get((pod, name), 0)
    if restarts > 0:
        ended = status.get("lastState", {}).get("terminated", {})
        how = f"{ended.get('reason', 'for an unknown reason')}, exit code {ended.get('exitCode', '?')}"
        yield f"container {name} of pod {pod} was restarted {'once' if restarts == 1 else f'{restarts} times'} ({how})"
    waiting = status.get("state", {}).get("waiting")
    if waiting and waiting.get("reason") not in STARTING:
        yield f"container {name} of pod {pod} waits: {_reason(waiting)}"


def _statuses(pod: Object) -> list[dict[str, Any]]:
    statuses: list[dict[str, Any]] = pod.get("status", {}).get("containerStatuses", [])
    return statuses


def _reason(state: Mapping[str, Any]) -> str:
    message = " ".join(str(state.get("message", "")).split())[:MAX_MESSAGE_LENGTH]
    return ": ".join(part for part in (str(state.get("reason", "")), message) if part) or "no reason given"
