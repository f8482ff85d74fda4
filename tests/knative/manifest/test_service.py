import re
from typing import Any

import pytest
from tests.knative.bundles import a_bundle, size_of

from snooze.bundle.contract import Bundle
from snooze.knative.manifest.options import Options
from snooze.knative.manifest.service import build, describe, max_scale

IMAGE = "registry.example.com/tumour:3"
DIGEST = "sha256:" + "12e4" * 16
SCORE = {"snooze/score": "accuracy 0.9812"}


def a_manifest(bundle: Bundle | None = None, **changes: Any) -> dict[str, Any]:
    bundle = bundle or a_bundle()
    return build(bundle, DIGEST, size_of(bundle, 50), Options(**{"image": IMAGE, "name": "tumour", **changes}))


def test_is_restricted_and_starts_fast() -> None:
    pod = a_manifest()["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert container["readinessProbe"] == {"httpGet": {"path": "/readyz"}, "successThreshold": 1}
    assert "startupProbe" not in container
    assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert float(container["resources"]["limits"]["cpu"]) >= 1


def test_has_no_volume_because_each_delays_the_start() -> None:
    pod = a_manifest()["spec"]["template"]["spec"]

    assert "volumes" not in pod
    assert "volumeMounts" not in pod["containers"][0]


def test_scratch_mounts_an_empty_volume_at_tmp() -> None:
    pod = a_manifest(scratch=True)["spec"]["template"]["spec"]

    assert pod["volumes"] == [{"name": "scratch", "emptyDir": {}}]
    assert pod["containers"][0]["volumeMounts"] == [{"name": "scratch", "mountPath": "/tmp"}]


@pytest.mark.parametrize(("user", "expected"), [(None, {}), (1000, {"runAsUser": 1000})])
def test_the_user_can_be_chosen_or_left_to_the_cluster(user: int | None, expected: dict[str, int]) -> None:
    security = a_manifest(user=user)["spec"]["template"]["spec"]["containers"][0]["securityContext"]

    assert {name: value for name, value in security.items() if name in ("runAsUser", "runAsGroup")} == expected
    assert security["runAsNonRoot"] is True


def test_names_the_model() -> None:
    manifest = a_manifest(a_bundle(name="Tumour_1.2"))

    for metadata in (manifest["metadata"], manifest["spec"]["template"]["metadata"]):
        annotations = {name: value for name, value in metadata["annotations"].items() if name.startswith("snooze/")}
        assert annotations == {"snooze/model": "Tumour_1.2", "snooze/version": "3", "snooze/bundle": DIGEST} | SCORE
        assert metadata["labels"]["app.kubernetes.io/name"] == "Tumour_1.2"


def test_a_model_without_a_score_has_none() -> None:
    bundle = a_bundle()
    bundle = bundle._replace(evidence={**bundle.evidence, "evaluation": None})

    assert describe(bundle, DIGEST) == {"snooze/model": "tumour", "snooze/version": "3", "snooze/bundle": DIGEST}


def test_names_its_revision_and_gives_it_all_requests() -> None:
    spec = a_manifest()["spec"]
    name = spec["template"]["metadata"]["name"]

    assert re.fullmatch(r"tumour-v3-[0-9a-f]{6}", name)
    assert spec["traffic"] == [
        {"revisionName": name, "percent": 100, "tag": name.removeprefix("tumour-"), "latestRevision": False}
    ]


def test_another_configuration_is_another_revision_and_the_same_is_the_same() -> None:
    names = [
        a_manifest(**changes)["spec"]["template"]["metadata"]["name"]
        for changes in ({}, {}, {"timeout": 90.0}, {"image": f"{IMAGE}@{DIGEST}"}, {"namespace": "models"})
    ]

    assert names[0] == names[1] == names[4]
    assert len(set(names)) == 3


def test_the_liveness_probe_outlasts_a_start_and_the_longest_request() -> None:
    probe = a_manifest(timeout=600.0)["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]

    assert probe["httpGet"] == {"path": "/healthz"}
    assert probe["initialDelaySeconds"] >= 60
    assert probe["periodSeconds"] * (probe["failureThreshold"] - 1) >= 600
    assert probe["timeoutSeconds"] <= probe["periodSeconds"]


def test_names_secrets_and_the_service_account_only_if_asked_to() -> None:
    pod = a_manifest(pull_secret=("a", "b.c"), service_account="models")["spec"]["template"]["spec"]

    assert (pod["imagePullSecrets"], pod["serviceAccountName"]) == ([{"name": "a"}, {"name": "b.c"}], "models")
    assert not {"imagePullSecrets", "serviceAccountName"} & set(a_manifest()["spec"]["template"]["spec"])


def test_given_quantities_are_written_as_they_are() -> None:
    given: dict[str, Any] = {"cpu_request": "125m", "cpu_limit": "2", "memory_request": "100M", "memory_limit": "1Gi"}
    resources = a_manifest(**given)["spec"]["template"]["spec"]["containers"][0]["resources"]

    assert resources == {
        "limits": {"cpu": "2", "memory": "1Gi"},
        "requests": {"cpu": "125m", "memory": "100M"},
    }


@pytest.mark.parametrize(("retention", "expected"), [(0.0, None), (300.0, "300s")])
def test_retention_keeps_the_last_pod(retention: float, expected: str | None) -> None:
    annotations = a_manifest(retention=retention)["spec"]["template"]["metadata"]["annotations"]

    assert annotations.get("autoscaling.knative.dev/scale-to-zero-pod-retention-period") == expected


def test_contains_the_size() -> None:
    needed = size_of(a_bundle(), 50)
    template = a_manifest()["spec"]["template"]

    annotations = template["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/target"] == str(needed.target)
    assert annotations["autoscaling.knative.dev/target-burst-capacity"] == str(needed.burst_capacity)
    assert template["spec"]["containerConcurrency"] == needed.concurrency
    assert template["spec"]["containers"][0]["env"] == [{"name": "SNOOZE_MAX_BODY", "value": str(needed.max_body)}]


@pytest.mark.parametrize(
    ("changes", "most"), [({}, 2), ({"min_scale": 5}, 5), ({"max_scale": 7}, 7), ({"min_scale": 5, "max_scale": 0}, 0)]
)
def test_the_most_pods_are_as_given_or_leave_room_for_twice_the_load(changes: dict[str, Any], most: int) -> None:
    assert max_scale(size_of(a_bundle(), 50), Options(IMAGE, "tumour", **changes)) == most
