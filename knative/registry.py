"""The registry that an image is in: which image its tag names."""

from typing import Final

from snooze.knative.errors import NoDigest
from snooze.knative.image import skopeo
from snooze.knative.image.errors import ProgramFailed
from snooze.knative.image.server_image import DIGEST

TIMEOUT: Final = "60s"


def pin(image: str) -> str:
    """
    Return an image's reference with the digest that its tag stands for, as `skopeo` finds it in the registry.

    Credentials, certificates and mirrors are those of skopeo's own configuration.

    Raises:
        NoDigest: the registry does not know it, or does not answer.
        MissingProgram: there is no skopeo.
    """
    if "@" in image:
        return image
    try:
        found = skopeo.run("inspect", "--no-tags", "--format", "{{.Digest}}", f"docker://{image}", timeout=TIMEOUT)
    except ProgramFailed as error:
        raise NoDigest(image, error.message) from None
    digest = found.decode("utf-8", "replace").strip()
    if not DIGEST.fullmatch(digest):
        raise NoDigest(image, f"skopeo printed {digest[:80]!r}")
    return f"{image}@{digest}"
