from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import Serve
from tests.knative.rollout.judging.conftest import NEW, OLD, Kubectl, a_pod

from snooze.knative.kubectl import Cluster
from snooze.knative.rollout.errors import MissingRight
from snooze.knative.rollout.judging.pods import PodMetrics

pytestmark = pytest.mark.process  # kubectl's stand-in is one
CLUSTER = Cluster("judge")
Count = Callable[..., dict[str, int]]


class Pods:
    """Pods with metrics that a test sets: `a=(OLD, 5)` is a pod of the old revision with 5 requests."""

    def __init__(self, kubectl: Kubectl, serve: Serve) -> None:
        self._kubectl = kubectl
        self._serve = serve
        self.metrics = PodMetrics(CLUSTER, (OLD, NEW))

    def count(self, step: int = 0, **pods: tuple[str, int]) -> dict[str, int]:
        """Return the requests of each revision in this step."""
        objects, urls = [], {}
        for name, (revision, requests) in pods.items():
            objects.append(a_pod(name, revision))
            text = f'snooze_requests_total{{model="m",version="1",protocol="v2",code="200"}} {requests}\n'
            urls[name] = self._serve({"/metrics": text.encode()})
        self._kubectl.show(*objects, **urls)
        reading = self.metrics.read(objects, step)
        assert reading.notes == ()
        assert reading.sources == len(pods)
        return {revision: counts.requests for revision, counts in reading.counts.items()}


@pytest.fixture
def pods(kubectl: Kubectl, serve: Serve) -> Pods:
    return Pods(kubectl, serve)


def test_requests_of_all_pods_of_a_revision_are_summed(pods: Pods) -> None:
    assert pods.count(a=(OLD, 1000), b=(NEW, 3)) == {OLD: 0, NEW: 0}  # what was before does not count

    assert pods.count(a=(OLD, 1010), b=(NEW, 5)) == {OLD: 10, NEW: 2}
    assert pods.count(a=(OLD, 1020), c=(OLD, 7), b=(NEW, 5)) == {OLD: 27, NEW: 2}  # a new pod counts from its start


def test_a_pod_that_ended_keeps_its_last_value(pods: Pods) -> None:
    pods.count(a=(OLD, 10), b=(NEW, 0))
    pods.count(a=(OLD, 15), b=(NEW, 0))

    assert pods.count(b=(NEW, 1)) == {OLD: 5, NEW: 1}
    assert pods.count(c=(OLD, 2), b=(NEW, 1)) == {OLD: 7, NEW: 1}


def test_a_counter_that_begins_anew_is_added_on(pods: Pods) -> None:
    pods.count(b=(NEW, 10))
    pods.count(b=(NEW, 14))

    assert pods.count(b=(NEW, 3)) == {OLD: 0, NEW: 7}
    assert pods.count(b=(NEW, 5)) == {OLD: 0, NEW: 9}


def test_a_step_counts_from_its_first_reading_on(pods: Pods) -> None:
    pods.count(step=1, b=(NEW, 10))
    pods.count(step=1, b=(NEW, 20))

    assert pods.count(step=2, b=(NEW, 25)) == {OLD: 0, NEW: 0}
    assert pods.count(step=2, b=(NEW, 26)) == {OLD: 0, NEW: 1}


def test_a_pod_that_cannot_be_read_is_named_and_the_others_count(kubectl: Kubectl, serve: Serve) -> None:
    text = b'snooze_requests_total{code="200"} 4\n'
    ending = a_pod("ending", NEW)
    ending["metadata"]["deletionTimestamp"] = "2026-11-22T06:00:00Z"
    objects = [a_pod("a", OLD), a_pod("b", NEW), a_pod("starting", NEW, "Pending"), ending]
    kubectl.show(*objects, a=serve({"/metrics": text}))

    reading = PodMetrics(CLUSTER, (OLD, NEW)).read(objects, 0)

    assert reading.sources == 1
    (note,) = reading.notes
    assert note.startswith("pod b cannot be read: kubectl: Error from server (ServiceUnavailable)")


def test_without_the_right_the_error_names_it(kubectl: Kubectl) -> None:
    forbidden = 'Error from server (Forbidden): pods "a" is forbidden: User "x" cannot get resource "pods/proxy"'
    kubectl.show(a=forbidden)

    with pytest.raises(MissingRight) as caught:
        PodMetrics(CLUSTER, (OLD, NEW)).read([a_pod("a", OLD)], 0)

    assert (caught.value.verb, caught.value.resource, caught.value.namespace) == ("get", "pods/proxy", "judge")


@pytest.mark.parametrize(
    ("containers", "port"),
    [
        ([{"name": "user-container", "ports": [{"containerPort": 9000}]}], 9000),
        ([{"name": "user-container"}], 8080),
    ],
)
def test_asks_at_the_port_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, containers: list[Any], port: int
) -> None:
    program = tmp_path / "kubectl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    pod = a_pod("a", OLD) | {"spec": {"containers": containers}}

    PodMetrics(CLUSTER, (OLD, NEW)).read([pod], 0)

    asked = (tmp_path / "asked").read_text()
    assert f"/api/v1/namespaces/judge/pods/a:{port}/proxy/metrics --request-timeout 3s" in asked
