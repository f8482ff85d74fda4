import json
from pathlib import Path
from typing import Any

import pytest
from tests.knative.bundles import a_bundle
from tests.knative.image import layouts
from tests.knative.image.layouts import LABELS, write_blob, write_index, write_platforms, write_server

from snooze.bundle.contract import Bundle
from snooze.knative.image.errors import InvalidImage, UnfitImage
from snooze.knative.image.layout import Layout
from snooze.knative.image.server_image import (
    DOCKER_MANIFEST,
    Descriptor,
    Layer,
    check_serves,
    compute_digest,
    find_extras,
    format_models,
    read,
)

AMD64 = "linux/amd64"
DIGEST = compute_digest(b"bundle.json")
LAYER = Layer(Descriptor(compute_digest(b"compressed"), 10), compute_digest(b"content"))
PICTURES = a_bundle(name="digits")._replace(adapter={"kind": "image"})
TOKENS = a_bundle(name="mood")._replace(adapter={"kind": "text", "tokenizer": {"file": "tokenizer.json"}})
STRINGS = a_bundle(name="spam")._replace(adapter={"kind": "text", "input": "text"})


def test_reads_an_image_and_its_labels(tmp_path: Path) -> None:
    image = read(Layout(write_server(tmp_path), "1"), AMD64)

    assert image.labels == LABELS
    assert image.digest == layouts.read_index(tmp_path)["1"]
    assert image.layers == (Descriptor(compute_digest(layouts.ROOT), len(layouts.ROOT)),)


@pytest.mark.parametrize("media_type", ["application/vnd.oci.image.manifest.v1+json", DOCKER_MANIFEST])
def test_a_new_layer_changes_nothing_else(tmp_path: Path, media_type: str) -> None:
    server = read(Layout(write_server(tmp_path, media_type=media_type), "1"), AMD64)

    image = server.extend(LAYER, [(a_bundle(), DIGEST)])

    old, new = json.loads(server.manifest), json.loads(image.manifest)
    assert new.pop("config") == {
        **old.pop("config"),
        "digest": compute_digest(image.config),
        "size": len(image.config),
    }
    kind = "docker.image.rootfs.diff.tar.gzip" if "docker" in media_type else "oci.image.layer.v1.tar+gzip"
    added = {"mediaType": f"application/vnd.{kind}", "digest": LAYER.blob.digest, "size": 10}
    assert new == {**old, "layers": [*old["layers"], added]}
    old, new = json.loads(server.config), json.loads(image.config)
    assert new["created"] == a_bundle().created
    assert new["rootfs"]["diff_ids"] == [*old["rootfs"]["diff_ids"], LAYER.diff_id]
    assert new["history"] == [
        *old["history"],
        {"created": a_bundle().created, "created_by": "snooze image tumour/3"},
    ]
    models = json.loads(image.labels["snooze.models"])
    assert models == [{"name": "tumour", "version": 3, "bundle": DIGEST}]
    assert {**image.labels, "snooze.models": ""} == {**LABELS, "snooze.models": ""}
    assert new["config"]["User"] == "65532:65532"


def test_an_image_is_as_old_as_its_newest_bundle(tmp_path: Path) -> None:
    bundles = [
        (a_bundle(name="a")._replace(created="2026-03-01T00:00:00Z"), DIGEST),
        (a_bundle(name="b")._replace(created="2026-02-01T00:00:00Z"), DIGEST),
    ]

    image = read(Layout(write_server(tmp_path), "1"), AMD64).extend(LAYER, bundles)

    assert json.loads(image.config)["created"] == "2026-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("platform", "architecture"), [(AMD64, "amd64"), ("linux/arm64", "arm64"), ("linux/arm64/v8", "arm64")]
)
def test_chooses_the_image_of_a_platform(tmp_path: Path, platform: str, architecture: str) -> None:
    image = read(Layout(write_platforms(tmp_path, "amd64", "arm64"), "1"), platform)

    assert json.loads(image.config)["architecture"] == architecture


@pytest.mark.parametrize("platform", ["linux/s390x", "linux/arm64/v9", "windows/amd64"])
def test_refuses_a_platform_that_an_index_does_not_have(tmp_path: Path, platform: str) -> None:
    with pytest.raises(UnfitImage, match=r"only for: linux/amd64, linux/arm64"):
        read(Layout(write_platforms(tmp_path, "amd64", "arm64"), "1"), platform)


