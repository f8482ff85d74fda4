"""Wait until a revision is ready and its Service routes to it, or find out why not."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from snooze.knative.errors import NotReady
from snooze.knative.kubectl import POD, REVISION, REVISION_LABEL, Cluster, find_condition
from snooze.knative.rollout import live

POLL_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 15.0  # a problem that lasts as long is reported; a pod may start at its second try
NODE_SECONDS: Final = 180.0  # instead, for a pod that no node has room for: the cluster may add a node
DEADLINE_SECONDS: Final = 600.0  # Knative's progress deadline: after it, a revision has failed
MAX_MESSAGE: Final = 600  # characters
# What kubelet says of a container that it cannot start.
BROKEN: Final = (
    "CrashLoopBackOff", "CreateContainerConfigError", "CreateContainerError", "ErrImagePull", "ImagePullBackOff",
    "InvalidImageName", "RunContainerError",
)  # fmt: skip


class State(NamedTuple):
    """Whether a revision is ready; if not, what it waits for, and whether that is a problem."""

    ready: bool
    reason: str
    broken: bool


def wait(cluster: Cluster, service: str, revision: str, report: Callable[[str], None]) -> live.LiveService:
    """
    Return the Service when the revision is ready and routed; call `report` with what is waited for, when it changes.

    Raises:
        NotReady: it says why not for `PATIENCE_SECONDS` or `NODE_SECONDS`, or is not ready after `DEADLINE_SECONDS`.
        UnknownService: the Service was deleted meanwhile.
    """
    start = well = time.monotonic()
    reported = ""
    while True:
        found = live.read(cluster, service)
        state = examine(found, revision)
        if state.ready:
            return found
        if state.reason != reported:
            report(state.reason)
            reported = state.reason
        now = time.monotonic()
        if not state.broken:
            well = now
        patience = NODE_SECONDS if state.reason.startswith("Unschedulable") else PATIENCE_SECONDS
        if now - well >= patience or now - start >= DEADLINE_SECONDS:
            raise NotReady(cluster.namespace, revision, state.reason)
        time.sleep(POLL_SECONDS)


def examine(service: live.LiveService, name: str) -> State:
    """Return the state of one of the Service's revisions."""
    status = service.document.get("status", {})
    if status.get("observedGeneration") != service.document["metadata"]["generation"]:
        return State(False, "Knative reads the Service", False)
    revision = service.cluster.get(REVISION, name)
    routed = find_condition(service.document, "Ready")
    if revision is None:
        return State(False, _describe(routed), routed.get("status") == "False")
    own = find_condition(revision, "Ready")
    if own.get("status") == "True":
        return State(routed.get("status") == "True", _describe(routed), routed.get("status") == "False")
    pods = service.cluster.list(POD, f"{REVISION_LABEL}={name}")
    problem = next((problem for pod in pods for problem in _problems(pod)), None)
    return State(False, problem or _describe(own), problem is not None or own.get("status") == "False")


def _describe(condition: Mapping[str, str]) -> str:
    """Return reason and message of a condition in one line; of a long message its end, which is that of a log."""
    parts = (condition.get("reason"), condition.get("message", "")[-MAX_MESSAGE:])
    return " ".join(": ".join(part for part in parts if part).split()) or "Knative starts a pod"


def _problems(pod: Mapping[str, Any]) -> Iterator[str]:
    """Return why a pod does not run, as far as Kubernetes knows."""
    scheduled = find_condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        yield _describe(scheduled)
    for container in pod.get("status", {}).get("containerStatuses", []):
        waiting = container["state"].get("waiting", {})
        if waiting.get("reason") in BROKEN:
            ended = container.get("lastState", {}).get("terminated", {})
            message = ended.get("message") or ended.get("reason") or waiting.get("message", "")
            yield _describe({"reason": waiting["reason"], "message": message})
