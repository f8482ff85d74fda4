import pytest
from tests.knative.rollout.conftest import Deploy
from tests.knative.rollout.knative_double import NAME, KnativeDouble

from snooze.knative.errors import Conflict, UnknownService
from snooze.knative.kubectl import SERVICE, Cluster
from snooze.knative.rollout.live import ROLLOUT, LiveService, Target, find, read

# As Knative 1.23 writes it: two targets of one revision, one that nothing serves yet.
TRAFFIC = [
    {"revisionName": "t-v1-a", "percent": 60, "tag": "v1-a", "url": "http://v1-a-t"},
    {"revisionName": "t-v1-a", "percent": 10, "latestRevision": True},
    {"revisionName": "t-v2-b", "percent": 30},
    {"revisionName": "t-v2-b", "tag": "v2-b", "url": "http://v2-b-t"},
    {"latestRevision": True, "percent": 0},
]


def live(status: dict, annotations: dict[str, str] | None = None) -> LiveService:
    metadata = {"name": "t", "resourceVersion": "7", "annotations": annotations or {}}
    return LiveService(Cluster("models"), {"metadata": metadata, "status": status})


def test_targets_and_split() -> None:
    service = live({"traffic": TRAFFIC, "url": "http://t"})

    assert service.targets[0] == Target("t-v1-a", 60, "v1-a", "http://v1-a-t")
    assert len(service.targets) == 4
    assert service.split == {"t-v1-a": 70, "t-v2-b": 30}
    assert (service.name, service.version, service.url) == ("t", "7", "http://t")


def test_a_service_that_was_just_created() -> None:
    service = LiveService(Cluster("models"), {"metadata": {"name": "t", "resourceVersion": "1"}})

    assert (service.targets, service.split, service.url, service.rollout) == ([], {}, None, None)


def test_the_record_of_a_rollout() -> None:
    assert live({}, {ROLLOUT: '{"percent": 5}'}).rollout == {"percent": 5}


def test_a_service_is_read_or_unknown(knative: KnativeDouble) -> None:
    assert read(knative, NAME).document == knative.service
    assert find(knative, "other") is None
    with pytest.raises(UnknownService):
        read(knative, "other")


def test_a_change_does_not_overwrite_that_of_another(knative: KnativeDouble, deploy: Deploy) -> None:
    service = read(knative, NAME)
    changed = service.change({"metadata": {"labels": {"a": "b"}}})
    assert changed.document["metadata"]["labels"]["a"] == "b"

    with pytest.raises(Conflict):
        service.change({"metadata": {"labels": {"a": "c"}}})
    assert knative.objects[SERVICE, NAME]["metadata"]["labels"]["a"] == "b"