def test_refuses_an_image_for_another_platform(tmp_path: Path) -> None:
    with pytest.raises(UnfitImage, match="made for linux/arm64, not for linux/amd64"):
        read(Layout(write_server(tmp_path, architecture="arm64"), "1"), AMD64)


def change(folder: Path, part: str, **changes: Any) -> Layout:
    """Change the manifest of a server image, or its configuration."""
    write_server(folder)
    manifest = json.loads(layouts.read_blob(folder, layouts.read_index(folder)["1"]))
    if part == "config":
        config = json.loads(layouts.read_blob(folder, manifest["config"]["digest"]))
        manifest["config"] |= write_blob(folder, json.dumps(config | changes).encode())
    else:
        manifest |= changes
    return Layout(write_index(folder, {"1": write_blob(folder, json.dumps(manifest).encode())}), "1")


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("manifest", {"mediaType": "application/vnd.docker.distribution.manifest.v1+json"}),
        ("manifest", {"mediaType": ["a list"]}),
        ("manifest", {"layers": None}),
        ("manifest", {"layers": [{"digest": "sha256:../../../etc/passwd", "size": 1}]}),
        ("manifest", {"layers": [{"digest": "md5:00", "size": 1}]}),
        ("manifest", {"layers": [{"digest": DIGEST, "size": -1}]}),
        ("manifest", {"layers": []}),
        ("manifest", {"config": {"digest": DIGEST, "size": 1}}),
        ("manifest", {"manifests": [{"platform": {"os": "linux", "architecture": "amd64"}, "digest": "/etc/passwd"}]}),
        ("config", {"rootfs": {"diff_ids": []}}),
        ("config", {"rootfs": None}),
        ("config", {"config": None}),
        ("config", {"config": {"Labels": {"snooze.extras": ["image"]}}}),
        ("config", {"history": "none"}),
        ("config", {"os": None}),
    ],
)
def test_refuses_an_image_that_is_not_what_it_must_be(tmp_path: Path, part: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidImage):
        read(change(tmp_path, part, **changes), AMD64)


@pytest.mark.parametrize("data", [b"", b"[]", b"[" * 100_000, b"\xff"])
def test_refuses_a_manifest_that_is_no_json_object(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read(Layout(write_index(tmp_path, {"1": write_blob(tmp_path, data)}), "1"), AMD64)


@pytest.mark.parametrize(
    ("labels", "bundle", "problem"),
    [
        (None, a_bundle(), "no label snooze.bundle-schema"),
        ({}, a_bundle(), "no label snooze.bundle-schema"),
        (LABELS | {"snooze.bundle-schema": "3"}, a_bundle(), "bundles of schema '3', and these have schema 2"),
        (LABELS | {"snooze.models": format_models([(a_bundle(), DIGEST)])}, a_bundle(), "it holds models already"),
        (LABELS, PICTURES, "model 'digits' needs the extra 'image', and it has none"),
        (LABELS | {"snooze.extras": "image"}, TOKENS, "model 'mood' needs the extra 'text', and it has image"),
    ],
)
def test_refuses_bundles_that_an_image_cannot_serve(
    tmp_path: Path, labels: dict[str, str], bundle: Bundle, problem: str
) -> None:
    image = read(Layout(write_server(tmp_path, labels=labels), "1"), AMD64)

    with pytest.raises(UnfitImage) as caught:
        check_serves(image, "server:1", [a_bundle(), bundle])

    assert problem in caught.value.problem
    assert caught.value.image == "server:1"


@pytest.mark.parametrize(
    ("labels", "bundles"),
    [
        (LABELS, [a_bundle(), STRINGS]),
        (LABELS | {"snooze.extras": "image text", "snooze.models": "[]"}, [PICTURES, TOKENS]),
    ],
)
def test_accepts_bundles_that_an_image_can_serve(tmp_path: Path, labels: dict[str, str], bundles: list[Bundle]) -> None:
    check_serves(read(Layout(write_server(tmp_path, labels=labels), "1"), AMD64), "server:1", bundles)


def test_the_extras_are_those_of_the_adapters() -> None:
    assert find_extras([a_bundle(), STRINGS]) == []
    assert find_extras([TOKENS, PICTURES, TOKENS]) == ["image", "text"]
