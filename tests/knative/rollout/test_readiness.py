import time
from types import SimpleNamespace
from typing import Any

import pytest
from tests.knative.kubectl_double import Kubectl

from snooze.knative.errors import NotReady, UnknownService
from snooze.knative.kubectl import POD, REVISION, SERVICE, Cluster
from snooze.knative.rollout import readiness
from snooze.knative.rollout.live import read
from snooze.knative.rollout.readiness import State, examine, wait

pytestmark = pytest.mark.process
NAME = "tumour-v1-a1b2c3"
CLUSTER = Cluster("models")
# As Knative 1.23 and Kubernetes 1.34 write them.
UNKNOWN = {"status": "Unknown", "reason": "Deploying"}
NO_IMAGE = {
    "status": "False",
    "reason": "ContainerMissing",
    "message": 'Unable to fetch image "registry.local:5000/none:1": not found',
}
CRASHED = {"status": "False", "reason": "ExitCode2", "message": "Container failed with: snooze: wrong bundle\n"}
QUOTA = {"status": "False", "reason": "FailedCreate", "message": "pods is forbidden: exceeded quota: few"}
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/1 nodes are available: 1 Insufficient cpu.",
}


def put(
    kubectl: Kubectl,
    service: dict[str, Any],
    revision: dict[str, Any] | None = None,
    pod: dict[str, Any] | None = None,
    observed: int = 2,
) -> None:
    """Let a Service with a revision and a pod exist, in these conditions."""
    name = {"name": "tumour", "resourceVersion": "7", "generation": 2}
    status = {"observedGeneration": observed, "conditions": [{"type": "Ready", **service}]}
    kubectl.put(f"{SERVICE}/tumour", {"metadata": name, "status": status})
    if revision is not None:
        conditions = [{"type": "Active", "status": "Unknown"}, {"type": "Ready", **revision}]
        kubectl.put(f"{REVISION}/{NAME}", {"metadata": {"name": NAME}, "status": {"conditions": conditions}})
    if pod is not None:
        labels = {"serving.knative.dev/revision": NAME}
        kubectl.put(f"{POD}/{NAME}-1", {"metadata": {"name": f"{NAME}-1", "labels": labels}, "status": pod})


def waiting(reason: str, message: str, ended: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the status of a pod whose first container waits, maybe after it ended."""
    last = {"terminated": ended} if ended else {}
    container = {"state": {"waiting": {"reason": reason, "message": message}}, "lastState": last}
    return {"containerStatuses": [container, {"state": {"running": {}}}]}


@pytest.mark.parametrize(
    ("service", "revision", "pod", "expected"),
    [
        ({"status": "True"}, {"status": "True"}, None, State(True, "Knative starts a pod", False)),
        (UNKNOWN, {"status": "True"}, None, State(False, "Deploying", False)),
        (UNKNOWN, UNKNOWN, None, State(False, "Deploying", False)),
        ({"status": "Unknown"}, {"status": "Unknown"}, {}, State(False, "Knative starts a pod", False)),
        (NO_IMAGE, NO_IMAGE, None, State(False, f"ContainerMissing: {NO_IMAGE['message']}", True)),
        (NO_IMAGE, None, None, State(False, f"ContainerMissing: {NO_IMAGE['message']}", True)),
        (CRASHED, CRASHED, None, State(False, "ExitCode2: Container failed with: snooze: wrong bundle", True)),
        (QUOTA, QUOTA, None, State(False, "FailedCreate: pods is forbidden: exceeded quota: few", True)),
        (
            UNKNOWN,
            UNKNOWN,
            {"conditions": [UNSCHEDULABLE]},
            State(False, f"Unschedulable: {UNSCHEDULABLE['message']}", True),
        ),
        (UNKNOWN, UNKNOWN, waiting("ImagePullBackOff", "no host"), State(False, "ImagePullBackOff: no host", True)),
        (
            UNKNOWN,
            UNKNOWN,
            waiting("CrashLoopBackOff", "back-off 10s", {"reason": "Error", "message": "snooze: no"}),
            State(False, "CrashLoopBackOff: snooze: no", True),
        ),
        (
            UNKNOWN,
            UNKNOWN,
            waiting("CrashLoopBackOff", "back-off 10s", {"reason": "OOMKilled"}),
            State(False, "CrashLoopBackOff: OOMKilled", True),
        ),
        (UNKNOWN, UNKNOWN, waiting("ContainerCreating", ""), State(False, "Deploying", False)),
    ],
    ids=lambda value: value.reason if isinstance(value, State) else "",
)
def test_finds_out_why_a_revision_is_not_ready(
    service: dict[str, Any],
    revision: dict[str, Any] | None,
    pod: dict[str, Any] | None,
    expected: State,
    kubectl: Kubectl,
) -> None:
    put(kubectl, service, revision, pod)

    assert examine(read(CLUSTER, "tumour"), NAME) == expected


def test_conditions_of_an_earlier_manifest_do_not_count(kubectl: Kubectl) -> None:
    put(kubectl, NO_IMAGE, NO_IMAGE, observed=1)

    assert examine(read(CLUSTER, "tumour"), NAME) == State(False, "Knative reads the Service", False)


def test_of_a_long_message_the_end_is_kept(kubectl: Kubectl) -> None:
    put(kubectl, UNKNOWN, {**CRASHED, "message": "line\n" * 1000 + "the cause"})

    assert examine(read(CLUSTER, "tumour"), NAME).reason.endswith("line the cause")
    assert len(examine(read(CLUSTER, "tumour"), NAME).reason) < 700


def test_waits_and_reports_each_change(kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = iter([UNKNOWN, UNKNOWN, CRASHED, {"status": "True"}])
    reports: list[str] = []

    def go_on(seconds: float) -> None:
        state = next(steps)
        put(kubectl, state, state)

    # Not `time.sleep` of everybody: subprocess sleeps, too.
    monkeypatch.setattr(readiness, "time", SimpleNamespace(monotonic=time.monotonic, sleep=go_on))
    put(kubectl, UNKNOWN)
    service = wait(CLUSTER, "tumour", NAME, reports.append)

    assert service.name == "tumour"
    assert reports == ["Deploying", "ExitCode2: Container failed with: snooze: wrong bundle"]


def test_a_cluster_has_longer_to_add_a_node(kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "POLL_SECONDS", 0.0)
    put(kubectl, UNKNOWN, UNSCHEDULABLE | {"type": "Ready"})
    reports: list[str] = []

    def add_node(reason: str) -> None:
        reports.append(reason)
        put(kubectl, {"status": "True"}, {"status": "True"})

    wait(CLUSTER, "tumour", NAME, add_node)

    assert reports == [f"Unschedulable: {UNSCHEDULABLE['message']}"]


@pytest.mark.parametrize(
    ("state", "limit", "reason"),
    [
        (NO_IMAGE, "PATIENCE_SECONDS", f"ContainerMissing: {NO_IMAGE['message']}"),
        (UNKNOWN, "DEADLINE_SECONDS", "Deploying"),
    ],
)
def test_gives_up_when_a_problem_or_a_start_lasts(
    state: dict[str, Any], limit: str, reason: str, kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, limit, 0.0)
    put(kubectl, state, state)

    with pytest.raises(NotReady) as caught:
        wait(CLUSTER, "tumour", NAME, print)

    assert (caught.value.revision, caught.value.reason, caught.value.exit_code) == (NAME, reason, 1)


def test_a_service_that_is_deleted_is_not_waited_for(kubectl: Kubectl) -> None:
    with pytest.raises(UnknownService):
        wait(CLUSTER, "tumour", NAME, print)
