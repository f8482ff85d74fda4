from copy import deepcopy

import pytest
from tests.knative.rollout.conftest import Deploy
from tests.knative.rollout.knative_double import NAME, KnativeDouble, merge

from snooze.knative.errors import KubectlFailed
from snooze.knative.kubectl import REVISION
from snooze.knative.rollout.errors import UnknownRevision
from snooze.knative.rollout.live import read
from snooze.knative.rollout.revision import Revision, annotate, list_revisions, read_revision

# As Knative 1.23 writes one that `kn service create` has made, and that cannot be pulled.
MADE_BY_KN = {
    "metadata": {
        "name": "tumour-00001",
        "annotations": {
            "client.knative.dev/user-image": "registry.local:5000/tumour:1",
            "serving.knative.dev/creator": "admin",
            "serving.knative.dev/routes": "tumour",
            "serving.knative.dev/routingStateModified": "2026-11-22T05:50:21Z",
            "serving.knative.dev/progress-deadline": "120s",
            "snooze/refused": "rolled back",
        },
        "labels": {"mine": "yes", "serving.knative.dev/configurationGeneration": "1"},
        "creationTimestamp": "2026-11-22T05:50:01Z",
    },
    "spec": {"containerConcurrency": 0, "containers": [{"image": "registry.local:5000/tumour:1"}]},
    "status": {
        "conditions": [
            {"type": "ContainerHealthy", "status": "False", "reason": "ContainerMissing"},
            {"type": "Ready", "status": "False", "reason": "ContainerMissing", "message": "Unable to\nfetch image"},
        ]
    },
}


def test_a_template_has_nothing_of_what_knative_notes_on_a_revision() -> None:
    assert Revision(MADE_BY_KN).template() == {
        "metadata": {
            "name": "tumour-00001",
            "labels": {"mine": "yes"},
            "annotations": {
                "client.knative.dev/user-image": "registry.local:5000/tumour:1",
                "serving.knative.dev/progress-deadline": "120s",
            },
        },
        "spec": MADE_BY_KN["spec"],
    }


def test_a_revision_says_why_it_is_not_ready() -> None:
    revision = Revision(MADE_BY_KN)

    assert (revision.ready, revision.failure, revision.replicas) == (
        False,
        "ContainerMissing: Unable to fetch image",
        0,
    )
    assert (revision.generation, revision.created.isoformat()) == (1, "2026-11-22T05:50:01+00:00")


def test_a_revision_of_which_nothing_is_known_yet_has_not_failed() -> None:
    revision = Revision({"metadata": {"name": "tumour-v2-a"}})

    assert (revision.ready, revision.failure, revision.annotations) == (False, None, {})


def test_a_service_gets_template_labels_and_annotations_back(knative: KnativeDouble, deploy: Deploy) -> None:
    before = deepcopy(knative.service)
    before["metadata"] |= {"labels": {**before["metadata"]["labels"], "team": "a"}}
    knative.service["metadata"]["labels"]["team"] = "a"
    knative.service["metadata"]["annotations"]["argocd/tracking"] = "b"
    old = read_revision(knative, deploy(1).revision)
    new = deploy(2, scratch=True)
    new.replace(read(knative, NAME), new.manifest["spec"]["traffic"])

    restored = merge(knative.service, old.restore(read(knative, NAME)))

    assert restored["spec"]["template"] == before["spec"]["template"]
    labels, annotations = restored["metadata"]["labels"], restored["metadata"]["annotations"]
    assert (labels["team"], annotations["argocd/tracking"], annotations["snooze/bundle"]) == ("a", "b", "sha256:1")


def test_revisions_are_listed_from_the_newest(knative: KnativeDouble, deploy: Deploy) -> None:
    for version in range(2, 12):
        new = deploy(version)
        new.replace(read(knative, NAME), new.manifest["spec"]["traffic"])

    names = [one.name for one in list_revisions(knative, NAME)]

    assert names == [deploy(version).revision for version in range(11, 0, -1)]


def test_a_revision_that_was_deleted(knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    annotate(knative, "gone", {"a": "b"})
    assert (REVISION, "gone") not in knative.objects
    with pytest.raises(UnknownRevision):
        read_revision(knative, "gone")


def test_another_error_of_an_annotation_is_raised(knative: KnativeDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise KubectlFailed("you may not", "Forbidden")

    monkeypatch.setattr(type(knative), "patch", refuse)
    with pytest.raises(KubectlFailed):
        annotate(knative, "any", {"a": "b"})
