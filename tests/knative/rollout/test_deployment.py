import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.knative.bundles import a_bundle, size_of
from tests.knative.kubectl_double import Kubectl

from snooze.knative.errors import Conflict, NotWritable
from snooze.knative.kubectl import SERVICE, Cluster
from snooze.knative.manifest.options import Options
from snooze.knative.rollout.deployment import Deployment, difference, prepare, target_entry
from snooze.knative.rollout.errors import RolloutUnderWay
from snooze.knative.rollout.live import ROLLOUT

IMAGE = "registry.example.com/tumour:3"
KEY = f"{SERVICE}/tumour"
DOCUMENTS = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(
        st.integers() | st.lists(st.integers(), max_size=2),
        lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    ),
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def a_deployment(**changes: Any) -> Deployment:
    bundle = a_bundle()
    return prepare(bundle, "sha256:0", size_of(bundle, 50), Options(**{"image": IMAGE, "name": "tumour", **changes}))


def test_writes_the_manifest_to_a_file_with_the_name_of_the_service() -> None:
    deployment = a_deployment()

    assert deployment.write(None) == Path("tumour.yaml")
    assert yaml.safe_load(Path("tumour.yaml").read_text()) == deployment.manifest


def test_overwrites_its_own_file_and_leaves_no_other() -> None:
    a_deployment().write("service.yaml")
    a_deployment(min_scale=1).write("service.yaml")

    assert 'min-scale: "1"' in Path("service.yaml").read_text()
    assert [path.name for path in Path.cwd().iterdir()] == ["service.yaml"]


def test_standard_output_is_no_file() -> None:
    assert a_deployment().write("-") is None
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("content", [b"apiVersion: v1\n", b"\xff\xfe"])
def test_does_not_overwrite_a_file_of_others(content: bytes) -> None:
    Path("tumour.yaml").write_bytes(content)

    with pytest.raises(NotWritable) as caught:
        a_deployment().write(None)

    assert caught.value.problem == "it exists and was not written by snooze deploy"
    assert Path("tumour.yaml").read_bytes() == content


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ("no/such/folder.yaml", "No such file or directory"),
        (".", "it is not a regular file"),
        ("/dev/zero", "it is not a regular file"),
    ],
)
def test_reports_where_it_cannot_write(output: str, problem: str) -> None:
    with pytest.raises(NotWritable) as caught:
        a_deployment().write(output)

    assert (caught.value.path, caught.value.problem) == (Path(output), problem)


@pytest.mark.process
def test_creates_a_service(kubectl: Kubectl) -> None:
    deployment = a_deployment()
    service = deployment.apply(Cluster("default"))

    assert service.name == "tumour"
    assert kubectl.objects[KEY]["spec"] == deployment.manifest["spec"]


@pytest.mark.process
def test_to_deploy_the_same_again_changes_nothing(kubectl: Kubectl) -> None:
    first = a_deployment().apply(Cluster("default"))
    second = a_deployment().apply(Cluster("default"))

    assert second.document == first.document


