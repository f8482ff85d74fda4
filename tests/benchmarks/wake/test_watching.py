import time

import pytest
from tests.benchmarks.wake.conftest import LABELS, NAME, Double

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.wake.watching import Watching
from snooze.knative.kubectl import Cluster

pytestmark = pytest.mark.process
META = {"name": "pod-1", "labels": LABELS}


def test_pods_come_and_go_and_each_change_has_its_time(knative: Double) -> None:
    with Watching(Cluster("wake"), [NAME]) as watching:
        before = time.time()
        knative.change("Pod", "ADDED", metadata=META, spec={})
        assert watching.wait(lambda: len(watching.pods(NAME)) == 1, 10)
        knative.change("Pod", "DELETED", metadata=META, spec={})
        assert watching.wait(lambda: not watching.pods(NAME), 10)
        added, deleted = watching.events(NAME)

    assert (added.kind, added.type, added.service, deleted.type) == ("Pod", "ADDED", NAME, "DELETED")
    assert before <= added.seconds <= deleted.seconds <= time.time()


def test_events_are_forgotten_but_pods_are_not(knative: Double) -> None:
    with Watching(Cluster("wake"), [NAME]) as watching:
        knative.change("Pod", "ADDED", metadata=META, spec={})
        assert watching.wait(lambda: bool(watching.pods(NAME)), 10)
        watching.forget()

        assert watching.events(NAME) == []
        assert [pod["metadata"]["name"] for pod in watching.pods(NAME)] == ["pod-1"]
        assert watching.pods("another") == []


def test_a_watch_that_the_server_ends_begins_again(knative: Double) -> None:
    knative.change("Pod", "ADDED", metadata={"name": "pod-0", "labels": LABELS}, spec={})
    with Watching(Cluster("wake"), [NAME]) as watching:
        assert watching.wait(lambda: bool(watching.pods(NAME)), 10)
        (knative.folder / "pods").replace(knative.folder / "ended")  # what the first watch still follows
        (knative.folder / "pods").touch()
        knative.change("Pod", "ADDED", metadata=META, spec={})
        with (knative.folder / "ended").open("a") as file:
            file.write('{"type": "ERROR", "object": {"kind": "END"}}\n')

        assert watching.wait(lambda: [one["metadata"]["name"] for one in watching.pods(NAME)] == ["pod-1"], 10)


def test_waiting_ends_in_time(knative: Double) -> None:
    with Watching(Cluster("wake"), [NAME]) as watching:
        assert not watching.wait(lambda: bool(watching.pods(NAME)), 0.1)


def test_a_watch_that_is_forbidden_is_an_error(knative: Double) -> None:
    (knative.folder / "forbidden").touch()
    with Watching(Cluster("wake"), [NAME]) as watching, pytest.raises(NotMeasurable) as caught:
        watching.wait(lambda: False, 10)

    assert "Error from server (Forbidden)" in caught.value.problem
