"""The registry that an image is in: which image its tag names."""

import re
import subprocess
from typing import Final

from snooze.knative.errors import MissingProgram, NoDigest

DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
TIMEOUT_SECONDS: Final = 60.0


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
    command = ["skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}", f"docker://{image}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    except FileNotFoundError:
        raise MissingProgram(command[0]) from None
    except subprocess.TimeoutExpired:
        raise NoDigest(image, f"no answer within {TIMEOUT_SECONDS:g} s") from None
    digest = done.stdout.strip()
    if done.returncode != 0 or not DIGEST.fullmatch(digest):
        raise NoDigest(image, " ".join(done.stderr.split()) or f"skopeo printed {digest[:80]!r}")
    return f"{image}@{digest}"