@pytest.mark.process
def test_a_template_of_the_same_name_stays_as_knative_filled_it_in(kubectl: Kubectl) -> None:
    deployment = a_deployment()
    deployment.apply(Cluster("default"))
    service = kubectl.objects[KEY]
    service["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]["httpGet"]["port"] = 0
    kubectl.put(KEY, service)
    deployment.apply(Cluster("default"))

    assert kubectl.objects[KEY] == service


@pytest.mark.process
def test_another_version_gets_all_requests(kubectl: Kubectl) -> None:
    before, after = a_deployment(), a_deployment(timeout=90.0)
    put(kubectl, before, [(before.revision, 100, before.tag)])
    after.apply(Cluster("default"))

    assert kubectl.objects[KEY]["spec"] == after.manifest["spec"]


@pytest.mark.process
def test_a_service_of_others_is_taken_over_without_what_they_added(kubectl: Kubectl) -> None:
    deployment = a_deployment()
    put(kubectl, deployment, [("tumour-00001", 100, None)])
    service = kubectl.objects[KEY]
    service["metadata"]["labels"] = {"theirs": "stays", "networking.knative.dev/visibility": "cluster-local"}
    service["spec"] = {
        "template": {
            "metadata": {"annotations": {"client.knative.dev/user-image": "other"}},
            "spec": {"containers": [{"image": "other"}], "volumes": [{"name": "theirs"}]},
        },
        "traffic": [{"latestRevision": True, "percent": 100}],
    }
    kubectl.put(KEY, service)
    deployment.apply(Cluster("default"))

    after = kubectl.objects[KEY]
    assert after["spec"] == deployment.manifest["spec"]
    assert after["metadata"]["labels"] == {
        "theirs": "stays",
        "networking.knative.dev/visibility": "cluster-local",
        **deployment.manifest["metadata"]["labels"],
    }


@pytest.mark.process
def test_removes_labels_and_annotations_of_an_earlier_manifest_of_ours(kubectl: Kubectl) -> None:
    before, after = a_deployment(private=True), a_deployment()
    put(kubectl, before, [(before.revision, 100, before.tag)])
    after.apply(Cluster("default"))

    assert kubectl.objects[KEY]["metadata"]["labels"] == after.manifest["metadata"]["labels"]


@pytest.mark.process
def test_over_a_split_the_revision_is_added_without_requests(kubectl: Kubectl) -> None:
    deployment = a_deployment()
    put(kubectl, a_deployment(timeout=90.0), [("tumour-v1-aaaaaa", 90, "v1-aaaaaa"), ("tumour-00002", 10, None)])

    for _ in range(2):  # the second time it is there already
        deployment.apply(Cluster("default"))
        assert kubectl.objects[KEY]["spec"]["traffic"] == [
            {"revisionName": "tumour-v1-aaaaaa", "percent": 90, "latestRevision": False, "tag": "v1-aaaaaa"},
            {"revisionName": "tumour-00002", "percent": 10, "latestRevision": False},
            {"revisionName": deployment.revision, "percent": 0, "latestRevision": False, "tag": deployment.tag},
        ]
        service = kubectl.objects[KEY]
        kubectl.put(KEY, {**service, "status": {"traffic": service["spec"]["traffic"]}})


@pytest.mark.process
def test_refuses_during_a_rollout_and_changes_nothing(kubectl: Kubectl) -> None:
    deployment = a_deployment()
    put(kubectl, deployment, [(deployment.revision, 100, deployment.tag)])
    service = kubectl.objects[KEY]
    service["metadata"]["annotations"][ROLLOUT] = '{"step": 5}'
    kubectl.put(KEY, service)

    with pytest.raises(RolloutUnderWay) as caught:
        a_deployment(timeout=90.0).apply(Cluster("default"))

    assert caught.value.service == "tumour"
    assert kubectl.objects[KEY] == service


@pytest.mark.process
def test_a_change_by_somebody_else_is_a_conflict(kubectl: Kubectl) -> None:
    deployment = a_deployment()
    found = deployment.apply(Cluster("default"))
    a_deployment(timeout=90.0).apply(Cluster("default"))

    with pytest.raises(Conflict):
        deployment.replace(found, [])


@given(DOCUMENTS, DOCUMENTS)
def test_a_difference_makes_one_document_of_the_other(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert merge(before, difference(before, after)) == after


def merge(before: Any, change: Any) -> Any:
    """The algorithm of RFC 7386, section 2."""
    if not isinstance(change, dict):
        return change
    merged = dict(before) if isinstance(before, dict) else {}
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def put(kubectl: Kubectl, deployment: Deployment, targets: list[tuple[str, int, str | None]]) -> None:
    """Let a Service of the deployment's manifest exist, with another traffic."""
    document = json.loads(json.dumps(deployment.manifest))
    document["metadata"] |= {"resourceVersion": "7", "generation": 3}
    kubectl.put(KEY, {**document, "status": {"traffic": [target_entry(*one) for one in targets]}})
