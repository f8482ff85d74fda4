"""A Knative service of one test: deployed by the command, watched through kubectl."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import yaml

from snooze.knative.kubectl import POD, REVISION, SERVICE, Cluster

WAIT_SECONDS: Final = (
    180.0  # for anything that the cluster does by itself; to scale to zero takes 45 s with short windows
)
SMALL: Final = ("--rps", "1", "--window", "6s", "--cpu-request", "20m")  # so that several fit on a small node

Something = TypeVar("Something")


class Service(NamedTuple):
    """A service by its name, in the namespace of the tests. Images and bundles are those of `scripts/cluster`."""

    cluster: Cluster
    name: str
    folder: Path  # where the command writes
    models: Path
    images: str  # what comes before NAME:VERSION

    def image(self, bundle: str) -> str:
        """Return the image with a bundle such as tumour/1."""
        return f"{self.images}/{bundle.replace('/', ':')}"

    def snooze(self, *arguments: str, seconds: float = 600.0) -> "subprocess.CompletedProcess[str]":
        """Run the command, whatever its exit code."""
        command = [sys.executable, "-m", "snooze.cli", *arguments]
        return subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=seconds, check=False
        )  # fmt: skip

    def write(self, bundle: str, *options: str, image: str | None = None) -> str:
        """Write the manifest and return what `snooze deploy` prints."""
        done = self.snooze(*self._deploy(bundle, *options, image=image))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def deploy(self, bundle: str, *options: str, image: str | None = None) -> str:
        """Deploy a bundle, wait until it is ready and return the URL."""
        self.write(bundle, "--apply", *options, image=image)
        return self.url()

    def apply(self, bundle: str, edit: Callable[[Any], None], *options: str) -> str:
        """Apply the manifest of a bundle after a change of it, wait until it is ready and return the URL."""
        self.write(bundle, *options)
        file = self.folder / f"{self.name}.yaml"
        manifest = yaml.safe_load(file.read_text())
        manifest["spec"]["template"]["metadata"].pop("name", None)  # the name is made of what is changed here
        manifest["spec"].pop("traffic", None)
        edit(manifest)
        self.cluster.apply(yaml.safe_dump(manifest))
        return self.url()

    def try_to_deploy(
        self, bundle: str, *options: str, image: str | None = None
    ) -> "subprocess.CompletedProcess[str]":  # fmt: skip
        """Run `snooze deploy --apply`, whatever its exit code; it has to tell within three minutes."""
        return self.snooze(*self._deploy(bundle, "--apply", *options, image=image), seconds=180)

    def url(self) -> str:
        """Wait until the service is ready and return its URL."""
        self.cluster.run("wait", f"{SERVICE}/{self.name}", "--for=condition=Ready", "--timeout=55s")
        return str(self.document()["status"]["url"])

    def tagged_url(self, tag: str) -> str:
        """Return the URL of a tag."""
        return str(next(one["url"] for one in self.document()["status"]["traffic"] if one.get("tag") == tag))

    def document(self) -> dict[str, Any]:
        """Return the Service as the cluster has it."""
        document = self.cluster.get(SERVICE, self.name)
        assert document is not None
        return document

    def revisions(self) -> list[str]:
        """Return the names of the revisions, the oldest first."""
        found = self.cluster.list(REVISION, f"serving.knative.dev/service={self.name}")
        return [one["metadata"]["name"] for one in sorted(found, key=lambda one: one["metadata"]["creationTimestamp"])]

    def pods(self) -> list[dict[str, Any]]:
        """Return the pods, those included that are ending."""
        return self.cluster.list(POD, f"serving.knative.dev/service={self.name}")

    def restarts(self) -> int:
        """Return how often containers were restarted."""
        statuses = [one for pod in self.pods() for one in pod["status"].get("containerStatuses", [])]
        return sum(one["restartCount"] for one in statuses)

    def replicas(self) -> int:
        """Return how many pods are wanted and not ending."""
        found = self.cluster.list("deployments", f"serving.knative.dev/service={self.name}")
        return sum(one["spec"]["replicas"] + one["status"].get("replicas", 0) for one in found)

    def wait_for_zero(self) -> None:
        """Wait until no pod is wanted; the last one may still drain."""
        wait_until(lambda: self.replicas() == 0, f"{self.name} to scale to zero")

    def wait_for_no_pods(self) -> None:
        """Wait until the last pod is gone."""
        wait_until(lambda: not self.pods(), f"the pods of {self.name} to end")

    def delete_pod(self) -> str:
        """Delete the first pod that is not ending, without waiting, and return its name."""
        name = next(
            pod["metadata"]["name"] for pod in self.pods() if "deletionTimestamp" not in pod["metadata"]
        )  # fmt: skip
        self.cluster.run("delete", POD, name, "--wait=false")
        return str(name)

    def change(self, change: dict[str, Any]) -> None:
        """Change the Service by a merge patch."""
        self.cluster.patch(SERVICE, self.name, change)

    def delete(self) -> None:
        """Delete the service, without waiting for its pods."""
        self.cluster.run("delete", SERVICE, self.name, "--ignore-not-found", "--wait=false")

    def _deploy(self, bundle: str, *options: str, image: str | None) -> list[str]:
        return [
            *("deploy", str(self.models / bundle), "--image", image or self.image(bundle), "--name", self.name),
            *("--namespace", self.cluster.namespace, *SMALL, *options),
        ]


def wait_until(look: Callable[[], Something], what: str, seconds: float = WAIT_SECONDS) -> Something:
    """Look twice a second until there is something, and return it."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.5)
    return found
