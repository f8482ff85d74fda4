"""`skopeo`, through which images are read from registries and written to them, with the user's credentials."""

import json
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from snooze.knative.errors import MissingProgram
from snooze.knative.image.errors import ProgramFailed
from snooze.knative.image.server_image import Descriptor, Image

PROGRAM: Final = "skopeo"
TIMEOUT: Final = "30m"  # for one transfer
FATAL: Final = re.compile(r'level=(?:fatal|error) msg=("(?:[^"\\]|\\.)*")')
HINTS: Final = {
    "server gave HTTP response to HTTPS client": "for a registry without TLS give --insecure",
    "unauthorized": "log in with 'skopeo login', or give --authfile",
    "authentication required": "log in with 'skopeo login', or give --authfile",
    "certificate signed by unknown authority": "add the authority to the certificates of this machine",
}


class Registry(NamedTuple):
    """
    An image in a registry, and how to reach it.

    Credentials are skopeo's: `authfile`, otherwise the file that REGISTRY_AUTH_FILE names, that of `skopeo login`, or
    Docker's. skopeo ends with an error rather than to write more than 4 MiB of a manifest or a configuration.
    """

    repository: str  # with the registry: registry.example.com/team/tumour
    tag: str | None
    digest: str | None = None
    authfile: Path | None = None
    insecure: bool = False  # plain http, or a certificate that is not checked

    def __str__(self) -> str:
        if self.digest:
            return f"{self.repository}@{self.digest}"
        return f"{self.repository}:{self.tag}"

    def pin(self, digest: str) -> "Registry":
        """Return another image of the same repository."""
        return self._replace(tag=None, digest=digest)

    def read_manifest(self, digest: str | None = None) -> bytes:
        """Return the manifest or index of the image, or of another one of the repository."""
        return self._inspect(self.pin(digest) if digest else self, "--raw")

    def read_config(self, manifest: str, config: Descriptor) -> bytes:
        """Return the configuration of the image with this manifest."""
        return self._inspect(self.pin(manifest), "--config", "--raw")

    def pull(self, folder: Path) -> None:
        """Write manifest, configuration and layers to a folder, as they are (skopeo's `dir:`)."""
        run("copy", *self._access("src-"), f"docker://{self}", f"dir:{folder}", authfile=self.authfile)

    def take(self, source: "Registry") -> None:
        """
        Copy an image from a repository into this one.

        Nothing is sent that this repository has already, and nothing leaves the registry if both are in the same one.
        """
        access = (*source._access("src-"), *self._access("dest-"))
        run("copy", *access, f"docker://{source}", f"docker://{self}", authfile=self.authfile)

    def push(self, folder: Path) -> None:
        """Send an image from a folder (skopeo's `dir:`). A layer that the repository has may be missing there."""
        run("copy", *self._access("dest-"), f"dir:{folder}", f"docker://{self}", authfile=self.authfile)

    def _inspect(self, image: "Registry", *options: str) -> bytes:
        return run("inspect", *self._access(""), *options, f"docker://{image}", authfile=self.authfile)

    def _access(self, side: str) -> tuple[str, ...]:
        return (f"--{side}tls-verify=false",) if self.insecure else ()


def write_folder(folder: Path, image: Image, blobs: Iterable[Path]) -> None:
    """Write an image to an empty folder as skopeo's `dir:` has it; blobs are linked, each named for its digest."""
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    (folder / "manifest.json").write_bytes(image.manifest)
    config: str = json.loads(image.manifest)["config"]["digest"]
    (folder / hexadecimal(config)).write_bytes(image.config)
    for blob in blobs:
        (folder / blob.name).symlink_to(blob.resolve())


def hexadecimal(digest: str) -> str:
    """Return a digest without the name of its algorithm."""
    return digest.partition(":")[2]


def run(command: str, *arguments: str, authfile: Path | None = None, timeout: str = TIMEOUT) -> bytes:
    """
    Run skopeo and return its output.

    Raises:
        MissingProgram: it is not on the PATH.
        ProgramFailed: it ended with an error.
    """
    options = ["--preserve-digests", "--quiet"] if command == "copy" else []
    options += [f"--authfile={authfile}"] if authfile else []
    try:
        done = subprocess.run(
            [PROGRAM, f"--command-timeout={timeout}", command, *options, *arguments], capture_output=True, check=False
        )
    except FileNotFoundError:
        raise MissingProgram(PROGRAM, "install it, or give OCI layouts on disk (oci:FOLDER:TAG)") from None
    if done.returncode == 0:
        return done.stdout
    raise ProgramFailed(PROGRAM, _explain(done.stderr.decode("utf-8", "replace")) or f"exit code {done.returncode}")


def _explain(stderr: str) -> str:
    """Return the message of the last error, and what to do."""
    found = FATAL.findall(stderr)
    message = " ".join((json.loads(found[-1], strict=False) if found else stderr).split())[-1000:]
    hint = next((text for words, text in HINTS.items() if words in message), None)
    return f"{message}; {hint}" if hint else message
