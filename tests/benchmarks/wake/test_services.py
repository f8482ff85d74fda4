from dataclasses import replace

import pytest
from tests.benchmarks.conftest import Server
from tests.benchmarks.wake.conftest import LABELS, NAME, Double

from snooze.benchmarks.errors import NotMeasurable
from snooze.benchmarks.load.target import RequestOptions
from snooze.benchmarks.wake import services
from snooze.benchmarks.wake.services import bring_to_zero, check, find
from snooze.benchmarks.wake.watching import Watching
from snooze.client.errors import UnknownModel, Unreachable
from snooze.knative.kubectl import Cluster

pytestmark = pytest.mark.process
CLUSTER = Cluster("wake")
OPTIONS = RequestOptions()


def test_a_server_of_the_protocol_is_asked_for_a_prediction(knative: Double, snooze_server: Server) -> None:
    knative.service["status"]["url"] = snooze_server.url
    knative.write_service()

    service = find(CLUSTER, "tumour", OPTIONS, None)

    assert (service.method, service.path) == ("POST", "/v2/models/tumour/infer")
    exchange = service.wake()
    assert exchange.sent < exchange.answered
    assert exchange.warm > 0
    ledger = service.read_ledger()
    assert ledger is not None
    assert exchange.sent - 3600 < ledger.created < ledger.ready < exchange.sent


@pytest.mark.parametrize(("path", "asked"), [(None, "GET /"), ("/slow?x=1", "GET /slow?x=1")])
def test_any_other_server_is_asked_by_get(knative: Double, path: str | None, asked: str) -> None:
    service = find(CLUSTER, NAME, OPTIONS, path)
    service.wake()

    assert knative.asked[-1] == asked
    assert service.read_ledger() is None


def test_the_model_of_a_server_has_to_exist(knative: Double, snooze_server: Server) -> None:
    knative.service["status"]["url"] = snooze_server.url
    knative.write_service()

    with pytest.raises(UnknownModel):
        find(CLUSTER, "tumour", RequestOptions(model="digits"), None)


def test_a_service_that_does_not_exist_is_an_error(knative: Double) -> None:
    knative.service = {}
    knative.write_service()

    with pytest.raises(NotMeasurable) as caught:
        find(CLUSTER, NAME, OPTIONS, None)

    assert caught.value.what == "wakes of the Knative Service 'hello'"
    assert caught.value.problem == "there is none in namespace 'wake'; see: kubectl get ksvc -A"


def test_a_service_that_was_never_ready_is_an_error(knative: Double) -> None:
    knative.service = {"status": {}}
    knative.write_service()

    with pytest.raises(NotMeasurable) as caught:
        find(CLUSTER, NAME, OPTIONS, None)

    assert "it has no URL yet" in caught.value.problem


def test_min_scale_is_said_at_once(knative: Double) -> None:
    knative.annotate("1")

    with pytest.raises(NotMeasurable) as caught:
        find(CLUSTER, NAME, OPTIONS, None)

    assert caught.value.problem == (
        "its revision hello-00001 has autoscaling.knative.dev/min-scale: '1' and never scales to zero; "
        "deploy it with --min-scale 0"
    )


def test_the_minimum_of_a_revision_without_traffic_does_not_matter(knative: Double) -> None:
    knative.annotate("1")
    knative.service["status"]["traffic"] = [{"revisionName": "hello-00002"}]
    knative.write_service()

    find(CLUSTER, NAME, OPTIONS, None)


def test_an_address_that_cannot_be_reached_is_an_error(knative: Double) -> None:
    knative.service["status"]["url"] = "http://127.0.0.1:9"
    knative.write_service()

    with pytest.raises(Unreachable):
        find(CLUSTER, NAME, OPTIONS, None)


@pytest.mark.parametrize("skip_drain", [True, False])
def test_waits_until_there_is_no_pod(knative: Double, skip_drain: bool) -> None:
    with Watching(CLUSTER, [NAME]) as watching:
        service = find(CLUSTER, NAME, OPTIONS, "/")
        check(service, watching)
        if not skip_drain:
            knative.change("Pod", "DELETED", metadata={"name": "pod-1", "labels": LABELS})
        bring_to_zero(service, CLUSTER, watching, 10, skip_drain)

        assert watching.pods(NAME) == []


def test_a_service_that_keeps_its_pod_is_an_error(knative: Double) -> None:
    knative.ends = False
    with Watching(CLUSTER, [NAME]) as watching:
        service = find(CLUSTER, NAME, OPTIONS, "/")
        check(service, watching)
        with pytest.raises(NotMeasurable) as caught:
            bring_to_zero(service, CLUSTER, watching, 0.2, True)

    assert caught.value.problem.startswith("it still has a pod after 200 ms: it gets other requests")


def test_a_service_whose_pod_is_not_seen_is_an_error(knative: Double, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "POD_SECONDS", 0.2)
    with Watching(CLUSTER, [NAME]) as watching:
        service = replace(find(CLUSTER, NAME, OPTIONS, "/"), name="another")
        with pytest.raises(NotMeasurable) as caught:
            check(service, watching)

    assert "no pod has its label" in caught.value.problem


def test_an_answer_but_200_is_an_error(knative: Double) -> None:
    knative.status = 503
    service = find(CLUSTER, NAME, OPTIONS, "/")

    with pytest.raises(NotMeasurable) as caught:
        service.wake()

    assert caught.value.problem.endswith("/ answered 503")
