from typing import Any

import pytest
import yaml
from tests.knative.bundles import a_bundle, size_of

from snooze.bundle.contract import Bundle
from snooze.knative.manifest import document
from snooze.knative.manifest.options import Options
from snooze.knative.manifest.service import build, explain, max_scale

IMAGE = "registry.example.com/tumour:3"
DIGEST = "sha256:" + "12e4" * 16


def a_manifest(bundle: Bundle | None = None, **changes: Any) -> dict[str, Any]:
    bundle = bundle or a_bundle()
    return build(bundle, DIGEST, size_of(bundle, 50), Options(**{"image": IMAGE, "name": "tumour", **changes}))


def test_is_restricted_and_starts_fast() -> None:
    pod = a_manifest()["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert container["readinessProbe"] == {"httpGet": {"path": "/readyz"}}
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
        assert annotations == {"snooze/model": "Tumour_1.2", "snooze/version": "3", "snooze/bundle": DIGEST}
        assert metadata["labels"]["app.kubernetes.io/name"] == "Tumour_1.2"


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


@pytest.mark.parametrize(
    ("bundle", "p99"), [(a_bundle(), None), (a_bundle((1, 0.05)), 0.16), (a_bundle((1, 0.05)), None)]
)
@pytest.mark.parametrize("scratch", [False, True])
def test_every_reason_belongs_to_a_field(bundle: Bundle, p99: float | None, scratch: bool) -> None:
    needed, options = size_of(bundle, 50, p99), Options(IMAGE, "tumour", environment={"A": "1e3"}, scratch=scratch)
    manifest = build(bundle, DIGEST, needed, options)
    reasons = explain(needed, options)
    text = document.write(manifest, reasons)

    assert yaml.safe_load(text) == manifest
    assert text.count("# ") == 1 + sum(len(reason.splitlines()) for reason in reasons.values())
