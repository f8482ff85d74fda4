"""
`kubectl`, through which Snooze reads and changes a cluster: it knows the user's clusters and their credentials.

Its context and credentials are kubectl's own (`KUBECONFIG`, or the service account of the pod that it runs in).
"""

import json
import re
import subprocess
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from snooze.knative.errors import Conflict, KubectlFailed, MissingProgram

SERVICE: Final = "services.serving.knative.dev"
REVISION: Final = "revisions.serving.knative.dev"
POD: Final = "pods"
SERVICE_LABEL: Final = "serving.knative.dev/service"  # on everything that Knative makes for a Service
REVISION_LABEL: Final = "serving.knative.dev/revision"  # on the pods of a revision
MIN_SCALE: Final = "autoscaling.knative.dev/min-scale"  # an annotation of revisions
MANAGER: Final = "snooze"  # the field manager of what we apply
TIMEOUT_SECONDS: Final = 60.0
LOG_LINE: Final = re.compile(r"^[EWI]\d{4} .*\n", re.MULTILINE)  # kubectl's own log, beside the error
REASON: Final = re.compile(r"^Error from server \((\w+)\): ", re.MULTILINE)

Object = dict[str, Any]


class Cluster(NamedTuple):
    """
    One namespace of the cluster that kubectl's current context names.

    Every method may raise MissingProgram (there is no kubectl) and KubectlFailed (it ended with an error, or took more
    than `TIMEOUT_SECONDS`; `reason` is Kubernetes' word for it, such as Forbidden).
    """

    namespace: str

    def get(self, kind: str, name: str) -> Object | None:
        """Return an object, None if there is no such object."""
        text = self.run("get", kind, name, "--ignore-not-found", "--output", "json")
        return json.loads(text) if text else None

    def list(self, kind: str, selector: str) -> list[Object]:
        """Return the objects whose labels match `selector`, such as `serving.knative.dev/service=tumour`."""
        found: list[Object] = json.loads(self.run("get", kind, "--selector", selector, "--output", "json"))["items"]
        return found

    def apply(self, manifest: str, *options: str) -> str:
        """Apply a manifest of one or more YAML documents on the server's side; what others set elsewhere stays."""
        command = ("apply", "--server-side", "--force-conflicts", "--field-manager", MANAGER, *options)
        return self.run(*command, "--filename", "-", stdin=manifest).decode()

    def patch(self, kind: str, name: str, change: Mapping[str, Any]) -> Object:
        """
        Change an object by a JSON merge patch (RFC 7386) and return it; None deletes a field.

        Raises:
            Conflict: `change` has a `metadata.resourceVersion`, and the object is another one by now.
        """
        patch = ("patch", kind, name, "--type", "merge", "--field-manager", MANAGER, "--patch", json.dumps(change))
        changed: Object = json.loads(self.run(*patch, "--output", "json"))
        return changed

    def read_pod(self, name: str, port: int, path: str, seconds: float = TIMEOUT_SECONDS) -> bytes:
        """
        Return what a pod answers to `GET path` on a port, asked by the API server (the right `pods/proxy`).

        A pod that does not answer within `seconds` is a KubectlFailed.
        """
        address = f"/api/v1/namespaces/{self.namespace}/pods/{name}:{port}/proxy{path}"
        return self.run("get", "--raw", address, "--request-timeout", f"{seconds:g}s")

    def stream(self, path: str) -> subprocess.Popen[bytes]:
        """Start kubectl, whose output is what the API server streams for `GET path`; the caller ends it."""
        command = ["kubectl", "get", "--raw", path]
        try:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        except FileNotFoundError:
            raise MissingProgram(command[0]) from None

    def run(self, *arguments: str, stdin: str | None = None) -> bytes:
        """Run kubectl in the namespace and return its output."""
        command = ["kubectl", "--namespace", self.namespace, *arguments]
        given = None if stdin is None else stdin.encode()
        try:
            done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=TIMEOUT_SECONDS)
        except FileNotFoundError:
            raise MissingProgram(command[0]) from None
        except subprocess.TimeoutExpired:
            raise KubectlFailed(f"no answer within {TIMEOUT_SECONDS:g} s", None) from None
        if done.returncode == 0:
            return done.stdout
        lines = LOG_LINE.sub("", done.stderr.decode("utf-8", "replace"))
        problem = " ".join(lines.split()) or f"exit code {done.returncode}"
        reason = found[1] if (found := REASON.search(problem)) else None
        raise (Conflict if reason == "Conflict" else KubectlFailed)(problem, reason)


def find_condition(resource: Mapping[str, Any], kind: str) -> Mapping[str, str]:
    """Return a condition of an object's status, such as `Ready`; an empty one as long as it has none."""
    conditions: list[Mapping[str, str]] = resource.get("status", {}).get("conditions", [])
    return next((one for one in conditions if one["type"] == kind), {})
