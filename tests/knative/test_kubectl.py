from pathlib import Path

import pytest
from tests.knative.kubectl_double import Kubectl

from snooze.knative import kubectl as module
from snooze.knative.errors import Conflict, KubectlFailed, MissingProgram
from snooze.knative.kubectl import POD, SERVICE, Cluster, find_condition

pytestmark = pytest.mark.process
TUMOUR = {"kind": "Service", "metadata": {"name": "tumour", "resourceVersion": "7", "labels": {"a": "b"}}}


@pytest.fixture
def cluster(kubectl: Kubectl) -> Cluster:
    kubectl.put(f"{SERVICE}/tumour", TUMOUR)
    return Cluster("models")


def test_gets_an_object_or_none(cluster: Cluster, kubectl: Kubectl) -> None:
    assert cluster.get(SERVICE, "tumour") == TUMOUR
    assert cluster.get(SERVICE, "other") is None
    assert kubectl.calls[0]["arguments"][:4] == ["--namespace", "models", "get", SERVICE]


def test_lists_objects_by_their_labels(cluster: Cluster) -> None:
    assert cluster.list(SERVICE, "a=b") == [TUMOUR]
    assert cluster.list(SERVICE, "a=c") == []
    assert cluster.list(POD, "a=b") == []


def test_applies_a_manifest_on_the_servers_side(cluster: Cluster, kubectl: Kubectl) -> None:
    cluster.apply("kind: Service\nmetadata: {name: iris}\n", "--dry-run=server")

    call = kubectl.calls[-1]
    assert call["stdin"] == "kind: Service\nmetadata: {name: iris}\n"
    assert {"--server-side", "--force-conflicts", "--dry-run=server"} <= set(call["arguments"])
    assert call["arguments"][call["arguments"].index("--field-manager") + 1] == "snooze"


def test_patches_an_object_and_returns_it(cluster: Cluster) -> None:
    changed = cluster.patch(SERVICE, "tumour", {"metadata": {"labels": {"a": None, "c": "d"}}})

    assert changed["metadata"] == {"name": "tumour", "resourceVersion": "8", "labels": {"c": "d"}}


def test_a_change_of_another_version_is_a_conflict(cluster: Cluster) -> None:
    with pytest.raises(Conflict) as caught:
        cluster.patch(SERVICE, "tumour", {"metadata": {"resourceVersion": "6"}})

    assert caught.value.reason == "Conflict"


def test_asks_a_pod_through_the_api_server(cluster: Cluster) -> None:
    assert cluster.read_pod("tumour-1", 8080, "/metrics") == (
        b"answer of /api/v1/namespaces/models/pods/tumour-1:8080/proxy/metrics"
    )


def test_reports_the_reason_of_kubernetes_in_one_line(kubectl: Kubectl) -> None:
    with pytest.raises(KubectlFailed) as caught:
        Cluster("forbidden").get(SERVICE, "tumour")

    assert (caught.value.reason, caught.value.exit_code) == ("Forbidden", 1)
    assert str(caught.value) == "kubectl: Error from server (Forbidden): you may not"


def test_leaves_out_what_kubectl_logs_beside_the_error(kubectl: Kubectl) -> None:
    lines = "E1122 06:20:28.7 24642 memcache.go:265] again\nE1122 06:20:28.8 24642 memcache.go:265] again\nno host"
    (kubectl.folder / "kubectl").write_text(f"#!/bin/sh\necho '{lines}' >&2\nexit 1\n")

    with pytest.raises(KubectlFailed) as caught:
        Cluster("models").get(SERVICE, "tumour")

    assert str(caught.value) == "kubectl: no host"


def test_reports_a_kubectl_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingProgram) as caught:
        Cluster("models").get(SERVICE, "tumour")

    assert caught.value.program == "kubectl"


def test_does_not_wait_for_a_cluster_that_does_not_answer(kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch) -> None:
    (kubectl.folder / "kubectl").write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.1)

    with pytest.raises(KubectlFailed) as caught:
        Cluster("models").get(SERVICE, "tumour")

    assert caught.value.reason is None
    assert str(caught.value) == "kubectl: no answer within 0.1 s"


def test_finds_a_condition_by_its_type() -> None:
    ready = {"type": "Ready", "status": "True"}

    assert find_condition({"status": {"conditions": [{"type": "Active", "status": "False"}, ready]}}, "Ready") == ready
    assert find_condition({"status": {"conditions": []}}, "Ready") == {}
    assert find_condition({"metadata": {}}, "Ready") == {}  # just created
