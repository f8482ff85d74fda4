"""References to images: `registry.example.com/team/tumour:1`, `...@sha256:...`, or `oci:FOLDER:TAG`."""

import re
from pathlib import Path
from typing import Final

from snooze.bundle.errors import InvalidOption
from snooze.knative.image.layout import Layout
from snooze.knative.image.server_image import DIGEST
from snooze.knative.image.skopeo import Registry

LAYOUT: Final = "oci:"
TAG: Final = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
# The grammar of https://pkg.go.dev/github.com/distribution/reference. The host is required: without one, an image of
# Docker Hub would be meant, which nobody expects who has an image of that name on this machine.
REPOSITORY: Final = re.compile(
    r"(?=[^/]*[.:]|localhost/)[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+", re.ASCII
)


def parse(option: str, text: str, authfile: Path | None = None, insecure: bool = False) -> Layout | Registry:
    """
    Return the image that the text of an option refers to.

    Raises:
        InvalidOption: names the option.
    """
    if text.startswith(LAYOUT):
        folder, colon, tag = text.removeprefix(LAYOUT).rpartition(":")
        if not colon or not TAG.fullmatch(tag):
            folder, tag = text.removeprefix(LAYOUT), ""
        if not folder:
            raise InvalidOption(option, f"expected oci:FOLDER or oci:FOLDER:TAG, got {text[:200]!r}")
        return Layout(Path(folder), tag or None)
    named, _, digest = text.partition("@")
    repository, tag = named, ""
    if (position := named.rfind(":")) > named.rfind("/"):
        repository, tag = named[:position], named[position + 1 :]
    valid = digest or tag
    if (
        not valid
        or not REPOSITORY.fullmatch(repository)
        or (tag and not TAG.fullmatch(tag))
        or (digest and not DIGEST.fullmatch(digest))
    ):
        expected = "a registry, a repository and a tag (registry.example.com/team/tumour:1), or oci:FOLDER:TAG"
        shown = re.sub("^.*@(?!sha256:)", "...@", text)  # what is there may be a password
        raise InvalidOption(option, f"expected {expected}, got {shown[:200]!r}")
    # A digest says more than a tag, and skopeo takes one of them.
    return Registry(repository, None if digest else tag, digest or None, authfile, insecure)
