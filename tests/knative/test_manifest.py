from typing import Any

import pytest
import yaml
from tests.knative.bundles import a_bundle

from snooze.bundle.contract import Bundle
from snooze.knative import document
from snooze.knative.manifest import Options, build, most_pods, reasons
from snooze.knative.sizing import size
from snooze.knative.validation import validate

IMAGE = "registry.example.com/tumour:3"
DIGEST = "sha256:" + "12e4" * 16


def a_manifest(
    bundle: Bundle | None = None, rps: float = 50, p99: float | None = None, **changes: Any
) -> dict[str, Any]:
    bundle = bundle or a_bundle()
    return build(bundle, DIGEST, size(bundle, rps, p99), Options(**{"image": IMAGE, "name": "tumour", **changes}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rps": 100_000, "p99": 0.05},
        {"bundle": a_bundle((1, 0.05)), "p99": 0.16},
        {"bundle": a_bundle((1, 0.05), threads=4)},
        {"bundle": a_bundle(name="Ab_1." + "x" * 95)},
        {"min_scale": 3, "max_scale": 5},
        {"private": True, "environment": {"SNOOZE_LOG": "json"}},
        {"timeout": 600, "window": 6},
    ],
    ids=str,
)
def test_knative_would_take_it_without_a_warning(changes: dict[str, Any]) -> None:
    assert validate(a_manifest(**changes)) == []


def test_is_restricted_and_quick_to_wake() -> None:
    pod = a_manifest()["spec"]["template"]["spec"]
    container = pod["containers"][0]

    assert container["readinessProbe"] == {"httpGet": {"path": "/readyz"}}
    assert "startupProbe" not in container
    assert pod["timeoutSeconds"] >= 45
    assert pod["automountServiceAccountToken"] is pod["enableServiceLinks"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert float(container["resources"]["limits"]["cpu"]) >= 1
    assert pod["volumes"] == [{"name": "tmp", "emptyDir": {}}]


def test_says_which_model_it_is() -> None:
    manifest = a_manifest(a_bundle(name="Tumour_1.2"))

    for metadata in (manifest["metadata"], manifest["spec"]["template"]["metadata"]):
        annotations = {name: value for name, value in metadata["annotations"].items() if name.startswith("snooze/")}
        assert annotations == {"snooze/model": "Tumour_1.2", "snooze/version": "3", "snooze/bundle": DIGEST}
        assert metadata["labels"]["app.kubernetes.io/name"] == "Tumour_1.2"


def test_carries_the_size() -> None:
    needed = size(a_bundle(), 50)
    template = a_manifest()["spec"]["template"]

    annotations = template["metadata"]["annotations"]
    assert annotations["autoscaling.knative.dev/target"] == str(needed.target)
    assert annotations["autoscaling.knative.dev/target-burst-capacity"] == str(needed.burst_capacity)
    assert template["spec"]["containerConcurrency"] == needed.concurrency


@pytest.mark.parametrize(
    ("changes", "most"), [({}, 2), ({"min_scale": 5}, 5), ({"max_scale": 7}, 7), ({"min_scale": 5, "max_scale": 0}, 0)]
)
def test_most_pods_are_those_asked_for_or_leave_room_for_twice_the_load(changes: dict[str, Any], most: int) -> None:
    assert most_pods(size(a_bundle(), 50), Options(IMAGE, "tumour", **changes)) == most


def test_every_reason_has_its_field_and_the_text_says_what_the_data_says() -> None:
    for bundle, p99 in [(a_bundle(), None), (a_bundle((1, 0.05)), 0.16), (a_bundle((1, 0.05)), None)]:
        needed, options = size(bundle, 50, p99), Options(IMAGE, "tumour", environment={"A": "1e3"})
        manifest = build(bundle, DIGEST, needed, options)
        explained = reasons(needed, options)
        text = document.write(manifest, explained)

        assert yaml.safe_load(text) == manifest
        assert text.count("# ") == 1 + sum(len(reason.splitlines()) for reason in explained.values())
