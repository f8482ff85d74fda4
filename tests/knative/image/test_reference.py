from pathlib import Path

import pytest

from snooze.bundle.errors import InvalidOption
from snooze.knative.image.layout import Layout
from snooze.knative.image.reference import parse
from snooze.knative.image.skopeo import Registry

DIGEST = "sha256:" + "12e4" * 16


@pytest.mark.parametrize(
    ("text", "image"),
    [
        ("registry.example.com/team/tumour:1", Registry("registry.example.com/team/tumour", "1")),
        ("localhost:5000/tumour:v1.2_3-x", Registry("localhost:5000/tumour", "v1.2_3-x")),
        ("localhost/tumour:1", Registry("localhost/tumour", "1")),
        (f"registry.local:5000/a/b__c@{DIGEST}", Registry("registry.local:5000/a/b__c", None, DIGEST)),
        (f"ghcr.io/a/b:1@{DIGEST}", Registry("ghcr.io/a/b", None, DIGEST)),
        ("oci:server:1", Layout(Path("server"), "1")),
        ("oci:/a/b", Layout(Path("/a/b"), None)),
        ("oci:a:b/c", Layout(Path("a:b/c"), None)),
    ],
)
def test_reads_references(text: str, image: Layout | Registry) -> None:
    assert parse("--tag", text) == image


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tumour",
        "tumour:1",  # of Docker Hub?
        "team/tumour:1",
        "registry.example.com/tumour",
        "registry.example.com:5000",
        "registry.example.com/:1",
        "registry.example.com/Tumour:1",
        "registry.example.com/tumour:",
        "registry.example.com/tumour:a b",
        "registry.example.com/tumour@sha256:12",
        "registry.example.com/../tumour:1",
        "someone:secret@registry.example.com/tumour:1",
        "--authfile=x.y/z:1",
        "docker://registry.example.com/tumour:1",
        "oci:",
    ],
)
def test_refuses_what_is_no_reference(text: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse("--server-image", text)

    assert caught.value.option == "--server-image"
    assert "secret" not in caught.value.problem


@pytest.mark.parametrize("text", ["registry.local:5000/tumour:1", f"registry.local:5000/tumour@{DIGEST}", "oci:a:1"])
def test_prints_what_it_reads(text: str) -> None:
    assert str(parse("--tag", text)) == text


def test_keeps_how_to_reach_a_registry() -> None:
    image = parse("--tag", "registry.local:5000/tumour:1", Path("auth.json"), insecure=True)

    assert isinstance(image, Registry)
    assert (image.authfile, image.insecure) == (Path("auth.json"), True)
